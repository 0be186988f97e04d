//! A driver that takes too long: Docker hears of it in time, and what comes of it afterwards is taken back.

use std::{
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

use jackfield_controller::request::RealmRef;
use jackfield_driver::{Driver, Features, Identity, LinkId, LoadedDriver, Operation, grants::Grants};
use jackfield_model::{Capabilities, EndpointReply, EndpointSpec, JoinReply, JoinSpec, NetworkSpec, Result};
use serde_json::json;

use super::fixture::{Fixture, refusal};

/// Held up at every network until somebody opens it.
#[derive(Debug, Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
}

#[derive(Debug)]
struct Slow {
    identity: Identity,
    grants: Arc<Grants>,
    gate: Arc<Gate>,
}

struct AtTheGate(Arc<Gate>);

impl LoadedDriver for Slow {
    fn identity(&self) -> &Identity {
        &self.identity
    }
    fn grants(&self) -> &Arc<Grants> {
        &self.grants
    }
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }
    fn features(&self) -> Features {
        Features::default()
    }
    fn instance(&self) -> Result<Box<dyn Driver + '_>> {
        Ok(Box::new(AtTheGate(self.gate.clone())))
    }
}

impl Driver for AtTheGate {
    fn create_network(&mut self, _: &mut Operation, _: &NetworkSpec) -> Result<()> {
        let open = self.0.open.lock().unwrap();
        drop(self.0.opened.wait_while(open, |open| !*open).unwrap());
        Ok(())
    }
    fn create_endpoint(&mut self, _: &mut Operation, _: &NetworkSpec, _: &EndpointSpec) -> Result<EndpointReply> {
        Ok(EndpointReply::default())
    }
    fn join(&mut self, _: &mut Operation, _: &JoinSpec) -> Result<JoinReply<LinkId>> {
        Ok(JoinReply::default())
    }
}

#[tokio::test]
async fn what_comes_too_late_is_refused_in_time_and_taken_back() {
    let gate = Arc::new(Gate::default());
    let slow = Slow {
        identity: Identity {
            name: "slow".to_owned(),
            version: "1.0.0".to_owned(),
        },
        grants: Arc::default(),
        gate: gate.clone(),
    };
    let fixture = Fixture::with("slow", Some(Arc::new(slow)), Duration::from_millis(200));
    let create = json!({
        "NetworkID": "ab".repeat(32), "Options": {},
        "IPv4Data": [{ "Pool": "10.50.0.0/24", "Gateway": "10.50.0.1/24" }],
    });
    let begun = Instant::now();
    let answer = fixture.call("NetworkDriver.CreateNetwork", &create).await;
    let words = refusal("NetworkDriver.CreateNetwork", &answer).unwrap();
    assert!(words.contains("took more than"), "{words}");
    assert!(begun.elapsed() < Duration::from_secs(5));
    *gate.open.lock().unwrap() = true;
    gate.opened.notify_all();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !fixture.host.controller.networks(RealmRef::Own).unwrap().is_empty() {
        assert!(Instant::now() < deadline, "it stays");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    fixture.ok("NetworkDriver.CreateNetwork", &create).await;
}
