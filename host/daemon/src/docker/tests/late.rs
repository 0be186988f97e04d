//! A driver that takes too long: Docker hears of it in time, and what comes of it afterwards is taken back.

use std::{
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

use jackfield_controller::request::RealmRef;
use jackfield_driver::{Driver, Features, Identity, LinkId, LoadedDriver, Operation, grants::Grants};
use jackfield_model::{Capabilities, EndpointReply, EndpointSpec, JoinReply, JoinSpec, NetworkSpec, Result};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::UnixStream};

use super::fixture::{Fixture, refusal};
use crate::{docker::http, serve::serve_for_test};

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

/// A host with a driver that waits at the gate, and the request that it waits with.
fn held_up(patience: Duration) -> (Arc<Gate>, Fixture, Value) {
    let gate = Arc::new(Gate::default());
    let slow = Slow {
        identity: Identity {
            name: "slow".to_owned(),
            version: "1.0.0".to_owned(),
        },
        grants: Arc::default(),
        gate: gate.clone(),
    };
    let create = json!({
        "NetworkID": "ab".repeat(32), "Options": {},
        "IPv4Data": [{ "Pool": "10.50.0.0/24", "Gateway": "10.50.0.1/24" }],
    });
    (gate, Fixture::with("slow", Some(Arc::new(slow)), patience), create)
}

impl Gate {
    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

fn networks(fixture: &Fixture) -> usize {
    fixture.host.controller.networks(RealmRef::Own).unwrap().len()
}

async fn until(what: &str, so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !so() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn what_comes_too_late_is_refused_in_time_and_taken_back() {
    let (gate, fixture, create) = held_up(Duration::from_millis(200));
    let begun = Instant::now();
    let answer = fixture.call("NetworkDriver.CreateNetwork", &create).await;
    let words = refusal("NetworkDriver.CreateNetwork", &answer).unwrap();
    assert!(words.contains("took more than"), "{words}");
    assert!(begun.elapsed() < Duration::from_secs(5));
    gate.open();
    until("it is taken back", || networks(&fixture) == 0).await;
    fixture.ok("NetworkDriver.CreateNetwork", &create).await;
}

#[tokio::test]
async fn what_docker_died_over_is_taken_back() {
    let (gate, fixture, create) = held_up(Duration::from_secs(60));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("slow.sock");
    let (word, served) = serve_for_test(&path, http::router(fixture.plugin.clone()));
    let mut stream = UnixStream::connect(&path).await.unwrap();
    let body = create.to_string();
    let head = "POST /NetworkDriver.CreateNetwork HTTP/1.1\r\nHost: \r\nContent-Length:";
    let request = format!("{head} {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await.unwrap();
    until("it is under way", || networks(&fixture) == 1).await;
    drop(stream);
    // Its end has to be seen before the call's, or somebody did wait for it.
    word.stop();
    served.await.unwrap();
    gate.open();
    until("it is taken back", || networks(&fixture) == 0).await;
}
