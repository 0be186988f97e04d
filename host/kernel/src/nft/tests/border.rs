//! Packets through the host's table at the border of networks: who gets in, who gets out, and who is marked.

use jackfield_model::{Family, Transport as Protocol};

use super::{net::*, nodes::has_program};
use crate::{
    FirewallChange::{self, Add},
    nft::apply,
    plan::{Entry, FirewallRule},
};

#[test]
fn nothing_crosses_the_border_of_an_internal_network() {
    let Some(mut net) = Net::new() else { return };
    net.route_from_outside();
    let crossing = [
        (&net.a, "192.0.2.2:7000", &net.outside, "0.0.0.0:7000"),
        (&net.outside, "10.1.0.2:7000", &net.a, "0.0.0.0:7000"),
        (&net.a, "[2001:db8::2]:7000", &net.outside, "[::]:7000"),
        (&net.a, "10.2.0.2:7000", &net.c, "0.0.0.0:7000"),
        (&net.c, "10.1.0.2:7000", &net.a, "0.0.0.0:7000"),
    ];
    for (client, to, server, listen) in crossing {
        assert!(
            seen(client, to, server, listen, PATIENCE).is_some(),
            "before, {to} is reached"
        );
    }
    let rules = [
        FirewallRule::Internal {
            link: "br0".parse().unwrap(),
        },
        FirewallRule::Inside {
            subnet: "10.1.0.0/24".parse().unwrap(),
        },
    ];
    apply(&mut net.firewall, &rules.map(Add)).unwrap();
    for (client, to, server, listen) in crossing {
        assert_eq!(
            seen(client, to, server, listen, IMPATIENCE),
            None,
            "{to} must not be reached"
        );
    }
    assert_eq!(
        seen(&net.a, "10.1.0.3:7000", &net.b, "0.0.0.0:7000", PATIENCE),
        address("10.1.0.2")
    );
    assert_eq!(
        seen(&net.a, "[fd00:1::3]:7000", &net.b, "[::]:7000", PATIENCE),
        address("fd00:1::2")
    );
    assert!(
        seen(&net.c, "192.0.2.2:7000", &net.outside, "0.0.0.0:7000", PATIENCE).is_some(),
        "others are not concerned"
    );
}

/// As a driver without a bridge has it: each endpoint on a link of its own, all of one subnet.
#[test]
fn an_internal_network_of_several_links_is_one_network() {
    let Some(mut net) = Net::new() else { return };
    net.route_from_outside();
    for link in ["br0", "p0"] {
        net.add(FirewallRule::Internal {
            link: link.parse().unwrap(),
        });
        net.member(link);
    }
    for (link, address) in [
        ("br0", "10.1.0.2"),
        ("br0", "fd00:1::2"),
        ("p0", "10.2.0.2"),
        ("p0", "fd00:2::2"),
    ] {
        net.home(link, address);
    }
    assert_eq!(
        seen(&net.c, "10.1.0.2:7000", &net.a, "0.0.0.0:7000", IMPATIENCE),
        None,
        "two internal networks are two"
    );
    net.add(FirewallRule::Inside {
        subnet: "10.0.0.0/14".parse().unwrap(),
    });
    net.add(FirewallRule::Inside {
        subnet: "fd00::/24".parse().unwrap(),
    });
    assert_eq!(
        seen(&net.c, "10.1.0.2:7000", &net.a, "0.0.0.0:7000", PATIENCE),
        address("10.2.0.2")
    );
    assert_eq!(
        seen(&net.a, "[fd00:2::2]:7000", &net.c, "[::]:7000", PATIENCE),
        address("fd00:1::2")
    );
    assert_eq!(
        seen(&net.c, "192.0.2.2:7000", &net.outside, "0.0.0.0:7000", IMPATIENCE),
        None
    );
}

/// Two networks of one host, each with one link.
fn two_networks(net: &mut Net) {
    net.route_from_outside();
    for (link, v4, v6) in [
        ("br0", "10.1.0.0/24", "fd00:1::/64"),
        ("p0", "10.2.0.0/24", "fd00:2::/64"),
    ] {
        net.member(link);
        net.inside(v4);
        net.inside(v6);
    }
}

