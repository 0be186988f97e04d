//! The table beside other programs' tables, and after somebody was at it. The other tables are those of the real programs: see the heads of
//! the fixtures.

use super::nodes::{NetfilterSocket, Node, has_program};
use crate::{
    FirewallChange::{self, Add, DropTable, EnsureTable, Remove},
    nft::{Mended, apply, dump, lines, mend},
    plan::FirewallRule,
};

const DOCKER: &str = include_str!("fixtures/docker-20.10.nft");
const DOCKER_BY_IPTABLES: &str = include_str!("fixtures/docker-20.10.iptables");
const FIREWALLD: &str = include_str!("fixtures/firewalld-1.3.nft");

fn rules() -> Vec<FirewallRule> {
    let member = |name: &str| FirewallRule::Member {
        link: name.parse().unwrap(),
    };
    vec![member("br0"), member("br1")]
}

fn change(socket: &mut NetfilterSocket, changes: &[FirewallChange]) {
    apply(socket, changes).unwrap();
}

fn load(node: &Node, ruleset: &str) {
    node.sh(&format!("nft -f - <<'EOF'\n{ruleset}\nEOF"));
}

/// A namespace with `nft`, and a socket in it.
fn world() -> Option<(Node, NetfilterSocket)> {
    let node = Node::new().filter(|_| has_program("nft"))?;
    let socket = node.netfilter();
    Some((node, socket))
}

fn made() -> Vec<FirewallChange> {
    std::iter::once(EnsureTable)
        .chain(rules().into_iter().map(Add))
        .collect()
}

#[test]
fn one_rule_stands_in_each_table_that_would_drop_and_leaves_with_the_host() {
    let Some((node, mut socket)) = world() else { return };
    for (ruleset, listed) in [
        (DOCKER, "ip filter DOCKER-USER"),
        (FIREWALLD, "inet firewalld filter_FORWARD"),
    ] {
        load(&node, &format!("flush ruleset\n{ruleset}"));
        let before = dump(&mut socket).unwrap();
        change(&mut socket, &made());
        let chain = node.sh(&format!("nft list chain {listed}"));
        let head = chain
            .lines()
            .find(|line| !line.contains("policy") && line.contains("accept") || line.contains("return"))
            .unwrap();
        assert!(head.contains("mark & 0x08000000 == 0x08000000"), "{chain}");
        assert!(
            head.contains("accept comment \"jackfield: what its border lets pass\""),
            "{chain}"
        );
        change(&mut socket, &[Remove(rules()[0].clone())]);
        assert_eq!(
            node.sh("nft list ruleset").matches("jackfield: ").count(),
            1,
            "once, as long as anything stands"
        );
        change(&mut socket, &[DropTable]);
        assert_eq!(dump(&mut socket).unwrap(), before);
    }
}

#[test]
fn iptables_reads_the_rule_in_dockers_chain() {
    let Some((node, mut socket)) = world() else { return };
    if !has_program("iptables-nft") {
        return;
    }
    node.sh(&format!("iptables-nft-restore <<'EOF'\n{DOCKER_BY_IPTABLES}\nEOF"));
    change(&mut socket, &made());
    let saved = node.sh("iptables-nft-save");
    let expected = "-A DOCKER-USER -m mark --mark 0x8000000/0x8000000 -m comment --comment \"jackfield: what its border lets pass\" -j ACCEPT";
    assert!(saved.contains(expected), "{saved}");
    node.sh("iptables-nft -L DOCKER-USER -n");
}

#[test]
fn whatever_is_taken_out_is_put_back_and_what_is_whole_is_left_alone() {
    let Some((node, mut socket)) = world() else { return };
    load(&node, DOCKER);
    change(&mut socket, &made());
    let whole = dump(&mut socket).unwrap();
    assert_eq!(mend(&mut socket, &rules()).unwrap(), Mended::default());
    for (damage, missing) in [
        ("delete table inet jackfield", "the whole table"),
        ("flush table inet jackfield", "objects"),
        ("flush chain inet jackfield border", "objects"),
        ("delete element inet jackfield member { \"br0\" }", "1 of its"),
        ("add rule inet jackfield border drop", "1 objects were in it"),
    ] {
        node.sh(&format!("nft '{damage}'"));
        let mended = mend(&mut socket, &rules()).unwrap();
        assert!(mended.table.is_some_and(|words| words.contains(missing)), "{damage}");
        assert_eq!(dump(&mut socket).unwrap(), whole, "{damage}");
    }
    node.sh("nft flush chain ip filter DOCKER-USER; nft add rule ip filter DOCKER-USER counter return");
    let mended = mend(&mut socket, &rules()).unwrap();
    assert_eq!(
        (mended.table, mended.beside),
        (None, vec!["chain DOCKER-USER of ip filter".to_owned()])
    );
    assert_eq!(dump(&mut socket).unwrap(), whole);
}

#[test]
fn a_table_of_thousands_is_put_back_whole() {
    let Some((node, mut socket)) = world() else { return };
    let home = |n: u16| FirewallRule::Home {
        link: "br0".parse().unwrap(),
        address: std::net::Ipv4Addr::from(0x0a00_0000 + u32::from(n)).into(),
    };
    let many: Vec<_> = (1..4000).map(home).chain(rules()).collect();
    assert_eq!(mend(&mut socket, &many).unwrap().table.unwrap(), "the whole table");
    assert_eq!(dump(&mut socket).unwrap(), lines(&many).unwrap());
    node.sh("nft flush ruleset");
    mend(&mut socket, &many).unwrap();
    assert_eq!(dump(&mut socket).unwrap(), lines(&many).unwrap());
}

#[test]
fn without_rules_nothing_is_made_and_no_rule_is_left_in_others_tables() {
    let Some((node, mut socket)) = world() else { return };
    load(&node, DOCKER);
    let before = dump(&mut socket).unwrap();
    change(&mut socket, &made());
    node.sh("nft delete table inet jackfield");
    assert!(mend(&mut socket, &[]).unwrap().is_nothing());
    assert_eq!(dump(&mut socket).unwrap(), before);
}

/// `nft flush ruleset` passes over what another socket owns; the kernel takes it away with that socket.
#[test]
fn the_anchor_outlives_a_flush_and_nothing_else() {
    let Some((node, mut socket)) = world() else { return };
    change(&mut socket, &made());
    node.sh("nft flush ruleset");
    let left = node.sh("nft list ruleset");
    assert!(
        left.contains("table inet jackfield-anchor") && left.contains("flags owner"),
        "{left}"
    );
    assert!(!left.contains("table inet jackfield {"), "{left}");
    mend(&mut socket, &rules()).unwrap();
    change(&mut socket, &[DropTable]);
    assert_eq!(node.sh("nft list ruleset"), "");
    change(&mut socket, &made());
    drop(socket);
    let left = node.sh("nft list tables");
    assert_eq!(
        left.trim(),
        "table inet jackfield",
        "the table stays, the anchor does not"
    );
}
