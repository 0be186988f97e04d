//! The host dies before or after any record of its journal. Afterwards the kernel has what it had before the operation, or what it has
//! after, and what the controller says is what the kernel has.

use std::sync::{Arc, atomic::Ordering};

use jackfield_kernel::{
    Dump,
    faulty::{CrashAtRecord, Fault},
};

use jackfield_model::PortMapping;

use super::fixture::*;
use crate::request::*;

/// A way through the controller's operations; each step alone is cut off at every boundary.
type Step = fn(&Fixture) -> jackfield_model::Result<()>;

const STEPS: [(&str, Step); 8] = [
    ("create network", |h| {
        h.controller()
            .create_network(OWN, network("blue", "scripted"))
            .map(drop)
    }),
    ("create sandbox", |h| {
        h.controller().create_sandbox(OWN, sandbox("box")).map(drop)
    }),
    ("connect", |h| {
        h.controller()
            .connect(
                OWN,
                "plain",
                "box",
                CreateEndpoint::default(),
                publishing(&["8080:80", "8000-8001:80-81"]),
            )
            .map(drop)
    }),
    ("change ports", |h| {
        let endpoint = h.controller().endpoints(OWN)?.remove(0);
        let ports = publishing(&["8080:80", "8081:81/udp", "9000-9002:9000-9002"]);
        h.controller()
            .set_ports(OWN, endpoint.id.as_str(), &ports.publish)
            .map(drop)
    }),
    ("swap ports", |h| {
        let endpoint = h.controller().endpoints(OWN)?.remove(0);
        let ports = publishing(&["8080:8080", "8081:8081/udp", "9000-9002:9000-9002"]);
        h.controller()
            .set_ports(OWN, endpoint.id.as_str(), &ports.publish)
            .map(drop)
    }),
    ("disconnect", |h| {
        h.controller().disconnect(OWN, "plain", "box").map(drop)
    }),
    ("delete sandbox", |h| {
        h.controller().delete_sandbox(OWN, "box").map(drop)
    }),
    ("delete network", |h| {
        h.controller().delete_network(OWN, "blue").map(drop)
    }),
];

/// What is there, without what differs from one run to the next by chance.
fn picture(dump: &Dump) -> (Vec<String>, Vec<String>, Vec<String>) {
    (
        dump.links
            .iter()
            .map(|l| format!("{} {} {}", l.kind, l.up, l.group))
            .collect(),
        dump.addresses.iter().map(|a| a.address.to_string()).collect(),
        dump.firewall.iter().map(|_| String::new()).collect(),
    )
}

fn prepared(steps: usize) -> Fixture {
    let host = Fixture::new();
    host.network("plain", "bridge");
    for (_, step) in &STEPS[..steps] {
        step(&host).unwrap();
    }
    host
}

/// Whatever there is, it can be taken down, and then nothing is left.
fn take_down(host: &Fixture, why: &str) {
    for endpoint in host.controller().endpoints(OWN).unwrap() {
        host.controller().leave(OWN, endpoint.id.as_str()).unwrap();
        host.controller().delete_endpoint(OWN, endpoint.id.as_str()).unwrap();
    }
    for sandbox in host.controller().sandboxes(OWN).unwrap() {
        host.controller().delete_sandbox(OWN, sandbox.id.as_str()).unwrap();
    }
    host.controller().prune_networks(OWN).unwrap();
    assert_eq!(host.dump().links.len(), 1, "{why}: the loopback is left");
    assert_eq!(
        std::fs::read_dir(host.dir.path().join("run/netns")).unwrap().count(),
        0,
        "{why}: no namespace is pinned"
    );
}

#[test]
fn cut_off_at_any_record_the_kernel_is_as_before_or_as_after() {
    for (at, (name, step)) in STEPS.iter().enumerate() {
        let before = picture(&prepared(at).dump());
        let after = picture(&prepared(at + 1).dump());
        for boundary in 0.. {
            let (record, early) = (1 + boundary / 2, boundary % 2 == 0);
            let mut host = prepared(at);
            host.controller()
                .inner
                .journal
                .observe(Arc::new(CrashAtRecord::new(host.faulty.clone(), record, early)));
            let result = step(&host);
            let survived = !host.faulty.is_dead();
            host.restart();
            let why = format!("{name}, {} record {record}", if early { "before" } else { "after" });
            let found = picture(&host.dump());
            assert!(
                found == before || found == after,
                "{why}: {found:?}\nbefore {before:?}\nafter {after:?}"
            );
            assert!(result.is_err() || found == after, "{why}: what was promised holds");
            take_down(&host, &why);
            if survived {
                break;
            }
        }
    }
}

