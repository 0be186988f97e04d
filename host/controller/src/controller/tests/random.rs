//! Any sequence of operations: the controller answers as a simple model does, and after deleting everything the kernel is as before.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::fixture::*;
use crate::request::*;

#[derive(Clone, Debug)]
enum Step {
    CreateNetwork(usize),
    DeleteNetwork(usize),
    CreateSandbox(usize),
    DeleteSandbox(usize),
    Connect(usize, usize, i32),
    Disconnect(usize, usize),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let n = || 0usize..3;
    prop_oneof![
        2 => n().prop_map(Step::CreateNetwork),
        1 => n().prop_map(Step::DeleteNetwork),
        2 => n().prop_map(Step::CreateSandbox),
        1 => n().prop_map(Step::DeleteSandbox),
        6 => (n(), n(), 0..3i32).prop_map(|(a, b, p)| Step::Connect(a, b, p)),
        3 => (n(), n()).prop_map(|(a, b)| Step::Disconnect(a, b)),
        1 => Just(Step::Restart),
    ]
}

/// What there is: networks, sandboxes, and which sandbox is in which network with what priority, oldest first.
#[derive(Debug, Default)]
struct Model {
    networks: BTreeSet<usize>,
    sandboxes: BTreeMap<usize, SandboxInfo>,
    connected: Vec<(usize, usize, i32)>,
}

impl Model {
    fn has(&self, network: usize, sandbox: usize) -> bool {
        self.connected.iter().any(|(n, s, _)| (*n, *s) == (network, sandbox))
    }

    /// The network by which a sandbox's default route goes.
    fn default_of(&self, sandbox: usize) -> Option<usize> {
        let there = self.connected.iter().filter(|(_, s, _)| *s == sandbox);
        // The first of the greatest: `max_by_key` answers with the last.
        there
            .rev()
            .max_by_key(|(_, _, priority)| *priority)
            .map(|(network, _, _)| *network)
    }
}

fn run(host: &mut Fixture, model: &mut Model, step: Step) {
    let (net, name) = (|n: usize| format!("net{n}"), |s: usize| format!("box{s}"));
    match step {
        Step::CreateNetwork(n) => {
            let driver = if n == 2 { "scripted" } else { "bridge" };
            let request = CreateNetwork {
                pools: vec![subnet(&format!("10.30.{n}.0/24"))],
                ..network(&net(n), driver)
            };
            assert_eq!(
                host.controller().create_network(OWN, request).is_ok(),
                model.networks.insert(n)
            );
        }
        Step::DeleteNetwork(n) => {
            let allowed = model.networks.contains(&n) && model.connected.iter().all(|(c, _, _)| *c != n);
            assert_eq!(host.controller().delete_network(OWN, &net(n)).is_ok(), allowed);
            if allowed {
                model.networks.remove(&n);
            }
        }
        Step::CreateSandbox(s) => match host.controller().create_sandbox(OWN, sandbox(&name(s))) {
            Ok(made) => assert!(model.sandboxes.insert(s, made.into_inner()).is_none()),
            Err(_) => assert!(model.sandboxes.contains_key(&s)),
        },
        Step::DeleteSandbox(s) => {
            assert_eq!(
                host.controller().delete_sandbox(OWN, &name(s)).is_ok(),
                model.sandboxes.remove(&s).is_some()
            );
            model.connected.retain(|(_, c, _)| *c != s);
        }
        Step::Connect(n, s, priority) => {
            let allowed = model.networks.contains(&n) && model.sandboxes.contains_key(&s) && !model.has(n, s);
            let join = Join {
                priority,
                ..Join::default()
            };
            let result = host
                .controller()
                .connect(OWN, &net(n), &name(s), CreateEndpoint::default(), join);
            assert_eq!(result.is_ok(), allowed, "{result:?}");
            if allowed {
                model.connected.push((n, s, priority));
            }
        }
        Step::Disconnect(n, s) => {
            let known = model.networks.contains(&n) && model.sandboxes.contains_key(&s);
            let result = host.controller().disconnect(OWN, &net(n), &name(s));
            assert_eq!(
                result.ok(),
                known.then(|| if model.has(n, s) {
                    Done::Done(())
                } else {
                    Done::AlreadySo(())
                })
            );
            model.connected.retain(|(a, b, _)| (*a, *b) != (n, s));
        }
        Step::Restart => host.restart(),
    }
}

/// Each sandbox has as many interfaces as endpoints, and its default route goes where the model says. The scripted driver has no gateway.
fn check(host: &Fixture, model: &Model) {
    let with_gateway = Model {
        connected: model.connected.iter().filter(|(n, _, _)| *n != 2).copied().collect(),
        ..Model::default()
    };
    // What left is out of the way at once, but deleted by the reaper.
    assert!(host.controller().own_realm().quiesce());
    for (s, info) in &model.sandboxes {
        let endpoints = model.connected.iter().filter(|(_, c, _)| c == s).count();
        assert_eq!(
            host.inside(info).links.iter().filter(|l| l.kind == "veth").count(),
            endpoints
        );
        let expected: Vec<String> = with_gateway
            .default_of(*s)
            .map(|n| format!("10.30.{n}.1"))
            .into_iter()
            .collect();
        assert_eq!(host.default_routes(info), expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn any_sequence_ends_where_it_began(steps in proptest::collection::vec(step(), 1..40)) {
        let mut host = Fixture::new();
        let before = host.dump();
        let mut model = Model::default();
        for step in steps {
            run(&mut host, &mut model, step);
            check(&host, &model);
        }
        for s in model.sandboxes.keys() {
            host.controller().delete_sandbox(OWN, &format!("box{s}")).unwrap();
        }
        prop_assert_eq!(host.controller().prune_networks(OWN).unwrap().len(), model.networks.len());
        prop_assert_eq!(host.dump(), before);
    }
}
