//! A table of round trips: each row is done, seen in the dump, taken back, and the dump is as it was.

use super::{Bench, differences, index};
use crate::{
    Dump, Kernel, Linux, Request,
    plan::{LinkSetting, Place},
};

/// One row: what there is before, what is done, how the realm's and the sandbox's dump show it, and what takes it back.
pub(super) struct Row {
    pub name: &'static str,
    pub before: Vec<Request>,
    pub make: Vec<Request>,
    pub seen: fn(&Dump, &Dump) -> bool,
    pub unmake: Vec<Request>,
}

pub(super) fn set(number: u8, setting: LinkSetting) -> Request {
    Request::SetLink {
        index: index(number.into()),
        setting,
    }
}

pub(super) fn delete(number: u8) -> Request {
    Request::DeleteLink {
        index: index(number.into()),
    }
}

pub(super) fn check(rows: impl FnOnce(&Bench) -> Vec<Row>) {
    let Some(first) = Bench::new() else { return };
    for row in rows(&first) {
        if let Some(kind) = row.make.iter().find_map(|r| missing_kind(&first, r)) {
            eprintln!("skipped: {}: this kernel has no {kind}", row.name);
            continue;
        }
        // The rows name the first bench's sandbox, so that one is used; the realm is new for each.
        let kernel = Linux::new().unwrap();
        let realm = kernel.create_namespace().unwrap();
        let bench = Bench {
            kernel,
            realm,
            sandbox: first.sandbox.clone(),
        };
        bench.realm(&row.before);
        let (realm, sandbox) = bench.dump();
        bench.realm(&row.make);
        let made = bench.dump();
        assert!(
            (row.seen)(&made.0, &made.1),
            "{}: not seen in\n{}",
            row.name,
            differences(&realm, &made.0)
        );
        bench.realm(&row.unmake);
        let after = bench.dump();
        assert_eq!(
            after.0,
            realm,
            "{}: the realm differs\n{}",
            row.name,
            differences(&realm, &after.0)
        );
        assert_eq!(
            after.1,
            sandbox,
            "{}: the sandbox differs\n{}",
            row.name,
            differences(&sandbox, &after.1)
        );
        bench.realm(&row.before.iter().filter_map(inverse).collect::<Vec<_>>());
    }
}

/// The kind of link that a request makes, where this kernel does not have it.
pub(super) fn missing_kind(bench: &Bench, request: &Request) -> Option<&'static str> {
    let Request::CreateLink { link, .. } = request else {
        return None;
    };
    (!bench.kernel.supports(link.kind.name()).unwrap()).then_some(link.kind.name())
}

/// Only so that one row's links do not stay in the shared sandbox.
pub(super) fn inverse(request: &Request) -> Option<Request> {
    match request {
        Request::CreateLink { link, .. } if link.at.place == Place::Realm => {
            Some(Request::DeleteLink { index: link.at.index })
        }
        _ => None,
    }
}
