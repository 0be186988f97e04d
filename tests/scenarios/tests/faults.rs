//! The kernel refuses, or its answer is lost, at every request of every operation of every driver: what was there before is there
//! afterwards, no more and no less.

use jackfield_controller::request::RealmRef;
use jackfield_kernel::{Namespace, faulty::Fault};
use jackfield_lab::{Lab, LabError, Result};
use jackfield_model::Error;
use jackfield_scenarios::{Inner, KINDS, Kind, difference, expect_as_before};

const REALM: RealmRef = RealmRef::Own;
const FAULTS: [Fault; 3] = [Fault::Refused, Fault::LostBefore, Fault::LostAfter];
/// Far more than one operation sends.
const MOST_REQUESTS: u64 = 200;

/// An operation that brings something, and the one that takes it away.
struct Pair {
    name: &'static str,
    up: fn(&Inner, &Kind) -> Result<(), Error>,
    down: fn(&Inner) -> Result<(), Error>,
}

const NETWORK: Pair = Pair {
    name: "create network",
    up: |inner, kind| inner.create_network(REALM, kind),
    down: |inner| delete_if_there(inner.controller.delete_network(REALM, "blue").map(drop)),
};

const CONNECT: Pair = Pair {
    name: "connect",
    up: |inner, kind| inner.connect(REALM, "a", ports_of(kind)),
    down: |inner| inner.controller.disconnect(REALM, "blue", "a").map(drop),
};

/// The built-in bridge's round publishes: alone, as a range, and of a protocol whose clients are moved over.
fn ports_of(kind: &Kind) -> &'static [&'static str] {
    if kind.component.is_some() {
        return &[];
    }
    &["8080:80", "127.0.0.1:9000-9002:9000-9002", "53/udp"]
}

fn delete_if_there(outcome: Result<(), Error>) -> Result<(), Error> {
    match outcome {
        Err(e) if e.code == jackfield_model::ErrorCode::NotFound => Ok(()),
        other => other,
    }
}

fn told(step: &str) -> impl FnOnce(Error) -> LabError + '_ {
    move |cause| LabError::new(step, cause)
}

/// Every request of the way up fails once, in that manner: the operation fails and nothing of it is left, or it succeeds all the same.
fn fail_on_the_way_up(
    lab: &Lab,
    inner: &Inner,
    kind: &Kind,
    pair: &Pair,
    sandbox: Option<&Namespace>,
    fault: Fault,
) -> Result<u64> {
    let before = inner.settled(lab, sandbox)?;
    for n in 1..MOST_REQUESTS {
        let step = format!("{} of {}, request {n} {fault:?}", pair.name, kind.driver);
        inner.kernel.arm(n, fault);
        let outcome = (pair.up)(inner, kind);
        let unreached = inner.kernel.disarm();
        if outcome.is_ok() {
            (pair.down)(inner).map_err(told(&step))?;
        }
        let after = inner.settled(lab, sandbox)?;
        assert!(after == before, "{step}: {outcome:?}\n{}", difference(&before, &after));
        if unreached {
            outcome.map_err(told(&step))?;
            return Ok(n - 1);
        }
    }
    Err(LabError::new(pair.name, "it sends more requests than expected"))
}

/// Every request of the way down fails once: asked again, or by itself, all of it goes.
fn fail_on_the_way_down(
    lab: &Lab,
    inner: &Inner,
    kind: &Kind,
    pair: &Pair,
    sandbox: Option<&Namespace>,
    fault: Fault,
) -> Result<u64> {
    let before = inner.settled(lab, sandbox)?;
    for n in 1..MOST_REQUESTS {
        let step = format!(
            "the opposite of {} of {}, request {n} {fault:?}",
            pair.name, kind.driver
        );
        (pair.up)(inner, kind).map_err(told(&step))?;
        inner.kernel.arm(n, fault);
        let first = (pair.down)(inner);
        let settled = inner.settled(lab, sandbox)?;
        let unreached = inner.kernel.disarm();
        if first.is_err() {
            (pair.down)(inner).map_err(told(&step))?;
        }
        let after = if first.is_err() {
            inner.settled(lab, sandbox)?
        } else {
            settled
        };
        assert!(after == before, "{step}: {first:?}\n{}", difference(&before, &after));
        if unreached {
            return Ok(n - 1);
        }
    }
    Err(LabError::new(
        pair.name,
        "its opposite sends more requests than expected",
    ))
}

