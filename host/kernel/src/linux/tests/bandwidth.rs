//! Limits are set, replaced and taken away, and nobody else's queue is.

use nix::errno::Errno;

use super::{Bench, index, up, veth};
use crate::{
    KernelError, Request,
    linux::{
        attributes::{Attributes, append},
        socket::Message,
    },
    plan::Rate,
};

/// The kinds of queues of the first link, and the rate of each tbf in bytes a second.
fn queues(bench: &Bench) -> Vec<(String, Option<u32>)> {
    let dump = Message {
        kind: libc::RTM_GETQDISC,
        flags: 0,
        body: vec![0; 20],
    };
    let answers = bench
        .kernel
        .route(&bench.realm, |socket| socket.dump(dump))
        .unwrap()
        .unwrap();
    let ours = answers.iter().filter(|a| a.body[4..8] == index(1).get().to_ne_bytes());
    ours.map(|a| {
        let attributes = Attributes::after(&a.body, 20);
        let rate = attributes
            .get_nested(2)
            .and_then(|o| o.get(1))
            .map(|p| u32::from_ne_bytes(p[8..12].try_into().unwrap()));
        (attributes.get_text(1).unwrap().to_owned(), rate)
    })
    .filter(|(kind, _)| kind != "noqueue")
    .collect()
}

fn limit(ingress: Option<u64>, egress: Option<u64>) -> Request {
    let rate = |bytes_per_second| Rate {
        bytes_per_second,
        burst_bytes: 0,
    };
    Request::SetBandwidth {
        index: index(1),
        ingress: ingress.map(rate),
        egress: egress.map(rate),
    }
}

#[test]
fn a_limit_of_what_a_sandbox_receives_is_set_replaced_and_taken_away() {
    let Some(bench) = Bench::new() else { return };
    bench.realm(&[bench.create(veth(1, "v0")), up(1), limit(None, None)]);
    assert_eq!(queues(&bench), []);
    bench.realm(&[limit(Some(125_000), None)]);
    assert_eq!(queues(&bench), [("tbf".to_owned(), Some(125_000))]);
    bench.realm(&[limit(Some(250_000), None)]);
    assert_eq!(queues(&bench), [("tbf".to_owned(), Some(250_000))]);
    bench.realm(&[limit(None, None)]);
    assert_eq!(queues(&bench), []);
}

#[test]
fn a_queue_of_somebody_elses_is_left_alone() {
    let Some(bench) = Bench::new() else { return };
    bench.realm(&[bench.create(veth(1, "v0")), up(1)]);
    let mut body = [0, index(1).get(), 0x10000, 0xffff_ffff, 0]
        .map(u32::to_ne_bytes)
        .concat();
    append(&mut body, 1, b"pfifo\0");
    let foreign = Message {
        kind: libc::RTM_NEWQDISC,
        flags: (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16,
        body,
    };
    bench
        .kernel
        .route(&bench.realm, |socket| socket.ask(foreign))
        .unwrap()
        .unwrap();
    assert_eq!(
        bench.errors(&[limit(None, None), limit(Some(125_000), None)]),
        [None, Some(Errno::EEXIST)]
    );
    assert_eq!(queues(&bench), [("pfifo".to_owned(), None)]);
}

#[test]
fn a_limit_of_what_a_sandbox_sends_is_set_or_said_to_be_unsupported() {
    let Some(bench) = Bench::new() else { return };
    bench.realm(&[bench.create(veth(1, "v0")), up(1)]);
    let answer = crate::Kernel::send(&bench.kernel, &bench.realm, &[limit(None, Some(125_000))])
        .unwrap()
        .remove(0);
    match answer {
        Err(KernelError::Unsupported(_)) => eprintln!("skipped: this kernel has no police action"),
        other => other.unwrap(),
    }
    bench.realm(&[limit(None, None)]);
    assert_eq!(
        bench.errors(&[Request::SetBandwidth {
            index: index(99),
            ingress: None,
            egress: None
        }]),
        [Some(Errno::ENODEV)]
    );
}