#[test]
fn members_of_two_networks_do_not_reach_each_other_and_reach_all_else() {
    let Some(mut net) = Net::new() else { return };
    two_networks(&mut net);
    for (client, to, server) in [
        (&net.a, "10.2.0.2:7000", &net.c),
        (&net.a, "[fd00:2::2]:7000", &net.c),
        (&net.c, "10.1.0.2:7000", &net.a),
        (&net.c, "[fd00:1::2]:7000", &net.a),
    ] {
        assert!(Net::barred(client, to, server), "{to} is another network's");
    }
    for (client, to, server) in [
        (&net.a, "10.1.0.3:7000", &net.b),
        (&net.a, "[fd00:1::3]:7000", &net.b),
        (&net.a, "192.0.2.2:7000", &net.outside),
        (&net.a, "[2001:db8::2]:7000", &net.outside),
        (&net.outside, "10.1.0.2:7000", &net.a),
        (&net.outside, "[fd00:2::2]:7000", &net.c),
        (&net.host, "10.1.0.2:7000", &net.a),
    ] {
        assert!(Net::reaches(client, to, server), "{to} is reached");
    }
}

/// As with Docker's userland proxy: by the host's address a port is published for everybody.
#[test]
fn a_published_port_is_reached_from_another_network() {
    let Some(mut net) = Net::new() else { return };
    two_networks(&mut net);
    net.publish(Protocol::Tcp, "0.0.0.0:8080", "10.1.0.2:80", 1);
    net.publish(Protocol::Tcp, "[::]:8080", "[fd00:1::2]:80", 1);
    for (to, listen) in [("192.0.2.1:8080", "0.0.0.0:80"), ("[2001:db8::1]:8080", "[::]:80")] {
        assert!(seen(&net.c, to, &net.a, listen, PATIENCE).is_some(), "{to}");
    }
    assert!(Net::barred(&net.c, "10.1.0.2:80", &net.a), "not by its own address");
}

#[test]
fn links_of_one_network_reach_each_other_and_nobody_can_lie_about_his_network() {
    let Some(mut net) = Net::new() else { return };
    for link in ["br0", "p0"] {
        net.member(link);
    }
    net.inside("10.0.0.0/14");
    net.home("br0", "10.1.0.2");
    net.home("p0", "10.2.0.2");
    assert!(Net::reaches(&net.a, "10.2.0.2:7000", &net.c));
    assert!(Net::reaches(&net.c, "10.1.0.2:7000", &net.a));
    assert!(
        Net::barred(&net.b, "10.2.0.2:7000", &net.c),
        "its address is at home nowhere"
    );
    net.add(FirewallRule::Together {
        a: "p0".parse().unwrap(),
        b: "br0".parse().unwrap(),
    });
    assert!(
        Net::reaches(&net.b, "10.2.0.2:7000", &net.c),
        "the links belong together"
    );
    assert!(Net::reaches(&net.c, "10.1.0.3:7000", &net.b));
}

#[test]
fn each_gateway_mode_lets_in_what_it_says() {
    let Some(mut net) = Net::new() else { return };
    two_networks(&mut net);
    net.publish(Protocol::Tcp, "0.0.0.0:8080", "10.1.0.2:80", 1);
    net.open(Protocol::Tcp, "10.1.0.2:90", 1);
    net.open(Protocol::Tcp, "[fd00:1::2]:90", 10);
    for (entry, direct, open) in [
        (Entry::Published, false, false),
        (Entry::Open, false, true),
        (Entry::Anything, true, true),
    ] {
        for family in [Family::Ipv4, Family::Ipv6] {
            net.entry("br0", family, entry);
        }
        for client in [&net.outside, &net.c] {
            assert!(Net::passes(client, "10.1.0.2:80", &net.a, direct), "{entry:?}");
            assert!(Net::passes(client, "[fd00:1::2]:80", &net.a, direct), "{entry:?}");
            assert!(Net::passes(client, "10.1.0.2:90", &net.a, open), "{entry:?}");
            assert!(Net::passes(client, "[fd00:1::2]:95", &net.a, open), "{entry:?}");
        }
        assert_eq!(
            seen(&net.outside, "192.0.2.1:8080", &net.a, "0.0.0.0:80", PATIENCE),
            address("192.0.2.2"),
            "{entry:?}: published is published"
        );
        assert!(
            Net::reaches(&net.a, "192.0.2.2:7000", &net.outside),
            "{entry:?}: the way out"
        );
        assert!(
            Net::reaches(&net.host, "10.1.0.2:7000", &net.a),
            "{entry:?}: the host itself"
        );
        for family in [Family::Ipv4, Family::Ipv6] {
            let rule = FirewallRule::Entry {
                link: "br0".parse().unwrap(),
                family,
                entry,
            };
            apply(&mut net.firewall, &[FirewallChange::Remove(rule)]).unwrap();
        }
    }
}

