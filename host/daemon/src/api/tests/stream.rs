//! Connections that last: events, and the end of the host.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::TestHost;
use crate::wire::Event;

#[tokio::test]
async fn events_come_as_they_happen_and_from_before() {
    let host = TestHost::start();
    let mut live = host.client().lines("/v1/events").await.unwrap();
    host.post("/v1/networks", json!({"name": "blue"})).await;
    let event: Event = live.next().await.unwrap().unwrap();
    assert_eq!(
        (event.object.as_str(), event.action.as_str(), event.name.as_deref()),
        ("network", "create", Some("blue"))
    );
    let mut all = host.client().lines("/v1/events?since=0").await.unwrap();
    let first: Event = all.next().await.unwrap().unwrap();
    assert_eq!(first.sequence, 1);
}

#[tokio::test]
async fn stopping_ends_streams_and_lets_calls_end() {
    let host = TestHost::start();
    let mut stream = host.client().lines("/v1/events").await.unwrap();
    let mut idle = host.client();
    idle.get::<serde_json::Value>("/v1/info").await.unwrap();
    host.events.close();
    host.word.stop();
    assert_eq!(stream.next::<Event>().await.unwrap(), None);
    host.served.await.unwrap();
}

#[tokio::test]
async fn what_is_no_http_ends_its_own_connection_only() {
    let host = TestHost::start();
    let mut stream = tokio::net::UnixStream::connect(host.socket()).await.unwrap();
    stream
        .write_all(b"\x16\x03\x01\x02\x00 this is no http\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(
        answer.starts_with(b"HTTP/1.1 400"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    host.get("/v1/info").await;
}
