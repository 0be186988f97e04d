//! Bad input: each gets one clear sentence with what was expected, a 4xx, and no change at all.

use hyper::Method;
use serde_json::{Value, json};

use super::{Answer, TestHost};

/// Method, path, body, status, and words that the sentence must have.
type Case = (Method, &'static str, Value, u16, &'static str);

fn cases() -> Vec<Case> {
    let networks = |body, status, words| (Method::POST, "/v1/networks", body, status, words);
    let subnet = |subnet: &str| json!({"name": "new", "pools": [{"subnet": subnet}]});
    let sandboxes = |body, status, words| (Method::POST, "/v1/sandboxes", body, status, words);
    let connect = |body, status, words| (Method::POST, "/v1/networks/blue/connect", body, status, words);
    vec![
        // The body.
        networks(json!(null), 400, "expected an object, got null"),
        networks(json!([]), 400, "expected an object, got an array"),
        networks(json!({}), 400, "the field \"name\" is missing"),
        networks(
            json!({"name": "new", "drvier": "bridge"}),
            400,
            "did you mean \"driver\"?",
        ),
        networks(
            json!({"name": "new", "internal": "yes"}),
            400,
            "internal: expected a boolean, got string \"yes\"",
        ),
        networks(json!({"name": "a/b"}), 400, "cannot be a name"),
        networks(
            json!({"name": "new", "id": "abc"}),
            400,
            "expected 64 lower-case hexadecimal digits",
        ),
        // Addresses.
        networks(subnet("10.9.0.0/33"), 400, "is no subnet"),
        networks(subnet("10.9.0.7/24"), 400, "write 10.9.0.0/24"),
        networks(
            json!({"name": "new", "pools": [{"subnet": "10.9.0.0/24", "gateway": "10.8.0.1"}]}),
            400,
            "10.8.0.1",
        ),
        networks(
            json!({"name": "new", "pools": [{"subnet": "10.9.0.0/24", "range": "10.8.0.0/25"}]}),
            400,
            "10.8.0.0/25",
        ),
        networks(subnet("10.1.0.0/25"), 409, "10.1.0.0/24"),
        // Names and drivers.
        networks(json!({"name": "blue"}), 409, "blue"),
        networks(json!({"name": "new", "driver": "brigde"}), 404, "bridge"),
        networks(json!({"name": "new", "options": {"mut": "1500"}}), 400, "mut"),
        networks(
            json!({"name": "new", "options": {"bridge": "sixteen-bytes-xx"}}),
            400,
            "15",
        ),
        (Method::DELETE, "/v1/networks/blu", json!(null), 404, "blu"),
        (Method::DELETE, "/v1/networks/blue", json!(null), 409, "blue"),
        (Method::GET, "/v1/networks/%ff", json!(null), 400, "UTF-8"),
        // Sandboxes.
        sandboxes(json!({"name": "web"}), 409, "web"),
        sandboxes(json!({"path": "relative/ns"}), 400, "absolute path"),
        sandboxes(
            json!({"path": "/proc/1/ns/net", "pid": 1}),
            400,
            "at most one of path, pid and foreign",
        ),
        sandboxes(json!({"path": "/there/is/nothing"}), 404, "/there/is/nothing"),
        sandboxes(json!({"pid": 0}), 400, "0 is no process"),
        // Connecting.
        connect(json!({"sandbox": "gone"}), 404, "gone"),
        connect(
            json!({"sandbox": "idle", "addresses": ["10.0.0"]}),
            400,
            "addresses[0]: \"10.0.0\" is no IP address",
        ),
        connect(json!({"sandbox": "idle", "addresses": ["10.2.0.1"]}), 400, "10.2.0.1"),
        connect(json!({"sandbox": "idle", "mac": "01:00:5e:00:00:01"}), 400, "unicast"),
        connect(
            json!({"sandbox": "idle", "interface": "a b"}),
            400,
            "cannot name a link",
        ),
        (
            Method::POST,
            "/v1/networks/gone/connect",
            json!({"sandbox": "web"}),
            404,
            "gone",
        ),
        (
            Method::POST,
            "/v1/endpoints/gone/join",
            json!({"sandbox": "web"}),
            404,
            "gone",
        ),
        (Method::POST, "/v1/endpoints/gone/leave", json!(null), 404, "gone"),
        // Drivers.
        (
            Method::POST,
            "/v1/drivers",
            json!("text"),
            400,
            "no WebAssembly component",
        ),
        (Method::DELETE, "/v1/drivers/bridge", json!(null), 403, "built in"),
        (Method::PUT, "/v1/drivers/bridge", json!("bridge 2"), 403, "built in"),
        (Method::GET, "/v1/drivers/gone", json!(null), 404, "gone"),
        // Paths, methods, parameters.
        (Method::GET, "/", json!(null), 404, "under /v1"),
        (Method::GET, "/v1/network", json!(null), 404, "under /v1"),
        (Method::PATCH, "/v1/networks/blue", json!({}), 405, "PATCH does nothing"),
        (
            Method::GET,
            "/v1/events?sinse=1",
            json!(null),
            400,
            "did you mean \"since\"?",
        ),
        (
            Method::GET,
            "/v1/events?since=x",
            json!(null),
            400,
            "since: expected a whole number",
        ),
        (
            Method::GET,
            "/v1/events?since=1&since=2",
            json!(null),
            400,
            "given twice",
        ),
    ]
}

