//! Routes and rules.

use jackfield_model::Family;

use super::{Bench, bridge, index, ip, name, net, table::*, up};
use crate::{
    PROTOCOL, Request,
    plan::{LinkSetting, Route, RouteKind, Rule},
};

#[test]
fn routes_and_rules_come_and_go() {
    check(|bench| {
        let before = || {
            let quiet = set(1, LinkSetting::AddressGeneration(false));
            let address = |text| Request::AddAddress {
                index: index(1),
                address: net(text),
            };
            vec![
                bench.create(bridge(1, "d0")),
                quiet,
                up(1),
                address("10.1.0.1/24"),
                address("fd00::1/64"),
            ]
        };
        let route = |name, route: Route| Row {
            name,
            before: before(),
            make: vec![Request::AddRoute(route.clone())],
            seen: |r, _| r.routes.iter().any(|r| r.protocol == PROTOCOL),
            unmake: vec![Request::DeleteRoute(route)],
        };
        let rule = |name, rule: Rule| Row {
            name,
            before: before(),
            make: vec![Request::AddRule(rule.clone())],
            seen: |r, _| r.rules.iter().any(|r| r.protocol == PROTOCOL),
            unmake: vec![Request::DeleteRule(rule)],
        };
        let all = some_routes().into_iter().map(|(name, r)| route(name, r));
        all.chain(some_rules().into_iter().map(|(name, r)| rule(name, r)))
            .collect()
    });
}

fn some_routes() -> Vec<(&'static str, Route)> {
    let i = index(1);
    let reject = |kind| Route {
        link: None,
        kind,
        ..Route::connected(net("10.3.0.0/16"), i)
    };
    vec![
        ("on the link", Route::connected(net("10.2.0.0/16"), i)),
        ("by a gateway", Route::via(net("10.2.0.0/16"), ip("10.1.0.254"), i)),
        ("default", Route::via(net("0.0.0.0/0"), ip("10.1.0.254"), i)),
        ("IPv6 on the link", Route::connected(net("fd01::/64"), i)),
        ("IPv6 default", Route::via(net("::/0"), ip("fd00::ff"), i)),
        (
            "gateway onlink",
            Route {
                onlink: true,
                ..Route::via(net("10.2.0.0/16"), ip("192.168.7.1"), i)
            },
        ),
        (
            "IPv4 by an IPv6 gateway",
            Route::via(net("10.2.0.0/16"), ip("fd00::ff"), i),
        ),
        ("blackhole", reject(RouteKind::Blackhole)),
        ("unreachable", reject(RouteKind::Unreachable)),
        ("prohibit", reject(RouteKind::Prohibit)),
        (
            "IPv6 blackhole",
            Route {
                destination: net("fd03::/64"),
                ..reject(RouteKind::Blackhole)
            },
        ),
        (
            "with everything",
            Route {
                source: Some(ip("10.1.0.1")),
                metric: Some(77),
                table: Some(1000),
                mtu: Some(1280),
                advmss: Some(1200),
                ..Route::via(net("10.2.0.0/16"), ip("10.1.0.254"), i)
            },
        ),
    ]
}

fn some_rules() -> Vec<(&'static str, Rule)> {
    let rule = Rule {
        family: Family::Ipv4,
        priority: 1000,
        table: 1000,
        from: None,
        to: None,
        iif: None,
        oif: None,
        fwmark: None,
    };
    vec![
        (
            "from and to",
            Rule {
                from: Some(net("10.1.0.0/24")),
                to: Some(net("10.2.0.0/16")),
                ..rule.clone()
            },
        ),
        (
            "links and mark",
            Rule {
                iif: Some(name("d0")),
                oif: Some(name("d0")),
                fwmark: Some(5),
                ..rule.clone()
            },
        ),
        (
            "IPv6",
            Rule {
                family: Family::Ipv6,
                from: Some(net("fd00::/64")),
                ..rule
            },
        ),
    ]
}

#[test]
fn routes_and_rules_are_read_back_as_they_were_given() {
    let Some(bench) = Bench::new() else { return };
    let address = |text| Request::AddAddress {
        index: index(1),
        address: net(text),
    };
    bench.realm(&[
        bench.create(bridge(1, "d0")),
        up(1),
        address("10.1.0.1/24"),
        address("fd00::1/64"),
    ]);
    for (name, route) in some_routes() {
        bench.realm(&[Request::AddRoute(route.clone())]);
        let (dump, _) = bench.dump();
        let read: Vec<_> = dump
            .routes
            .into_iter()
            .filter(|r| r.protocol == PROTOCOL)
            .map(|r| r.route)
            .collect();
        assert_eq!(read, std::slice::from_ref(&route), "{name}");
        bench.realm(&[Request::DeleteRoute(route)]);
    }
    for (name, rule) in some_rules() {
        bench.realm(&[Request::AddRule(rule.clone())]);
        let (dump, _) = bench.dump();
        let read: Vec<_> = dump
            .rules
            .into_iter()
            .filter(|r| r.protocol == PROTOCOL)
            .map(|r| r.rule)
            .collect();
        assert_eq!(read, std::slice::from_ref(&rule), "{name}");
        bench.realm(&[Request::DeleteRule(rule)]);
    }
}
