//! What is somebody else's and in our way: the operation is refused or steps around it, at whatever request the kernel fails besides, and
//! the stranger's link, index or route is afterwards what it was.

use jackfield_controller::request::{CreateEndpoint, Join, RealmRef};
use jackfield_kernel::{
    Dump, Ifindex, LinkAt, Namespace, Place, Request,
    faulty::Fault,
    plan::{LinkKind, NewLink, Route, VethPeer},
};
use jackfield_lab::{Lab, LabError, Result};
use jackfield_model::{Error, LinkName, MacAddr};
use jackfield_scenarios::{Inner, KINDS, Kind, difference, expect_as_before};

const REALM: RealmRef = RealmRef::Own;
const FAULTS: [Fault; 3] = [Fault::Refused, Fault::LostBefore, Fault::LostAfter];
/// Far from the kernel's own indexes, and from the host's.
const STRANGER: u32 = 2000;
/// Far more than one operation sends.
const MOST_REQUESTS: u64 = 200;

fn told(step: &str) -> impl FnOnce(Error) -> LabError + '_ {
    move |cause| LabError::new(step, cause)
}

fn index(number: u32) -> Result<Ifindex> {
    Ifindex::new(number).ok_or_else(|| LabError::new("a stranger's link", format!("{number} is no index")))
}

fn name(text: &str) -> Result<LinkName> {
    text.parse().map_err(told("a stranger's link"))
}

/// A pair of somebody else's: one end has the name and the index, the other the next index.
fn stranger(lab: &Lab, namespace: &Namespace, called: &str, number: u32) -> Result<()> {
    let at = |number| -> Result<LinkAt> {
        Ok(LinkAt {
            place: Place::Realm,
            index: index(number)?,
        })
    };
    let link = NewLink {
        at: at(number)?,
        name: name(called)?,
        mac: MacAddr::random(),
        mtu: None,
        kind: LinkKind::Veth {
            peer: VethPeer {
                at: at(number + 1)?,
                name: name(&format!("str{}", number + 1))?,
                mac: MacAddr::random(),
                mtu: None,
            },
        },
    };
    let create = Request::CreateLink {
        link: Box::new(link),
        controller: None,
        group: 0,
        sandbox: None,
    };
    lab.send(namespace, &[create])
}

/// A lab with a cable, and a host's insides in it.
fn open(scenario: &str, kind: &Kind) -> Result<(Lab, Dump, Inner)> {
    let lab = Lab::new(&format!("foreign-{scenario}-{}", kind.driver))?;
    lab.uplink("up0", "outside")?;
    let before = lab.dump()?;
    let inner = Inner::open(&lab, kind)?;
    Ok((lab, before, inner))
}

/// The operation is refused, without any fault and with each fault at each of its requests, and nothing is different afterwards.
fn stays_refused(
    lab: &Lab,
    inner: &Inner,
    sandbox: Option<&Namespace>,
    step: &str,
    attempt: impl Fn() -> Result<(), Error>,
) -> Result<()> {
    let before = inner.settled(lab, sandbox)?;
    for fault in FAULTS {
        for n in 1..MOST_REQUESTS {
            inner.kernel.arm(n, fault);
            let outcome = attempt();
            let unreached = inner.kernel.disarm();
            let after = inner.settled(lab, sandbox)?;
            assert!(
                outcome.is_err(),
                "{step}: what is somebody else's was taken, {fault:?} at {n}"
            );
            assert!(
                after == before,
                "{step}, {fault:?} at {n}: {}",
                difference(&before, &after)
            );
            if unreached {
                break;
            }
        }
    }
    Ok(())
}

/// The last words of every scenario: ours is all gone, the stranger's is removed by the stranger, and the realm is as at first.
fn clean_up(lab: Lab, inner: Inner, before: &Dump, strangers: &[u32]) -> Result<()> {
    let gone = |outcome: Result<(), Error>| match outcome {
        Err(e) if e.code == jackfield_model::ErrorCode::NotFound => Ok(()),
        other => other,
    };
    let controller = &inner.controller;
    gone(controller.delete_sandbox(REALM, "a").map(drop)).map_err(told("delete sandbox"))?;
    gone(controller.delete_network(REALM, "blue").map(drop)).map_err(told("delete network"))?;
    inner.settled(&lab, None)?;
    for number in strangers {
        let index = index(*number)?;
        lab.send(lab.realm(), &[Request::DeleteLink { index }])?;
    }
    drop(inner);
    expect_as_before(&lab, before)?;
    lab.passed()
}

#[test]
fn a_strangers_link_with_the_bridges_name_is_left_alone() -> Result<()> {
    let kind = Kind {
        options: &[("bridge", "blue0")],
        ..KINDS[0]
    };
    let (lab, before, inner) = open("name", &kind)?;
    stranger(&lab, lab.realm(), "blue0", STRANGER)?;
    stays_refused(&lab, &inner, None, "create network", || {
        inner.create_network(REALM, &kind)
    })?;
    clean_up(lab, inner, &before, &[STRANGER])
}

