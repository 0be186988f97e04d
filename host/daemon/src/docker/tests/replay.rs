//! What dockerd 20.10 said to a plugin, said to us. The transcripts hold each kind of call in each situation once, so that deletions are
//! missing between them; they are made up for.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::fixture::{Fixture, refusal};

const TRANSCRIPTS: [&str; 2] = [
    include_str!("transcripts/remote-driver.jsonl"),
    include_str!("transcripts/managed-plugin-swarm.jsonl"),
];
/// Calls on the way down: never refused.
const DOWN: [&str; 7] = [
    "NetworkDriver.DeleteNetwork",
    "NetworkDriver.FreeNetwork",
    "NetworkDriver.Leave",
    "NetworkDriver.DeleteEndpoint",
    "NetworkDriver.RevokeExternalConnectivity",
    "IpamDriver.ReleaseAddress",
    "IpamDriver.ReleasePool",
];

/// A call that dockerd made.
pub struct Recorded {
    pub method: String,
    pub request: Value,
    response: Value,
}

/// All calls of a transcript, in the words of this host: the recorded plugin had options, pools and address spaces of its own.
pub fn read(transcript: &str) -> Vec<Recorded> {
    let lines = transcript
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let calls = lines.filter(|line| line.get("method").is_some());
    calls
        .map(|mut line| Recorded {
            method: line["method"].as_str().unwrap().to_owned(),
            request: translate(line["request"].take(), &line["response"]),
            response: line["response"].take(),
        })
        .collect()
}

fn translate(request: Value, response: &Value) -> Value {
    let mut request: Value = serde_json::from_str(
        &request
            .to_string()
            .replace("\"stublocal\"", "\"jackfield-local\"")
            .replace("pool-10", "jackfield/10"),
    )
    .unwrap();
    if let Some(options) = request.get_mut("Options").and_then(Value::as_object_mut) {
        options.retain(|key, _| key.starts_with("com.docker.") || key == "RequestAddressType");
        if let Some(generic) = options.get_mut("com.docker.network.generic") {
            *generic = json!({});
        }
    }
    // It chose a pool; here the same one is asked for.
    if request.get("Pool") == Some(&json!("")) {
        request["Pool"] = response["Pool"].clone();
    }
    request
}

/// What is there by now.
#[derive(Default)]
struct There {
    networks: BTreeSet<String>,
    endpoints: BTreeSet<(String, String)>,
    pools: BTreeSet<String>,
}

fn text(request: &Value, key: &str) -> String {
    request[key].as_str().unwrap_or_default().to_owned()
}

impl There {
    /// Everything goes down, twice, with the calls that dockerd makes.
    async fn take_down(&mut self, fixture: &Fixture) {
        for _ in 0..2 {
            for (network, endpoint) in &self.endpoints {
                let which = json!({ "NetworkID": network, "EndpointID": endpoint });
                for call in ["RevokeExternalConnectivity", "Leave", "DeleteEndpoint"] {
                    fixture.ok(&format!("NetworkDriver.{call}"), &which).await;
                }
            }
            for pool in &self.pools {
                fixture.ok("IpamDriver.ReleasePool", &json!({ "PoolID": pool })).await;
            }
            for network in &self.networks {
                fixture
                    .ok("NetworkDriver.DeleteNetwork", &json!({ "NetworkID": network }))
                    .await;
            }
        }
        *self = Self::default();
    }

    /// Whether what the call is about is there, so that it has to succeed.
    fn has(&self, call: &Recorded) -> bool {
        let (network, endpoint) = (text(&call.request, "NetworkID"), text(&call.request, "EndpointID"));
        match call.method.as_str() {
            "NetworkDriver.CreateEndpoint" => self.networks.contains(&network),
            "NetworkDriver.Join" | "NetworkDriver.ProgramExternalConnectivity" => {
                self.endpoints.contains(&(network, endpoint))
            }
            "IpamDriver.RequestAddress" => self.pools.contains(&text(&call.request, "PoolID")),
            _ => true,
        }
    }