#[test]
fn whichever_request_the_kernel_refuses_nothing_is_left_of_a_way_up() {
    for (at, (name, step)) in STEPS.iter().enumerate().take(4) {
        for n in 1.. {
            let host = prepared(at);
            let before = host.dump();
            host.faulty.arm(n, Fault::Refused);
            let result = step(&host);
            let why = format!("{name}, request {n}");
            if host.faulty.disarm() {
                break;
            }
            // Not every request is one that must succeed; but what failed has left nothing.
            if result.is_err() {
                assert_eq!(host.dump(), before, "{why}");
                let endpoints = host.controller().endpoints(OWN).unwrap().len();
                assert_eq!(endpoints, usize::from(at > 2), "{why}");
            }
            take_down(&host, &why);
        }
    }
}

#[test]
fn whichever_request_the_kernel_refuses_the_way_down_ends_where_it_should() {
    for (at, (name, step)) in STEPS.iter().enumerate().skip(5) {
        let after = picture(&prepared(at + 1).dump());
        for n in 1.. {
            let host = prepared(at);
            host.faulty.arm(n, Fault::Refused);
            let why = format!("{name}, request {n}");
            step(&host).unwrap_or_else(|e| panic!("{why}: {e}"));
            if host.faulty.disarm() {
                break;
            }
            assert_eq!(picture(&host.dump()), after, "{why}");
            take_down(&host, &why);
        }
    }
}

/// Where the new ports want a host port of the old ones, the old have to go first: there is a moment in which there are neither.
#[test]
fn cut_off_while_ports_swap_the_endpoint_has_the_old_or_the_new() {
    for (driver, programs) in [("bridge", false), ("scripted", true)] {
        for boundary in 0.. {
            let mut host = Fixture::new();
            host.script.programs.store(programs, Ordering::Relaxed);
            host.network("blue", driver);
            host.sandbox("box");
            let before = host.connect_with("blue", "box", publishing(&["90:90", "8080:80", "70"]));
            let (record, early) = (1 + boundary / 2, boundary % 2 == 0);
            let fault = CrashAtRecord::new(host.faulty.clone(), record, early);
            host.controller().inner.journal.observe(Arc::new(fault));
            let new = publishing(&["90:90", "8080:81"]).publish;
            let changed = host.controller().set_ports(OWN, before.id.as_str(), &new);
            let survived = !host.faulty.is_dead();
            host.restart();
            let why = format!("{driver}, {} record {record}", if early { "before" } else { "after" });
            expect_old_or_new(&host, &before, changed.is_ok(), &why);
            take_down(&host, &why);
            if survived {
                assert!(boundary > 6, "{why}: only so many boundaries were met");
                break;
            }
        }
    }
}

/// The old are the same to the number that was chosen, and can be changed as before.
fn expect_old_or_new(host: &Fixture, before: &EndpointInfo, changed: bool, why: &str) {
    let found = host.controller().endpoint(OWN, before.id.as_str()).unwrap().ports;
    let sorted = |ports: &[PortMapping]| {
        let mut ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
        ports.sort();
        ports
    };
    let new = ["0.0.0.0:8080->81/tcp", "0.0.0.0:90->90/tcp"];
    let there = sorted(&found);
    assert!(
        there == new || (!changed && there == sorted(&before.ports)),
        "{why}: {there:?}"
    );
    let elements = |line: &&String| line.contains(" set publish") && line.contains(" element ");
    assert_eq!(
        host.dump().firewall.iter().filter(elements).count(),
        there.len(),
        "{why}"
    );
    let asked = if there == new {
        &["90:90", "8080:81"][..]
    } else {
        &["90:90", "8080:80", "70"]
    };
    let again = host
        .controller()
        .set_ports(OWN, before.id.as_str(), &publishing(asked).publish);
    assert_eq!(
        sorted(&again.unwrap().into_inner().ports),
        there,
        "{why}: the words are those that were asked"
    );
}