/// The host's next indexes are held by strangers: it is refused them until it comes to one that is free.
fn next_indexes_are_taken(kind: &Kind) -> Result<()> {
    const TAKEN: u32 = 8;
    let (lab, before, inner) = open("index", kind)?;
    inner.create_network(REALM, kind).map_err(told("create network"))?;
    let sandbox = inner.create_sandbox(REALM, "a").map_err(told("create sandbox"))?;
    inner.connect(REALM, "a", &[]).map_err(told("connect"))?;
    let links = [lab.dump()?.links, lab.dump_of(&sandbox)?.links].concat();
    let highest = links.iter().map(|link| link.index.get()).max();
    let first = highest.unwrap_or_default() + 1;
    assert!(first > 0x4000_0000, "the host's own range: {first}");
    inner
        .controller
        .disconnect(REALM, "blue", "a")
        .map_err(told("disconnect"))?;
    let strangers: Vec<u32> = (0..TAKEN / 2).map(|n| first + 2 * n).collect();
    for number in &strangers {
        for namespace in [lab.realm(), &sandbox] {
            stranger(&lab, namespace, &format!("str{number}"), *number)?;
        }
    }
    let standing = inner.settled(&lab, Some(&sandbox))?;
    let mut refused = 0;
    while let Err(error) = inner.connect(REALM, "a", &[]) {
        let now = inner.settled(&lab, Some(&sandbox))?;
        assert!(now == standing, "{error}: {}", difference(&standing, &now));
        refused += 1;
        assert!(refused <= TAKEN, "it comes to a free index: {error}");
    }
    inner
        .controller
        .disconnect(REALM, "blue", "a")
        .map_err(told("disconnect"))?;
    let after = inner.settled(&lab, Some(&sandbox))?;
    assert!(after == standing, "{}", difference(&standing, &after));
    clean_up(lab, inner, &before, &strangers)
}

#[test]
fn strangers_links_with_the_hosts_next_indexes_are_left_alone_by_the_bridge() -> Result<()> {
    next_indexes_are_taken(&KINDS[0])
}

#[test]
fn strangers_links_with_the_hosts_next_indexes_are_left_alone_by_the_ptp_component() -> Result<()> {
    next_indexes_are_taken(&KINDS[1])
}

#[test]
fn strangers_links_with_the_hosts_next_indexes_are_left_alone_by_the_macvlan_component() -> Result<()> {
    next_indexes_are_taken(&KINDS[3])
}

/// A ptp endpoint has a route to its address: where somebody else has routed that very address elsewhere, the join is refused.
#[test]
fn a_strangers_route_to_the_endpoints_address_is_left_alone() -> Result<()> {
    let kind = &KINDS[1];
    let (lab, before, inner) = open("route", kind)?;
    inner.create_network(REALM, kind).map_err(told("create network"))?;
    let sandbox = inner.create_sandbox(REALM, "a").map_err(told("create sandbox"))?;
    stranger(&lab, lab.realm(), "theirs", STRANGER)?;
    let asked = "10.77.9.40";
    let address = format!("{asked}/32");
    let destination = address
        .parse()
        .map_err(|cause| LabError::new("a stranger's route", cause))?;
    let up = Request::SetLink {
        index: index(STRANGER)?,
        setting: jackfield_kernel::plan::LinkSetting::Up(true),
    };
    let route = Request::AddRoute(Route::connected(destination, index(STRANGER)?));
    lab.send(lab.realm(), &[up, route])?;
    stays_refused(&lab, &inner, Some(&sandbox), "connect", || {
        let endpoint = CreateEndpoint {
            addresses: vec![asked.parse().map_err(|_| Error::internal("an address"))?],
            ..CreateEndpoint::default()
        };
        let controller = &inner.controller;
        controller
            .connect(REALM, "blue", "a", endpoint, Join::default())
            .map(drop)
    })?;
    clean_up(lab, inner, &before, &[STRANGER])
}

/// A sandbox may have links of its own making: the next free name is taken, and a name asked for is refused where it is not free.
#[test]
fn a_strangers_eth0_in_the_sandbox_is_left_alone() -> Result<()> {
    for kind in &KINDS {
        let (lab, before, inner) = open("eth0", kind)?;
        inner.create_network(REALM, kind).map_err(told("create network"))?;
        let sandbox = inner.create_sandbox(REALM, "a").map_err(told("create sandbox"))?;
        stranger(&lab, &sandbox, "eth0", STRANGER)?;
        let eth0 = Join {
            interface: Some(name("eth0")?),
            ..Join::default()
        };
        let connect = |join| {
            let endpoint = CreateEndpoint::default();
            inner.controller.connect(REALM, "blue", "a", endpoint, join)
        };
        stays_refused(&lab, &inner, Some(&sandbox), "connect as eth0", || {
            connect(eth0.clone()).map(drop)
        })?;
        let standing = inner.settled(&lab, Some(&sandbox))?;
        let joined = connect(Join::default()).map_err(told("connect"))?.into_inner();
        assert_eq!(joined.interface, Some(name("eth1")?), "{}", kind.driver);
        let left = inner.controller.disconnect(REALM, "blue", "a");
        left.map_err(told("disconnect"))?;
        let mut after = inner.settled(&lab, Some(&sandbox))?;
        // The first join sets the sandbox's loopback up, and it stays up: that is the sandbox's, not the endpoint's.
        let (Some(inside), Some(was)) = (&mut after.1, &standing.1) else {
            return Err(LabError::new("dump the sandbox", "it was not asked for"));
        };
        let theirs = |dump: &Dump| {
            dump.links
                .iter()
                .filter(|l| l.index.get() >= STRANGER)
                .cloned()
                .collect::<Vec<_>>()
        };
        assert_eq!(theirs(inside), theirs(was), "{}", kind.driver);
        assert!(after.0 == standing.0, "{}", difference(&standing.0, &after.0));
        clean_up(lab, inner, &before, &[])?;
    }
    Ok(())
}
