//! The state machine by itself: what it allows, what it denies, and that a begin that is abandoned leaves no trace.

use std::{net::IpAddr, sync::Arc};

use jackfield_kernel::{LinkAt, NamespaceId, Place, plan::Ifindex};
use jackfield_model::{OperationId, Options};

use super::{record::Interface, *};
use crate::{
    ipam::Manager,
    request::{CreateEndpoint, CreateNetwork, Join, PoolRequest},
};

fn state() -> RealmState {
    RealmState::new(Ipam::new(vec![("10.0.0.0/16".parse().unwrap(), 24)]))
}

fn network(name: &str) -> CreateNetwork {
    CreateNetwork {
        id: None,
        name: name.parse().unwrap(),
        driver: None,
        pools: Vec::new(),
        ipv6: false,
        ipv4: None,
        ipam: None,
        allow_overlap: false,
        internal: false,
        options: Options::new(),
        labels: Options::new(),
        dns: Default::default(),
    }
}

fn begin(state: &mut RealmState, request: &CreateNetwork) -> Result<Begin<NetworkId>, Denied> {
    state.begin_network(&Asked {
        request,
        driver: "bridge",
        manager: Manager::BuiltIn,
        only_one: false,
        reached: &[],
        now: 0,
    })
}

fn go<T>(begin: Result<Begin<T>, Denied>) -> T {
    match begin.unwrap() {
        Begin::Go(value) => value,
        Begin::AlreadySo(_) => panic!("it is not so yet"),
    }
}

fn standing() -> Standing {
    Standing {
        operation: OperationId::random(),
        plan: Arc::default(),
        links: Vec::new(),
        parents: Vec::new(),
        host_bindings: Vec::new(),
    }
}

fn ready(state: &mut RealmState, name: &str) -> NetworkId {
    let id = go(begin(state, &network(name)));
    state.finish_network(&id, standing());
    id
}

fn sandbox(state: &mut RealmState, name: &str) -> SandboxId {
    let ground = Ground::Adopted {
        source: None,
        namespace: NamespaceId(name.bytes().map(u64::from).sum()),
        mark: None,
    };
    let id = go(state.begin_sandbox(
        None,
        Some(name.parse().unwrap()),
        &Options::new(),
        &Default::default(),
        ground.clone(),
    ));
    state.finish_sandbox(&id, ground);
    id
}

fn stay(sandbox: &SandboxId, priority: i32, gateways: &[&str], age: u64) -> Stay {
    Stay {
        sandbox: sandbox.clone(),
        asked: Join {
            priority,
            ..Join::default()
        },
        operation: OperationId::random(),
        links: Vec::new(),
        interface: Some(Interface {
            name: "eth0".parse().unwrap(),
            at: LinkAt {
                place: Place::Sandbox,
                index: Ifindex::new(7).unwrap(),
            },
        }),
        gateways: gateways.iter().map(|g| g.parse().unwrap()).collect(),
        ports: Vec::new(),
        metric: None,
        handover: None,
        defaults: Vec::new(),
        gave_way: Vec::new(),
        age,
    }
}

/// Brings an endpoint of that network into that sandbox.
fn joined(state: &mut RealmState, network: &str, sandbox: &SandboxId, priority: i32, gateways: &[&str]) -> EndpointId {
    let join = Join {
        priority,
        ..Join::default()
    };
    let id = go(state.begin_endpoint(network, &CreateEndpoint::default()));
    state.finish_endpoint(&id);
    go(state.begin_join(id.as_str(), sandbox.as_str(), &join));
    let mut record = state.endpoints[&id].record.clone();
    let age = state.next_age();
    record.stay = Some(stay(sandbox, priority, gateways, age));
    state.record_stay(record);
    state.finish_join(&id);
    id
}

#[test]
fn the_same_id_and_specification_is_already_so_and_another_specification_is_denied() {
    let mut state = state();
    let request = CreateNetwork {
        id: Some(NetworkId::random()),
        ..network("blue")
    };
    let id = go(begin(&mut state, &request));
    assert!(matches!(
        begin(&mut state, &request),
        Err(Denied::Busy { doing: "creating", .. })
    ));
    state.finish_network(&id, standing());
    assert_eq!(begin(&mut state, &request), Ok(Begin::AlreadySo(id.clone())));
    let other = CreateNetwork {
        internal: true,
        ..request
    };
    assert!(matches!(begin(&mut state, &other), Err(Denied::IdTaken { .. })));
    assert!(matches!(
        begin(&mut state, &network("blue")),
        Err(Denied::NameTaken { .. })
    ));
}

