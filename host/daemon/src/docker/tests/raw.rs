//! What dockerd's HTTP client writes, byte by byte.

use std::time::Duration;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

use super::fixture::Fixture;
use crate::{docker::http, serve::serve_for_test};

/// Sends these bytes, and reads all that comes back until the connection is closed.
async fn exchange(socket: &std::path::Path, bytes: &str) -> String {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    tokio::time::timeout(Duration::from_secs(20), read)
        .await
        .unwrap()
        .unwrap();
    String::from_utf8(answer).unwrap()
}

fn parts(answer: &str) -> (String, String, Value) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.lines().next().unwrap().to_owned();
    let media = head
        .lines()
        .find_map(|l| l.strip_prefix("content-type: "))
        .unwrap_or_default();
    (status, media.to_owned(), serde_json::from_str(body).unwrap())
}

#[tokio::test]
async fn an_empty_host_and_no_content_type_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jackfield-bridge.sock");
    let (word, served) = serve_for_test(&path, http::router(Fixture::new().plugin));
    let accept =
        "User-Agent: Go-http-client/1.1\r\nAccept: application/vnd.docker.plugins.v1.2+json\r\nConnection: close";
    for host in ["Host: ", "Host: plugin.moby.localhost"] {
        let request = format!("POST /Plugin.Activate HTTP/1.1\r\n{host}\r\n{accept}\r\nContent-Length: 0\r\n\r\n");
        let (status, media, body) = parts(&exchange(&path, &request).await);
        assert_eq!(status, "HTTP/1.1 200 OK", "{host}");
        assert_eq!(media, "application/vnd.docker.plugins.v1.2+json");
        assert_eq!(body["Implements"], serde_json::json!(["NetworkDriver", "IpamDriver"]));
    }
    let body = serde_json::json!({ "NetworkID": "ab".repeat(32) }).to_string();
    let chunked = format!(
        "POST /NetworkDriver.DeleteNetwork HTTP/1.1\r\nHost: \r\n{accept}\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    let (status, _, body) = parts(&exchange(&path, &chunked).await);
    assert_eq!((status.as_str(), body.to_string().as_str()), ("HTTP/1.1 200 OK", "{}"));
    for (line, status) in [
        ("POST /NetworkDriver.Nonsense", "HTTP/1.1 404 Not Found"),
        ("GET /Plugin.Activate", "HTTP/1.1 404 Not Found"),
        ("POST /", "HTTP/1.1 404 Not Found"),
    ] {
        let request = format!("{line} HTTP/1.1\r\nHost: \r\n{accept}\r\nContent-Length: 0\r\n\r\n");
        let (got, _, body) = parts(&exchange(&path, &request).await);
        assert_eq!(got, status, "{line}");
        assert!(body["Err"].is_string(), "{line}");
    }
    word.stop();
    served.await.unwrap();
}

#[tokio::test]
async fn a_name_that_has_addresses_alone_says_so() {
    let fixture = Fixture::new();
    let addresses = crate::docker::Plugin {
        driver: None,
        name: "jackfield".to_owned(),
        ..fixture.plugin.clone()
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jackfield.sock");
    let (word, served) = serve_for_test(&path, http::router(addresses));
    let ask = |call: &str| format!("POST /{call} HTTP/1.1\r\nHost: \r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    let (_, _, body) = parts(&exchange(&path, &ask("Plugin.Activate")).await);
    assert_eq!(body["Implements"], serde_json::json!(["IpamDriver"]));
    let (status, _, _) = parts(&exchange(&path, &ask("NetworkDriver.GetCapabilities")).await);
    assert_eq!(status, "HTTP/1.1 404 Not Found");
    word.stop();
    served.await.unwrap();
}