#[tokio::test]
async fn bad_input_gets_one_sentence_a_4xx_and_changes_nothing() {
    let host = TestHost::start();
    let blue = json!({"name": "blue", "pools": [{"subnet": "10.1.0.0/24"}]});
    assert_eq!(host.post("/v1/networks", blue).await.status, 201);
    for sandbox in ["web", "idle"] {
        assert_eq!(host.post("/v1/sandboxes", json!({"name": sandbox})).await.status, 201);
    }
    assert_eq!(
        host.post("/v1/networks/blue/connect", json!({"sandbox": "web"}))
            .await
            .status,
        201
    );
    let before = host.everything().await;
    for (method, path, body, status, words) in cases() {
        let case = format!("{method} {path} {body}");
        let answer = host.send(method, path, body.to_string()).await;
        check(&case, &answer, status, words);
        assert_eq!(host.everything().await, before, "{case}");
    }
}

fn check(case: &str, answer: &Answer, status: u16, words: &str) {
    let detail = answer.body["detail"].as_str().unwrap_or_default();
    assert_eq!(answer.status, status, "{case}: {}", answer.body);
    assert_eq!(answer.media_type, "application/problem+json", "{case}");
    assert_eq!(answer.body["status"], status, "{case}");
    assert!(detail.contains(words), "{case}: {detail}");
    assert!(!detail.ends_with('.') && !detail.contains('\n'), "{case}: {detail}");
    assert!(answer.body["code"].is_string() && answer.body["title"].is_string() && answer.body["type"].is_string());
}

#[tokio::test]
async fn a_body_too_large_is_refused_before_it_is_kept() {
    let host = TestHost::start();
    let large = format!("{{\"name\":\"{}\"}}", "x".repeat(2 << 20));
    let answer = host.send(Method::POST, "/v1/networks", large).await;
    check("large", &answer, 413, "a JSON body may have at most 1 MiB");
    let answer = host.send(Method::POST, "/v1/drivers", vec![0; (64 << 20) + 1]).await;
    check("large component", &answer, 413, "a component may have at most 64 MiB");
}

#[tokio::test]
async fn a_body_that_is_no_json_is_told_where() {
    let host = TestHost::start();
    for (body, words) in [
        ("", "the body is empty"),
        ("{\"name\" \"x\"}", "no JSON (line 1, column 9)"),
        ("\u{0}", "no JSON"),
    ] {
        let answer = host.send(Method::POST, "/v1/networks", body).await;
        check(body, &answer, 400, words);
    }
}

#[tokio::test]
async fn a_wrong_method_is_answered_with_the_right_ones() {
    let host = TestHost::start();
    let answer = host.send(Method::PUT, "/v1/networks", "").await;
    assert_eq!((answer.status, answer.allow.as_deref()), (405, Some("GET,HEAD,POST")));
}