#[test]
fn an_abandoned_network_frees_name_and_pool() {
    let mut state = state();
    let id = go(begin(&mut state, &network("blue")));
    state.remove_network(&id);
    let again = go(begin(&mut state, &network("blue")));
    assert_eq!(state.networks[&again].record.pools[0].subnet.to_string(), "10.0.0.0/24");
}

#[test]
fn a_network_stays_while_endpoints_exist_or_are_being_made() {
    let mut state = state();
    let id = ready(&mut state, "blue");
    let endpoint = go(state.begin_endpoint("blue", &CreateEndpoint::default()));
    assert!(
        matches!(
            state.begin_delete_network("blue"),
            Err(Denied::NetworkInUse { endpoints: 1, .. })
        ),
        "being made"
    );
    state.finish_endpoint(&endpoint);
    assert!(
        matches!(state.begin_delete_network("blue"), Err(Denied::NetworkInUse { .. })),
        "made"
    );
    state.remove_endpoint(&endpoint);
    assert_eq!(state.begin_delete_network("blue"), Ok((id, NetworkPhase::Ready)));
    let denied = state.begin_endpoint("blue", &CreateEndpoint::default());
    assert!(
        matches!(denied, Err(Denied::Busy { doing: "deleting", .. })),
        "nobody comes to a network that goes"
    );
}

#[test]
fn a_waiting_network_says_why_and_can_be_deleted() {
    let mut state = state();
    let id = ready(&mut state, "blue");
    state.set_network_phase(&id, NetworkPhase::Waiting("link eth1 is missing".into()));
    let denied = state.begin_endpoint("blue", &CreateEndpoint::default()).unwrap_err();
    assert_eq!(denied.to_string(), "network blue is not ready: link eth1 is missing");
    assert_eq!(state.begin_retry_waiting(), std::slice::from_ref(&id));
    assert!(matches!(state.begin_delete_network("blue"), Err(Denied::Busy { .. })));
    state.set_network_phase(&id, NetworkPhase::Waiting("still".into()));
    assert!(state.begin_delete_network("blue").is_ok());
}

#[test]
fn operations_of_one_endpoint_take_turns_and_those_of_two_do_not() {
    let mut state = state();
    ready(&mut state, "blue");
    let place = sandbox(&mut state, "box");
    let (a, b) = (
        joined(&mut state, "blue", &place, 0, &[]),
        joined(&mut state, "blue", &place, 0, &[]),
    );
    go(state.begin_leave(a.as_str()));
    assert!(matches!(
        state.begin_leave(a.as_str()),
        Err(Denied::Busy { doing: "leaving", .. })
    ));
    assert!(matches!(
        state.begin_delete_endpoint(a.as_str()),
        Err(Denied::Busy { .. })
    ));
    go(state.begin_leave(b.as_str()));
    state.finish_leave(&a);
    assert!(matches!(state.begin_leave(a.as_str()), Ok(Begin::AlreadySo(_))));
    assert!(state.begin_delete_endpoint(a.as_str()).is_ok());
}

#[test]
fn an_endpoint_joins_one_sandbox_at_most() {
    let mut state = state();
    ready(&mut state, "blue");
    let (one, two) = (sandbox(&mut state, "one"), sandbox(&mut state, "two"));
    let id = joined(&mut state, "blue", &one, 3, &[]);
    let same = Join {
        priority: 3,
        ..Join::default()
    };
    assert!(matches!(
        state.begin_join(id.as_str(), "one", &same),
        Ok(Begin::AlreadySo(_))
    ));
    assert!(matches!(
        state.begin_join(id.as_str(), "one", &Join::default()),
        Err(Denied::JoinedOtherwise { .. })
    ));
    assert!(matches!(
        state.begin_join(id.as_str(), two.as_str(), &same),
        Err(Denied::JoinedElsewhere { .. })
    ));
    assert!(matches!(
        state.begin_delete_endpoint(id.as_str()),
        Err(Denied::EndpointInUse { .. })
    ));
    let denied = state.begin_connect("blue", "one", &CreateEndpoint::default(), &Join::default());
    assert!(matches!(denied, Err(Denied::Connected { .. })));
}

