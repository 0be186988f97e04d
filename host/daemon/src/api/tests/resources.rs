//! What the API does when it is asked well.

use hyper::Method;
use serde_json::json;

use super::TestHost;
use crate::{
    client::ClientError,
    wire::{Change, Driver, Endpoint, Network, Sandbox},
};

#[tokio::test]
async fn a_network_a_sandbox_and_what_joins_them() {
    let host = TestHost::start();
    let created = host
        .post("/v1/networks", json!({"name": "blue", "labels": {"team": "green"}}))
        .await;
    assert_eq!(
        (created.status, created.body["labels"]["team"].as_str()),
        (201, Some("green"))
    );
    assert_eq!(host.post("/v1/sandboxes", json!({"name": "web"})).await.status, 201);
    let joined = host
        .post(
            "/v1/networks/blue/connect",
            json!({"sandbox": "web", "interface": "net7"}),
        )
        .await;
    assert_eq!(
        (joined.status, joined.body["interface"].as_str()),
        (201, Some("net7")),
        "{}",
        joined.body
    );

    let mut client = host.client();
    let endpoints: Vec<Endpoint> = client.get("/v1/endpoints").await.unwrap();
    let sandbox: Sandbox = client.get("/v1/sandboxes/web").await.unwrap();
    let network: Network = client
        .get(&format!("/v1/networks/{}", &created.body["id"].as_str().unwrap()[..12]))
        .await
        .unwrap();
    assert_eq!(
        (endpoints.len(), sandbox.endpoints, network.endpoints),
        (1, vec![endpoints[0].id.clone()], vec![endpoints[0].id.clone()])
    );

    let left: Change = client
        .post("/v1/networks/blue/disconnect", &json!({"sandbox": "web"}))
        .await
        .unwrap();
    let removed: Change = client.delete(&format!("/v1/sandboxes/{}", sandbox.id)).await.unwrap();
    let again: Change = client.delete(&format!("/v1/sandboxes/{}", sandbox.id)).await.unwrap();
    assert_eq!((left.changed, removed.changed, again.changed), (true, true, false));
}

#[tokio::test]
async fn an_endpoint_step_by_step() {
    let host = TestHost::start();
    host.post("/v1/networks", json!({"name": "blue"})).await;
    host.post("/v1/sandboxes", json!({"name": "web"})).await;
    let created = host.post("/v1/networks/blue/endpoints", json!({"name": "port"})).await;
    assert_eq!(
        (created.status, created.body["state"].as_str()),
        (201, Some("created")),
        "{}",
        created.body
    );
    let joined = host.post("/v1/endpoints/port/join", json!({"sandbox": "web"})).await;
    assert_eq!(
        (joined.status, joined.body["state"].as_str()),
        (200, Some("joined")),
        "{}",
        joined.body
    );
    let mut client = host.client();
    let left: Change = client.act("/v1/endpoints/port/leave").await.unwrap();
    let deleted: Change = client.delete("/v1/endpoints/port").await.unwrap();
    assert!(left.changed && deleted.changed);
    assert_eq!(host.get("/v1/endpoints").await, json!([]));
}

#[tokio::test]
async fn a_driver_is_loaded_upgraded_rolled_back_and_unloaded() {
    let host = TestHost::start();
    assert_eq!(host.send(Method::POST, "/v1/drivers", "ptp 0.1.0").await.status, 201);
    assert_eq!(host.send(Method::POST, "/v1/drivers", "ptp 0.1.0").await.status, 200);
    let mut client = host.client();
    let upgraded: Driver = client
        .send_component(Method::PUT, "/v1/drivers/ptp", b"ptp 0.2.0".to_vec())
        .await
        .unwrap();
    assert_eq!(
        (
            upgraded.version.as_str(),
            upgraded.component.unwrap().previous.as_deref()
        ),
        ("0.2.0", Some("0.1.0"))
    );
    let back: Driver = client.act("/v1/drivers/ptp/rollback").await.unwrap();
    assert_eq!(
        (back.version.as_str(), back.component.unwrap().previous),
        ("0.1.0", None)
    );

    host.post("/v1/networks", json!({"name": "blue", "driver": "ptp"}))
        .await;
    let in_use = client.delete::<Change>("/v1/drivers/ptp").await.unwrap_err();
    assert!(
        matches!(&in_use, ClientError::Refused(problem) if problem.status == 409),
        "{in_use}"
    );
    assert_eq!(in_use.to_string(), "the driver ptp is used by blue");
    let _: Change = client.delete("/v1/networks/blue").await.unwrap();
    let _: Change = client.delete("/v1/drivers/ptp").await.unwrap();
    let names: Vec<Driver> = client.get("/v1/drivers").await.unwrap();
    assert_eq!(
        names.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(),
        ["bridge", "host", "null"]
    );
}

#[tokio::test]
async fn prune_takes_what_nobody_uses() {
    let host = TestHost::start();
    for name in ["blue", "red"] {
        host.post("/v1/networks", json!({"name": name})).await;
    }
    host.post("/v1/networks/red/endpoints", json!({})).await;
    let pruned = host.post("/v1/networks/prune", json!(null)).await;
    assert_eq!(pruned.body, json!({"networks": ["blue"]}));
}

#[tokio::test]
async fn info_counts() {
    let host = TestHost::start();
    host.post("/v1/networks", json!({"name": "blue"})).await;
    let info = host.get("/v1/info").await;
    assert_eq!(
        (info["networks"].as_u64(), info["sandboxes"].as_u64()),
        (Some(1), Some(0))
    );
    assert_eq!(info["drivers"], json!(["bridge", "host", "null"]));
}