#[test]
fn a_trusted_link_enters_everywhere() {
    let Some(mut net) = Net::new() else { return };
    two_networks(&mut net);
    net.entry("br0", Family::Ipv4, Entry::Published);
    assert!(Net::barred(&net.outside, "10.1.0.2:7000", &net.a));
    for from in ["wan", "p0"] {
        net.add(FirewallRule::Trusted {
            link: "br0".parse().unwrap(),
            from: from.parse().unwrap(),
        });
    }
    assert!(Net::reaches(&net.outside, "10.1.0.2:7000", &net.a));
    assert!(
        Net::reaches(&net.c, "10.1.0.2:7000", &net.a),
        "another network's link, by the operator's word"
    );
    assert!(Net::barred(&net.a, "10.2.0.2:7000", &net.c), "one way");
}

/// A network on a bridge of somebody else's: its subnet is walled as if the bridge were its own, and what else goes by the bridge is not.
#[test]
fn a_subnet_that_is_laid_on_a_bridge_is_a_network_and_the_rest_of_the_bridge_is_not() {
    let Some(mut net) = Net::new() else { return };
    net.route_from_outside();
    net.host.sh("ip addr add 10.1.1.1/24 dev br0");
    net.b.sh(
        "ip addr add 10.1.1.3/24 dev eth0; ip addr del 10.1.0.3/24 dev eth0; ip route replace default via 10.1.1.1",
    );
    net.outside.sh("ip route replace 10.1.0.0/16 via 192.0.2.1");
    let laid = |subnet: &str| FirewallRule::Laid {
        link: "br0".parse().unwrap(),
        subnet: subnet.parse().unwrap(),
    };
    for subnet in ["10.1.0.0/24", "fd00:1::/64"] {
        net.add(laid(subnet));
        net.inside(subnet);
        net.add(FirewallRule::LaidEntry {
            link: "br0".parse().unwrap(),
            subnet: subnet.parse().unwrap(),
            entry: Entry::Published,
        });
    }
    net.member("p0");
    net.inside("10.2.0.0/24");
    net.publish(Protocol::Tcp, "0.0.0.0:8080", "10.1.0.2:80", 1);
    for (client, to, server, reached) in [
        (&net.a, "10.2.0.2:7000", &net.c, false),
        (&net.c, "10.1.0.2:7000", &net.a, false),
        (&net.c, "[fd00:1::2]:7000", &net.a, false),
        (&net.outside, "10.1.0.2:7000", &net.a, false),
        (&net.outside, "[fd00:1::2]:7000", &net.a, false),
        (&net.a, "192.0.2.2:7000", &net.outside, true),
        (&net.a, "[fd00:1::3]:7000", &net.b, true),
        (&net.host, "10.1.0.2:7000", &net.a, true),
        // What else is on the bridge.
        (&net.c, "10.1.1.3:7000", &net.b, true),
        (&net.outside, "10.1.1.3:7000", &net.b, true),
        (&net.b, "10.1.0.2:7000", &net.a, true),
    ] {
        assert!(Net::passes(client, to, server, reached), "to {to}: {reached}");
    }
    assert!(seen(&net.outside, "192.0.2.1:8080", &net.a, "0.0.0.0:80", PATIENCE).is_some());
    // A second network on the same bridge.
    net.add(laid("10.1.1.0/24"));
    net.inside("10.1.1.0/24");
    assert!(Net::barred(&net.b, "10.1.0.2:7000", &net.a));
    assert!(Net::barred(&net.a, "10.1.1.3:7000", &net.b));
    net.add(FirewallRule::LaidTrusted {
        link: "br0".parse().unwrap(),
        subnet: "10.1.0.0/24".parse().unwrap(),
        from: "wan".parse().unwrap(),
    });
    assert!(
        Net::reaches(&net.outside, "10.1.0.2:7000", &net.a),
        "by the operator's word"
    );
}