#[test]
fn a_connect_that_cannot_enter_its_sandbox_leaves_no_endpoint() {
    let mut state = state();
    let id = ready(&mut state, "blue");
    let place = sandbox(&mut state, "box");
    state.begin_delete_sandbox("box").unwrap();
    let denied = state.begin_connect("blue", place.as_str(), &CreateEndpoint::default(), &Join::default());
    assert!(matches!(
        denied,
        Err(Denied::Busy {
            kind: Kind::Sandbox,
            ..
        })
    ));
    assert!(state.endpoints.is_empty() && state.networks[&id].endpoints.is_empty());
    assert_eq!(state.ipam.usage(&id)[0].used, 0);
}

#[test]
fn references_are_ids_names_or_beginnings_that_fit_one_object() {
    let mut state = state();
    let ids = ["ab", "ac", "ba"].map(|start| format!("{start}{}", "0".repeat(62)).parse::<NetworkId>().unwrap());
    for (name, id) in ["one", "two", "ac"].iter().zip(&ids) {
        go(begin(
            &mut state,
            &CreateNetwork {
                id: Some(id.clone()),
                ..network(name)
            },
        ));
    }
    assert_eq!(state.find_network(ids[0].as_str()), Ok(ids[0].clone()));
    assert_eq!(state.find_network("ab"), Ok(ids[0].clone()));
    assert_eq!(
        state.find_network("ac"),
        Ok(ids[2].clone()),
        "a name goes before the beginning of an id"
    );
    assert!(matches!(state.find_network("three"), Err(Denied::Unknown { .. })));
    let denied = state.find_network("a").unwrap_err();
    assert!(
        matches!(&denied, Denied::Ambiguous { matches, .. } if matches.len() == 2),
        "{denied}"
    );
    assert!(denied.to_string().contains(ids[0].as_str()), "{denied}");
}

#[test]
fn names_of_endpoints_are_unique_in_their_network() {
    let mut state = state();
    ready(&mut state, "blue");
    ready(&mut state, "red");
    let named = CreateEndpoint {
        name: Some("web".parse().unwrap()),
        ..CreateEndpoint::default()
    };
    go(state.begin_endpoint("blue", &named));
    assert!(matches!(
        state.begin_endpoint("blue", &named),
        Err(Denied::NameTaken { .. })
    ));
    go(state.begin_endpoint("red", &named));
    assert!(matches!(state.find_endpoint("web"), Err(Denied::Ambiguous { .. })));
}

#[test]
fn one_namespace_is_one_sandbox() {
    let mut state = state();
    let ground = Ground::Adopted {
        source: None,
        namespace: NamespaceId(9),
        mark: None,
    };
    let first = go(state.begin_sandbox(None, None, &Options::new(), &Default::default(), ground.clone()));
    state.finish_sandbox(&first, ground.clone());
    assert!(matches!(
        state.begin_sandbox(None, None, &Options::new(), &Default::default(), ground.clone()),
        Err(Denied::NamespaceTaken { .. })
    ));
    let again = state.begin_sandbox(Some(first.clone()), None, &Options::new(), &Default::default(), ground);
    assert_eq!(again, Ok(Begin::AlreadySo(first)));
}

#[test]
fn pools_given_with_ipv6_get_one_of_the_other_family() {
    let mut state = RealmState::new(Ipam::new(vec![("fd00::/48".parse().unwrap(), 64)]));
    let pools = vec![PoolRequest {
        subnet: Some("10.9.0.0/24".parse().unwrap()),
        ..PoolRequest::default()
    }];
    let id = go(begin(
        &mut state,
        &CreateNetwork {
            pools,
            ipv6: true,
            ..network("blue")
        },
    ));
    let subnets: Vec<String> = state.networks[&id]
        .record
        .pools
        .iter()
        .map(|p| p.subnet.to_string())
        .collect();
    assert_eq!(subnets, ["10.9.0.0/24", "fd00::/64"]);
}