    fn note(&mut self, call: &Recorded, answer: &Value) {
        let (network, endpoint) = (text(&call.request, "NetworkID"), text(&call.request, "EndpointID"));
        match call.method.as_str() {
            "NetworkDriver.CreateNetwork" => drop(self.networks.insert(network)),
            "NetworkDriver.DeleteNetwork" => drop(self.networks.remove(&network)),
            "NetworkDriver.CreateEndpoint" => drop(self.endpoints.insert((network, endpoint))),
            "NetworkDriver.DeleteEndpoint" => drop(self.endpoints.remove(&(network, endpoint))),
            "IpamDriver.RequestPool" => drop(self.pools.insert(text(answer, "PoolID"))),
            "IpamDriver.ReleasePool" => drop(self.pools.remove(&text(&call.request, "PoolID"))),
            _ => {}
        }
    }
}

/// The names of fields, for those that dockerd reads.
fn shape(value: &Value) -> Vec<String> {
    let Some(object) = value.as_object() else {
        return Vec::new();
    };
    let nested = |(key, value): (&String, &Value)| {
        let below = shape(value).into_iter().map(|below| format!("{key}.{below}"));
        std::iter::once(key.clone()).chain(below).collect::<Vec<_>>()
    };
    object.iter().flat_map(nested).collect()
}

/// Whether it has every field that the recorded plugin's answer had, but for what is a plugin's own.
fn expect_shape(call: &Recorded, answer: &Value) {
    let own = |field: &String| {
        ["Value.", "Data.", "Options."]
            .iter()
            .any(|prefix| field.starts_with(prefix))
    };
    let (there, expected) = (shape(answer), shape(&call.response));
    for field in expected.iter().filter(|field| !own(field)) {
        assert!(there.contains(field), "{}: no {field} in {answer}", call.method);
    }
    if call.method == "NetworkDriver.CreateEndpoint" {
        assert_eq!(there, expected, "only what was left open is filled in");
    }
}

/// A pool, or an address that was asked for by itself: never given out a second time.
fn given_once(call: &Recorded) -> bool {
    call.method == "IpamDriver.RequestPool" || call.method == "IpamDriver.RequestAddress" && !is_next_address(call)
}

/// Each time another one.
fn is_next_address(call: &Recorded) -> bool {
    call.method == "IpamDriver.RequestAddress" && text(&call.request, "Address").is_empty()
}

async fn replay(transcript: &str) {
    let fixture = Fixture::new();
    let before = fixture.everything();
    let mut there = There::default();
    let mut answered = 0;
    for call in read(transcript) {
        if call.response.get("Err").is_some() {
            continue;
        }
        let mut answer = fixture.call(&call.method, &call.request).await;
        let comes = ["NetworkDriver.CreateNetwork", "IpamDriver.RequestPool"].contains(&call.method.as_str());
        if comes && refusal(&call.method, &answer).is_some_and(|words| words.contains("overlaps")) {
            there.take_down(&fixture).await;
            answer = fixture.call(&call.method, &call.request).await;
        }
        let refused = refusal(&call.method, &answer);
        assert!(
            !DOWN.contains(&call.method.as_str()) || refused.is_none(),
            "{}: {refused:?}",
            call.method
        );
        assert_eq!(
            refused.is_none(),
            there.has(&call),
            "{} {}: {refused:?}",
            call.method,
            call.request
        );
        if refused.is_none() {
            expect_shape(&call, &answer);
            there.note(&call, &answer);
            let again = fixture.call(&call.method, &call.request).await;
            match given_once(&call) {
                true => assert!(refusal(&call.method, &again).is_some(), "{}: {again}", call.method),
                false => assert!(again == answer || is_next_address(&call), "{}: {again}", call.method),
            }
            answered += 1;
        }
    }
    assert!(answered > 20, "{answered} calls of the transcript were answered");
    there.take_down(&fixture).await;
    assert_eq!(fixture.everything(), before);
}

#[tokio::test]
async fn what_docker_said_to_a_socket_plugin_is_answered() {
    replay(TRANSCRIPTS[0]).await;
}

#[tokio::test]
async fn what_docker_said_to_a_managed_plugin_in_a_swarm_is_answered() {
    replay(TRANSCRIPTS[1]).await;
}

/// All calls of all transcripts.
pub fn all() -> Vec<Recorded> {
    TRANSCRIPTS.iter().flat_map(|transcript| read(transcript)).collect()
}