fn scenario(kind: &Kind) -> Result<()> {
    let lab = Lab::new(&format!("faults-{}", kind.driver))?;
    lab.uplink("up0", "outside")?;
    let before = lab.dump()?;
    let inner = Inner::open(&lab, kind)?;
    let mut met = 0;
    for fault in FAULTS {
        met += fail_on_the_way_up(&lab, &inner, kind, &NETWORK, None, fault)?;
        met += fail_on_the_way_down(&lab, &inner, kind, &NETWORK, None, fault)?;
    }
    inner.create_network(REALM, kind).map_err(told("create network"))?;
    let sandbox = inner.create_sandbox(REALM, "a").map_err(told("create sandbox"))?;
    // The first join sets the sandbox's loopback up, and it stays up: that is the sandbox's, not the endpoint's.
    (CONNECT.up)(&inner, kind)
        .and_then(|()| (CONNECT.down)(&inner))
        .map_err(told("connect once"))?;
    for fault in FAULTS {
        met += fail_on_the_way_up(&lab, &inner, kind, &CONNECT, Some(&sandbox), fault)?;
        met += fail_on_the_way_down(&lab, &inner, kind, &CONNECT, Some(&sandbox), fault)?;
    }
    assert!(met >= 12, "only {met} requests were made to fail");
    println!("{}: {met} faults", kind.driver);
    inner
        .controller
        .delete_sandbox(REALM, "a")
        .map_err(told("delete sandbox"))?;
    inner
        .controller
        .delete_network(REALM, "blue")
        .map_err(told("delete network"))?;
    inner.settled(&lab, None)?;
    drop(inner);
    expect_as_before(&lab, &before)?;
    lab.passed()
}

#[test]
fn a_fault_at_every_request_of_the_bridge_leaves_nothing() -> Result<()> {
    scenario(&KINDS[0])
}

/// The built-in bridge with all that it can be asked for at once.
const RICH_BRIDGE: Kind = Kind {
    options: &[
        ("bridge", "blue0"),
        ("mtu", "1400"),
        ("icc", "false"),
        ("gateway-mode-ipv4", "nat"),
        ("gateway-mode-ipv6", "nat-unprotected"),
        ("trusted-interfaces", "up0"),
        ("host-ipv6", "fd00::7"),
        ("interface-prefix", "net"),
        ("route", "10.99.0.0/16 via 10.77.9.200, fd99::/32 via fd00:77:9::200"),
        ("metric", "50"),
        ("bandwidth-in", "10mbit"),
        ("bandwidth-out", "10mbit"),
    ],
    ..KINDS[0]
};

#[test]
fn a_fault_at_every_request_of_the_bridge_with_every_option_leaves_nothing() -> Result<()> {
    scenario(&RICH_BRIDGE)
}

#[test]
fn a_fault_at_every_request_of_the_ptp_component_leaves_nothing() -> Result<()> {
    scenario(&KINDS[1])
}

#[test]
fn a_fault_at_every_request_of_the_bridge_component_leaves_nothing() -> Result<()> {
    scenario(&KINDS[2])
}

#[test]
fn a_fault_at_every_request_of_the_macvlan_component_leaves_nothing() -> Result<()> {
    scenario(&KINDS[3])
}

/// Two realms, one host, one name: each has its own.
#[test]
fn two_realms_have_a_network_of_the_same_name_each() -> Result<()> {
    let lab = Lab::new("two-realms")?;
    let other = lab.namespace("other")?;
    let (before, other_before) = (lab.dump()?, lab.dump_of(&other)?);
    let inner = Inner::open(&lab, &KINDS[0])?;
    let second = inner
        .controller
        .open_realm(other.clone())
        .map_err(told("open the other realm"))?;
    for (realm, sandbox) in [(REALM, "a"), (second, "a")] {
        inner.create_network(realm, &KINDS[0]).map_err(told("create network"))?;
        inner.create_sandbox(realm, sandbox).map_err(told("create sandbox"))?;
        inner.connect(realm, sandbox, &[]).map_err(told("connect"))?;
    }
    assert_eq!(
        lab.dump()?.links.len(),
        lab.dump_of(&other)?.links.len(),
        "each realm has its own bridge and port"
    );
    inner
        .controller
        .delete_sandbox(REALM, "a")
        .map_err(told("delete sandbox"))?;
    inner
        .controller
        .delete_network(REALM, "blue")
        .map_err(told("delete network"))?;
    inner.settled(&lab, None)?;
    expect_as_before(&lab, &before)?;
    assert_eq!(
        inner.controller.networks(second).map_err(told("list networks"))?.len(),
        1,
        "the other realm keeps its own"
    );
    inner
        .controller
        .delete_sandbox(second, "a")
        .map_err(told("delete sandbox"))?;
    inner
        .controller
        .delete_network(second, "blue")
        .map_err(told("delete network"))?;
    assert!(inner.controller.quiesce(), "the reapers come to an end");
    let other_after = lab.dump_of(&other)?;
    assert!(
        other_after == other_before,
        "{}",
        difference(&other_before, &other_after)
    );
    lab.passed()
}