/// Carries out the steps as the controller would, and answers with who has the default route of each family.
fn settle(state: &mut RealmState, sandbox: &SandboxId) -> Vec<(Family, EndpointId)> {
    let mut steps = 0;
    while let Some(step) = state.next_default_route(sandbox) {
        steps += 1;
        assert!(steps < 10, "it never settles");
        match step {
            DefaultRoute::TakeBack { endpoint, family, .. } => state.set_default_route(&endpoint, family, None),
            DefaultRoute::Give { endpoint, family, .. } => {
                state.set_default_route(&endpoint, family, Some(OperationId::random()))
            }
        }
    }
    let stays = state
        .endpoints
        .iter()
        .filter_map(|(id, e)| Some((id, e.record.stay.as_ref()?)));
    let mut holders: Vec<_> = stays
        .flat_map(|(id, s)| s.defaults.iter().map(|(f, _)| (*f, id.clone())))
        .collect();
    holders.sort();
    holders
}

#[test]
fn the_default_route_goes_by_priority_then_by_age_for_each_family_by_itself() {
    let mut state = state();
    ready(&mut state, "blue");
    let place = sandbox(&mut state, "box");
    let v4 = |id: &EndpointId| (Family::Ipv4, id.clone());
    let first = joined(&mut state, "blue", &place, 0, &["10.0.0.1"]);
    assert_eq!(settle(&mut state, &place), [v4(&first)]);
    let younger = joined(&mut state, "blue", &place, 0, &["10.0.0.1", "fd00::1"]);
    assert_eq!(
        settle(&mut state, &place),
        [v4(&first), (Family::Ipv6, younger.clone())]
    );
    let higher = joined(&mut state, "blue", &place, 5, &["10.0.0.1"]);
    assert_eq!(
        settle(&mut state, &place),
        [v4(&higher), (Family::Ipv6, younger.clone())]
    );
    let without = joined(&mut state, "blue", &place, 9, &[]);
    assert_eq!(
        settle(&mut state, &place),
        [v4(&higher), (Family::Ipv6, younger.clone())],
        "no gateway, no default route"
    );
    state.remove_endpoint(&without);
    go(state.begin_leave(higher.as_str()));
    assert!(
        matches!(state.begin_settling(&place), Err(Denied::Busy { .. })),
        "its route is still there"
    );
    state.finish_leave(&higher);
    assert_eq!(
        settle(&mut state, &place),
        [v4(&first), (Family::Ipv6, younger.clone())]
    );
    state.refuse_default_route(&first, Family::Ipv4, "refused".into());
    state.set_default_route(&first, Family::Ipv4, None);
    assert_eq!(
        settle(&mut state, &place),
        [v4(&younger), (Family::Ipv6, younger)],
        "who was refused is passed over"
    );
}

#[test]
fn a_join_brings_the_default_routes_along_that_nobody_has_and_has_the_turn_meanwhile() {
    let mut state = state();
    ready(&mut state, "blue");
    let place = sandbox(&mut state, "box");
    let gateways: Vec<IpAddr> = ["10.0.0.1", "fd00::1"].map(|g| g.parse().unwrap()).to_vec();
    assert!(state.begin_with_defaults(&place, &[]).is_empty());
    assert_eq!(state.begin_with_defaults(&place, &gateways), gateways);
    assert!(matches!(state.begin_settling(&place), Err(Denied::Busy { .. })));
    assert!(
        state.begin_with_defaults(&place, &gateways).is_empty(),
        "another has the turn"
    );
    state.end_settling(&place);
    let holder = joined(&mut state, "blue", &place, 0, &["10.0.0.1"]);
    assert_eq!(
        state.begin_with_defaults(&place, &gateways),
        gateways[1..],
        "one is to get it"
    );
    state.end_settling(&place);
    settle(&mut state, &place);
    state.refuse_default_route(&holder, Family::Ipv4, "refused".into());
    assert_eq!(
        state.begin_with_defaults(&place, &gateways),
        gateways[1..],
        "one has it still"
    );
}

#[test]
fn nobody_leaves_while_the_default_routes_are_seen_to() {
    let mut state = state();
    ready(&mut state, "blue");
    let place = sandbox(&mut state, "box");
    let id = joined(&mut state, "blue", &place, 0, &["10.0.0.1"]);
    assert_eq!(state.begin_settling(&place), Ok(true));
    assert!(matches!(
        state.begin_leave(id.as_str()),
        Err(Denied::Busy {
            kind: Kind::Sandbox,
            ..
        })
    ));
    assert!(matches!(state.begin_settling(&place), Err(Denied::Busy { .. })));
    state.end_settling(&place);
    settle(&mut state, &place);
    assert_eq!(state.begin_settling(&place), Ok(false));
    go(state.begin_leave(id.as_str()));
}
