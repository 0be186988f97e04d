//! Mangled calls: every one is answered in Docker's form, in the right key, and a refusal has changed nothing.

use proptest::{prelude::*, sample::Index, test_runner::TestRunner};
use serde_json::{Value, json};

use super::{
    fixture::{Fixture, refusal},
    replay,
};

/// One way to spoil a request.
#[derive(Clone, Debug)]
enum Spoil {
    /// A field goes.
    Remove(Index),
    /// A field becomes something else.
    Replace(Index, Value),
    /// A field's name is spelled in another case.
    Case(Index),
    /// The text breaks off.
    Truncate(Index),
    /// A byte becomes another.
    Byte(Index, u8),
}

fn junk() -> impl Strategy<Value = Value> {
    let numbers = any::<i64>().prop_map(|n| json!(n));
    let texts = prop_oneof![
        "\\PC{0,40}",
        Just("10.50.0.0/24".to_owned()),
        Just("10.50.0.300".to_owned()),
        Just("fd00::/129".to_owned()),
        Just("/".to_owned()),
        Just("\u{0}".to_owned()),
        Just("x".repeat(5000)),
    ];
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        numbers,
        texts.prop_map(Value::String),
        Just(json!([])),
        Just(json!([[]])),
        Just(json!({})),
        Just(json!({ "Pool": 1 })),
    ]
}

fn spoil() -> impl Strategy<Value = Spoil> {
    prop_oneof![
        any::<Index>().prop_map(Spoil::Remove),
        (any::<Index>(), junk()).prop_map(|(at, value)| Spoil::Replace(at, value)),
        any::<Index>().prop_map(Spoil::Case),
        any::<Index>().prop_map(Spoil::Truncate),
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Spoil::Byte(at, byte)),
    ]
}

/// Paths of all fields, nested ones too.
fn paths(value: &Value, at: &str) -> Vec<String> {
    let below = |key: &str, value: &Value| {
        let path = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
        let mut all = paths(value, &path);
        all.push(path);
        all
    };
    match value {
        Value::Object(object) => object.iter().flat_map(|(key, value)| below(key, value)).collect(),
        Value::Array(list) => list
            .iter()
            .enumerate()
            .flat_map(|(n, value)| below(&n.to_string(), value))
            .collect(),
        _ => Vec::new(),
    }
}

/// The object that a path's last part is a field of, and that part.
fn field<'a>(value: &'a mut Value, path: &str) -> Option<(&'a mut serde_json::Map<String, Value>, String)> {
    let (parent, key) = path.rsplit_once('/')?;
    let key = key.replace("~1", "/").replace("~0", "~");
    Some((value.pointer_mut(parent)?.as_object_mut()?, key))
}

fn spoiled(request: &Value, spoils: &[Spoil]) -> Vec<u8> {
    let mut value = request.clone();
    for spoil in spoils {
        let paths = paths(&value, "");
        let at = |index: &Index| (!paths.is_empty()).then(|| index.get(&paths).clone());
        match spoil {
            Spoil::Remove(index) => {
                let path = at(index).unwrap_or_default();
                if let Some((object, key)) = field(&mut value, &path) {
                    object.remove(&key);
                }
            }
            Spoil::Replace(index, junk) => {
                if let Some(there) = at(index).and_then(|path| value.pointer_mut(&path)) {
                    *there = junk.clone();
                }
            }
            Spoil::Case(index) => {
                let path = at(index).unwrap_or_default();
                if let Some((object, key)) = field(&mut value, &path)
                    && let Some(there) = object.remove(&key)
                {
                    object.insert(key.to_uppercase(), there);
                }
            }
            Spoil::Truncate(_) | Spoil::Byte(..) => {}
        }
    }
    let mut bytes = if value.is_null() {
        Vec::new()
    } else {
        value.to_string().into_bytes()
    };
    for spoil in spoils.iter().filter(|_| !bytes.is_empty()).cloned().collect::<Vec<_>>() {
        match spoil {
            Spoil::Truncate(index) => bytes.truncate(index.index(bytes.len())),
            Spoil::Byte(index, byte) => {
                let at = index.index(bytes.len());
                bytes[at] = byte;
            }
            _ => {}
        }
        if bytes.is_empty() {
            break;
        }
    }
    bytes
}

/// A network with an endpoint that is joined: what a spoiled call may hit.
async fn prepare(fixture: &Fixture) {
    let calls = replay::all();
    let first = |method: &str| &calls.iter().find(|call| call.method == method).unwrap().request;
    for method in ["CreateNetwork", "CreateEndpoint", "Join"] {
        let method = format!("NetworkDriver.{method}");
        fixture.ok(&method, first(&method)).await;
    }
}

#[test]
fn a_mangled_call_is_answered_in_dockers_form_and_a_refused_one_changed_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let fixture = Fixture::new();
    runtime.block_on(prepare(&fixture));
    let calls = replay::all();
    let strategy = (any::<Index>(), prop::collection::vec(spoil(), 0..4));
    let config = ProptestConfig {
        cases: 600,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let tried = TestRunner::new(config).run(&strategy, |(index, spoils)| {
        let call = index.get(&calls);
        let body = spoiled(&call.request, &spoils);
        runtime.block_on(async {
            let before = fixture.everything();
            let (status, answer) = fixture.send(&call.method, body.clone()).await;
            prop_assert_eq!(status, 200);
            prop_assert!(answer.is_object(), "{}", answer);
            if refusal(&call.method, &answer).is_some() {
                prop_assert!(
                    fixture.everything() == before,
                    "{} {:?}",
                    call.method,
                    String::from_utf8_lossy(&body)
                );
            }
            Ok(())
        })
    });
    tried.unwrap();
}
