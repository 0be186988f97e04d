//! What only the real kernel can show.

use std::time::Instant;

use super::*;

fn commit(realm: &Realm, id: &OperationId, plan: &Plan, sandbox: Option<&SandboxAt>) {
    realm.apply(id, plan, sandbox).unwrap().commit(vec![]).unwrap();
}

#[test]
fn leaving_makes_room_for_the_next_join_at_once_on_the_real_kernel() {
    let Some(mut world) = World::real() else { return };
    let realm = world.start();
    let before = world.dumps();
    commit(&realm, &operation('a'), &network(0, "br0", "10.0.0.1/24"), None);
    let (mut joins, mut leaves) = (vec![], vec![]);
    for n in 0..200 {
        let id = OperationId::random();
        let plan = join(10 + 2 * n, 0, "eth0", "10.0.0.2/24", "10.0.0.1");
        let start = Instant::now();
        commit(&realm, &id, &plan, Some(&world.sandbox));
        joins.push(start.elapsed());
        let gateway = world
            .kernel
            .lookup_route(&world.sandbox.namespace, "198.51.100.1".parse().unwrap())
            .unwrap()
            .unwrap();
        assert_eq!(gateway.link, Some(index(OURS + 11 + 2 * n)), "round {n}");
        let start = Instant::now();
        realm.release(&id, vec![]).unwrap();
        leaves.push(start.elapsed());
    }
    joins.sort();
    leaves.sort();
    eprintln!(
        "join: median {:?}, leave: median {:?}, p99 {:?}",
        joins[100], leaves[100], leaves[197]
    );
    realm.release(&operation('a'), vec![]).unwrap();
    assert!(realm.quiesce());
    let after = world.dumps();
    assert_eq!(after.0, before.0);
    assert_eq!(without_loopback(after.1), without_loopback(before.1));
}

/// A flush is mended by itself, at once and without anybody asking, and is told; the host's own changes are no news.
#[test]
fn a_flushed_firewall_is_back_within_moments_and_that_is_told() {
    let Some(mut world) = World::real() else { return };
    let realm = world.start();
    let (told, heard) = std::sync::mpsc::channel();
    let tell = move |news: &FirewallNews| told.send(news.clone()).unwrap();
    realm.watch_firewall(Box::new(tell)).unwrap();
    let masquerade = Plan {
        makes: vec![masquerade("10.0.0.0/24")],
        removals: vec![],
    };
    commit(&realm, &operation('a'), &masquerade, None);
    let whole = world.dumps().0;
    let quiet = std::time::Duration::from_millis(200);
    assert!(heard.recv_timeout(quiet).is_err(), "our own change");
    let flush = crate::Request::Firewall(vec![crate::FirewallChange::DropTable]);
    let stranger = crate::Linux::new().unwrap();
    let answers = crate::Kernel::send(&stranger, realm.namespace(), &[flush]).unwrap();
    assert!(matches!(answers[..], [Ok(())]));
    let start = Instant::now();
    let FirewallNews::Mended(mended) = heard.recv_timeout(std::time::Duration::from_secs(1)).unwrap() else {
        panic!("nobody is in the way");
    };
    eprintln!("mended and told after {:?}", start.elapsed());
    assert_eq!(mended.table.as_deref(), Some("the whole table"));
    assert_eq!(world.dumps().0, whole);
    realm.release(&operation('a'), vec![]).unwrap();
    assert!(
        heard.recv_timeout(quiet).is_err(),
        "nothing is put back that nobody wants"
    );
}