/// In this state bridged traffic passes the firewall; where it does not, ports of the bridge are isolated.
#[test]
fn endpoints_of_a_closed_link_reach_each_other_by_published_ports_alone() {
    let Some(mut net) = Net::new() else { return };
    net.host
        .sh("cd /proc/sys/net/bridge || exit 0; echo 1 > bridge-nf-call-iptables; echo 1 > bridge-nf-call-ip6tables");
    net.member("br0");
    net.masquerade("10.1.0.0/24", "br0");
    net.publish(Protocol::Tcp, "0.0.0.0:8080", "10.1.0.3:80", 1);
    assert!(Net::reaches(&net.a, "10.1.0.3:7000", &net.b));
    net.add(FirewallRule::Closed {
        link: "br0".parse().unwrap(),
    });
    assert!(Net::barred(&net.a, "10.1.0.3:7000", &net.b));
    assert!(Net::barred(&net.a, "[fd00:1::3]:7000", &net.b));
    assert!(seen(&net.a, "192.0.2.1:8080", &net.b, "0.0.0.0:80", PATIENCE).is_some());
    assert!(Net::reaches(&net.a, "192.0.2.2:7000", &net.outside));
    assert!(Net::reaches(&net.host, "10.1.0.2:7000", &net.a));
}

#[test]
fn a_subnet_leaves_by_a_given_address() {
    let Some(mut net) = Net::new() else { return };
    net.host
        .sh("ip addr add 192.0.2.9/24 dev wan; ip addr add 2001:db8::9/64 dev wan nodad");
    for (subnet, source) in [("10.1.0.0/24", "192.0.2.9"), ("fd00:1::/64", "2001:db8::9")] {
        net.add(FirewallRule::MasqueradeAs {
            subnet: subnet.parse().unwrap(),
            link: "br0".parse().unwrap(),
            source: source.parse().unwrap(),
        });
    }
    for (to, server, listen, expected) in [
        ("192.0.2.2:7000", &net.outside, "0.0.0.0:7000", "192.0.2.9"),
        ("[2001:db8::2]:7000", &net.outside, "[::]:7000", "2001:db8::9"),
        ("10.1.0.3:7000", &net.b, "0.0.0.0:7000", "10.1.0.2"),
    ] {
        assert_eq!(seen(&net.a, to, server, listen, PATIENCE), address(expected), "to {to}");
    }
}

/// What Docker's FORWARD chain and firewalld's do: drop what no rule of theirs knows. An accept of ours beats neither; a rule in their tables
/// that looks at the mark does, and the mark is gone behind them.
#[test]
fn what_passes_is_marked_for_other_tables_and_nothing_else_is() {
    if !has_program("nft") {
        return;
    }
    let Some(mut net) = Net::new() else { return };
    net.host.sh("nft 'table ip theirs {
           chain forward { type filter hook forward priority 0; policy drop; meta mark & 0x08000000 != 0 accept; }
           chain behind { type filter hook postrouting priority 0; meta mark & 0x08000000 != 0 drop; }
         }'");
    net.route_from_outside();
    assert!(Net::barred(&net.a, "192.0.2.2:7000", &net.outside), "their policy");
    net.member("br0");
    net.masquerade("10.1.0.0/24", "br0");
    assert!(Net::reaches(&net.a, "192.0.2.2:7000", &net.outside), "ours passes");
    assert!(Net::barred(&net.c, "192.0.2.2:7000", &net.outside), "others do not");
}
