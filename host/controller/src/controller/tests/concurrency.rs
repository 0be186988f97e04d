//! Many at once.

use std::sync::atomic::Ordering;

use super::fixture::*;
use crate::request::*;

#[test]
fn sixty_four_clients_connect_and_disconnect_side_by_side_and_nothing_is_left() {
    const CLIENTS: usize = 64;
    let host = Fixture::new();
    let before = host.dump();
    host.network("blue", "bridge");
    let shared = host.sandbox("shared");
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let host = &host;
            scope.spawn(move || {
                let name = format!("box{client}");
                host.sandbox(&name);
                for _ in 0..4 {
                    assert_eq!(host.connect("blue", &name).interface.unwrap().as_str(), "eth0");
                    host.controller().disconnect(OWN, "blue", &name).unwrap();
                }
                // And all of them in one sandbox: names and default route are everybody's there.
                let endpoint = host
                    .controller()
                    .create_endpoint(OWN, "blue", CreateEndpoint::default())
                    .unwrap()
                    .into_inner();
                host.controller()
                    .join(OWN, endpoint.id.as_str(), "shared", Join::default())
                    .unwrap();
                host.controller().leave(OWN, endpoint.id.as_str()).unwrap();
                host.controller().delete_endpoint(OWN, endpoint.id.as_str()).unwrap();
                host.controller().delete_sandbox(OWN, &name).unwrap();
            });
        }
    });
    assert!(host.default_routes(&shared).is_empty());
    assert_eq!(host.controller().network(OWN, "blue").unwrap().pools[0].used, 0);
    host.controller().delete_sandbox(OWN, "shared").unwrap();
    host.controller().delete_network(OWN, "blue").unwrap();
    assert_eq!(host.dump(), before);
}

#[test]
fn operations_that_write_one_key_run_again_until_each_saw_the_one_before() {
    const CLIENTS: u64 = 16;
    let host = Fixture::new();
    host.network("blue", "scripted");
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let host = &host;
            scope.spawn(move || {
                host.sandbox(&format!("box{client}"));
                host.connect("blue", &format!("box{client}"));
            });
        }
    });
    let state = host.controller().driver_state();
    let count = state.get("scripted", "count").unwrap().value.unwrap();
    assert_eq!(u64::from_le_bytes(count.try_into().unwrap()), CLIENTS);
    assert!(host.script.joins.load(Ordering::Relaxed) >= CLIENTS);
}

#[test]
fn of_many_that_delete_the_same_each_is_answered_and_one_does_it() {
    let host = Fixture::new();
    host.network("blue", "bridge");
    host.sandbox("box");
    let endpoint = host.connect("blue", "box");
    let done: usize = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..16)
            .map(|_| scope.spawn(|| host.controller().leave(OWN, endpoint.id.as_str()).unwrap() == Done::Done(())))
            .collect();
        asked.into_iter().map(|t| usize::from(t.join().unwrap())).sum()
    });
    assert_eq!(done, 1);
}
