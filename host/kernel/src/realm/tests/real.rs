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
