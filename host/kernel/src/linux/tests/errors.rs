//! What the kernel refuses is told for the request that it refused, and the others are done.

use nix::errno::Errno;

use super::{Bench, bridge, index, ip, mac, name, net, up, veth};
use crate::{
    Kernel, KernelError, Request,
    plan::{BridgePortAttributes, LinkAt, LinkKind, LinkSetting, NewLink, Place, Route, SysctlKey, SysctlTable},
};
use jackfield_model::Family;

#[test]
fn a_batch_goes_on_after_a_refusal_and_each_request_has_its_own_answer() {
    let Some(bench) = Bench::new() else { return };
    bench.realm(&[bench.create(bridge(1, "d0")), up(1)]);
    let add = |text| Request::AddAddress {
        index: index(1),
        address: net(text),
    };
    bench.realm(&[add("10.1.0.1/24")]);
    let errors = bench.errors(&[
        add("10.1.0.1/24"),
        add("10.1.0.2/24"),
        add("10.1.0.2/24"),
        add("10.1.0.3/24"),
    ]);
    assert_eq!(errors, [Some(Errno::EEXIST), None, Some(Errno::EEXIST), None]);
    assert_eq!(
        bench
            .dump()
            .0
            .addresses
            .iter()
            .filter(|a| a.index == index(1) && a.address.is_ipv4())
            .count(),
        3
    );
}

#[test]
fn what_exists_is_refused_and_what_is_missing_is_said_to_be() {
    let Some(bench) = Bench::new() else { return };
    bench.realm(&[bench.create(veth(1, "d0")), bench.create(bridge(2, "br0")), up(1)]);
    let gone = index(99);
    let key = SysctlKey {
        family: Family::Ipv4,
        table: SysctlTable::Conf,
        key: "proxy_arp".to_owned(),
    };
    let port = LinkSetting::BridgePort(BridgePortAttributes {
        isolated: Some(true),
        ..BridgePortAttributes::default()
    });
    let rows: Vec<(&str, Request, Errno)> = vec![
        ("name taken", bench.create(bridge(3, "d0")), Errno::EEXIST),
        ("index taken", bench.create(bridge(1, "other")), Errno::EEXIST),
        ("no such link", up(99), Errno::ENODEV),
        (
            "delete no such link",
            Request::DeleteLink { index: gone },
            Errno::ENODEV,
        ),
        (
            "delete an empty group",
            Request::DeleteGroup { group: 12345 },
            Errno::ENODEV,
        ),
        ("settle no such link", Request::Settle { index: gone }, Errno::ENODEV),
        (
            "a port of what is no bridge",
            Request::SetLink {
                index: index(2),
                setting: LinkSetting::Controller(Some(index(1))),
            },
            Errno::EOPNOTSUPP,
        ),
        (
            "a port of nothing",
            Request::SetLink {
                index: index(1),
                setting: LinkSetting::Controller(Some(gone)),
            },
            Errno::EINVAL,
        ),
        (
            "port settings of what is no port",
            Request::SetLink {
                index: index(1),
                setting: port,
            },
            Errno::EOPNOTSUPP,
        ),
        (
            "address on no link",
            Request::AddAddress {
                index: gone,
                address: net("10.0.0.1/24"),
            },
            Errno::ENODEV,
        ),
        (
            "no such address",
            Request::DeleteAddress {
                index: index(1),
                address: net("10.0.0.1/24"),
            },
            Errno::EADDRNOTAVAIL,
        ),
        (
            "no such neighbour",
            Request::DeleteNeighbour {
                index: index(1),
                address: ip("10.0.0.1"),
            },
            Errno::ENOENT,
        ),
        (
            "no such proxy",
            Request::DeleteProxyNeighbour {
                index: index(1),
                address: ip("10.0.0.1"),
            },
            Errno::ENOENT,
        ),
        (
            "neighbour on no link",
            Request::AddNeighbour {
                index: gone,
                address: ip("10.0.0.1"),
                mac: mac(1),
            },
            Errno::ENODEV,
        ),
        (
            "no such route",
            Request::DeleteRoute(Route::connected(net("10.9.0.0/16"), index(1))),
            Errno::ESRCH,
        ),
        (
            "gateway out of reach",
            Request::AddRoute(Route::via(net("10.9.0.0/16"), ip("192.0.2.1"), index(1))),
            Errno::ENETUNREACH,
        ),
        (
            "sysctl of no link",
            Request::WriteSysctl {
                index: gone,
                key: key.clone(),
                value: "1".to_owned(),
            },
            Errno::ENODEV,
        ),
        (
            "sysctl refused",
            Request::WriteSysctl {
                index: index(1),
                key,
                value: "much".to_owned(),
            },
            Errno::EINVAL,
        ),
    ];
    let before = bench.dump();
    for (what, request, expected) in rows {
        assert_eq!(bench.errors(&[request]), [Some(expected)], "{what}");
        assert_eq!(bench.dump(), before, "{what} changed something");
    }
}

#[test]
fn a_refused_creation_names_the_link_and_has_the_kernels_words() {
    let Some(bench) = Bench::new() else { return };
    bench.realm(&[bench.create(bridge(1, "d0"))]);
    let controller = Request::SetLink {
        index: index(1),
        setting: LinkSetting::Controller(Some(index(1))),
    };
    let answers = bench
        .kernel
        .send(&bench.realm, &[bench.create(bridge(1, "d0")), controller])
        .unwrap();
    let texts: Vec<_> = answers.into_iter().map(|a| a.unwrap_err()).collect();
    assert_eq!(
        texts[0].to_string(),
        "create link d0 (bridge, index 1073741825): File exists"
    );
    assert!(matches!(texts[1], KernelError::Explained { .. }), "{:?}", texts[1]);
}

#[test]
fn an_index_or_name_taken_in_the_sandbox_leaves_nothing_behind() {
    let Some(bench) = Bench::new() else { return };
    bench.realm(&[bench.create(veth(1, "v0"))]);
    let before = bench.dump();
    let veth_to = |called: &str, number: u32| {
        let LinkKind::Veth { peer } = veth(5, "v1").kind else {
            unreachable!()
        };
        let at = LinkAt {
            place: Place::Sandbox,
            index: index(number),
        };
        NewLink {
            kind: LinkKind::Veth {
                peer: crate::plan::VethPeer {
                    at,
                    name: name(called),
                    ..peer
                },
            },
            ..veth(5, "v1")
        }
    };
    assert_eq!(
        bench.errors(&[bench.create(veth_to("eth0", 6))]),
        [Some(Errno::EEXIST)],
        "name"
    );
    assert_eq!(
        bench.errors(&[bench.create(veth_to("eth1", 2))]),
        [Some(Errno::EBUSY)],
        "index"
    );
    assert_eq!(bench.dump(), before);
}

#[test]
fn sysctls_of_a_batch_are_written_in_turn_and_have_their_own_answers() {
    let Some(bench) = Bench::new() else { return };
    let write = |number: u32, key: &str, value: &str| {
        let key = SysctlKey {
            family: Family::Ipv4,
            table: SysctlTable::Conf,
            key: key.to_owned(),
        };
        Request::WriteSysctl {
            index: index(number),
            key,
            value: value.to_owned(),
        }
    };
    let rename = Request::RenameLink {
        index: index(1),
        name: name("other"),
    };
    let errors = |requests: &[Request]| {
        let answers = bench.kernel.send(&bench.realm, requests).unwrap();
        answers
            .into_iter()
            .map(|a| a.err().map(|e| e.to_string()))
            .collect::<Vec<_>>()
    };
    bench.realm(&[bench.create(bridge(1, "br0"))]);
    let answers = errors(&[
        write(1, "proxy_arp", "1"),
        write(1, "no_such_key", "1"),
        write(1, "../../ip_forward", "1"),
        write(99, "proxy_arp", "1"),
        rename,
        write(1, "forwarding", "1"),
    ]);
    let said = |place: usize| answers[place].as_deref().unwrap_or_default();
    assert_eq!((&answers[0], &answers[4], &answers[5]), (&None, &None, &None));
    assert!(said(1).ends_with("No such file or directory"), "{}", said(1));
    assert!(said(2).ends_with("expected a plain word as its key"), "{}", said(2));
    assert!(said(3).ends_with("No such device"), "{}", said(3));
    let sysctls = bench.dump().0.sysctls;
    assert_eq!(
        (
            &*sysctls["ipv4/conf/other/proxy_arp"],
            &*sysctls["ipv4/conf/other/forwarding"]
        ),
        ("1", "1")
    );
}

#[test]
fn a_link_for_a_sandbox_without_a_sandbox_is_refused_before_the_kernel_sees_it() {
    let Some(bench) = Bench::new() else { return };
    let lost = Request::CreateLink {
        link: Box::new(veth(1, "v0")),
        controller: None,
        group: 0,
        sandbox: None,
    };
    let answers = bench
        .kernel
        .send(&bench.realm, &[lost, bench.create(bridge(3, "d0"))])
        .unwrap();
    assert!(matches!(answers[0], Err(KernelError::Malformed { .. })));
    assert!(answers[1].is_ok());
}

#[test]
fn thousands_of_refusals_in_one_batch_all_come_back() {
    let Some(bench) = Bench::new() else { return };
    let missing: Vec<_> = (0..5000).map(|_| up(99)).collect();
    assert!(bench.errors(&missing).iter().all(|e| *e == Some(Errno::ENODEV)));
}
