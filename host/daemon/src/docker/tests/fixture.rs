//! A host that Docker's calls are made on, and what it has.

use std::{fmt, sync::Arc, time::Duration};

use axum::{Router, body::Body, http::Request};
use http_body_util::BodyExt;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use jackfield_controller::{builtin::BuiltIns, request::RealmRef};
use jackfield_driver::{Drivers, LoadedDriver};
use jackfield_kernel::{Kernel, NamespaceSource, Simulated};
use jackfield_model::{Error, Result};
use jackfield_wasm::{Change, Inspection};
use serde_json::Value;
use tempfile::TempDir;

use super::super::{Plugin, http, method};
use crate::{
    api::Host,
    drivers::DriverAdmin,
    serve::{Parts, assemble},
};

/// The built-in drivers, and maybe one more.
#[derive(Debug)]
pub struct Shelf {
    built_in: BuiltIns,
    more: Option<Arc<dyn LoadedDriver>>,
}

impl Drivers for Shelf {
    fn find(&self, name: &str) -> Option<Arc<dyn LoadedDriver>> {
        let more = self.more.iter().find(|driver| driver.identity().name == name);
        more.cloned().or_else(|| self.built_in.find(name))
    }

    fn names(&self) -> Vec<String> {
        self.built_in.names()
    }
}

impl DriverAdmin for Shelf {
    fn load(&self, _: &[u8]) -> Result<Change> {
        Err(Error::internal("nothing is loaded here"))
    }
    fn upgrade(&self, _: &str, _: &[u8]) -> Result<Change> {
        Err(Error::internal("nothing is upgraded here"))
    }
    fn rollback(&self, _: &str) -> Result<Change> {
        Err(Error::internal("nothing is rolled back here"))
    }
    fn unload(&self, _: &str, _: &dyn Fn() -> Vec<String>) -> Result<()> {
        Err(Error::internal("nothing is unloaded here"))
    }
    fn list(&self) -> Vec<Inspection> {
        Vec::new()
    }
    fn inspect(&self, _: &str) -> Result<Inspection> {
        Err(Error::internal("nothing is inspected here"))
    }
}

/// The host.
pub struct Fixture {
    pub host: Host,
    pub plugin: Plugin,
    kernel: Arc<Simulated>,
    service: TowerToHyperService<Router>,
    _folder: TempDir,
}

impl Fixture {
    /// Called as the built-in bridge.
    pub fn new() -> Self {
        Self::with("bridge", None, method::PATIENCE)
    }

    /// Called as that driver, which may be the further one.
    pub fn with(driver: &str, more: Option<Arc<dyn LoadedDriver>>, patience: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kernel = Arc::new(Simulated::new());
        let parts = Parts::simulated(&kernel, folder.path(), "10.200.0.0/16".parse().unwrap());
        let shelf = Shelf {
            built_in: BuiltIns::new(),
            more,
        };
        let host = assemble(parts, |_| Ok(Arc::new(shelf))).unwrap();
        let plugin = Plugin {
            name: format!("jackfield-{driver}"),
            driver: Some(driver.to_owned()),
            scope: None,
            patience,
            controller: host.controller.clone(),
            drivers: host.drivers.clone(),
        };
        Self {
            service: TowerToHyperService::new(http::router(plugin.clone())),
            host,
            plugin,
            kernel,
            _folder: folder,
        }
    }

    /// One call, with that body.
    pub async fn send(&self, method: &str, body: impl Into<Body>) -> (u16, Value) {
        let request = Request::post(format!("/{method}")).body(body.into()).unwrap();
        let response = self.service.call(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    /// One call that has to be answered as one.
    pub async fn call(&self, method: &str, body: &Value) -> Value {
        let (status, answer) = self.send(method, body.to_string()).await;
        assert_eq!(status, 200, "{method} {body}: {answer}");
        answer
    }

    /// The same, which has to succeed.
    pub async fn ok(&self, method: &str, body: &Value) -> Value {
        let answer = self.call(method, body).await;
        assert_eq!(refusal(method, &answer), None, "{method} {body}");
        answer
    }

    /// Everything that a refusal must leave as it was.
    pub fn everything(&self) -> impl PartialEq + fmt::Debug + use<> {
        let (own, controller) = (RealmRef::Own, &self.host.controller);
        let shown = (
            controller.networks(own).unwrap(),
            controller.endpoints(own).unwrap(),
            controller.sandboxes(own).unwrap(),
        );
        assert!(controller.quiesce());
        let namespace = self.kernel.open_namespace(&NamespaceSource::Own).unwrap();
        (format!("{shown:#?}"), self.kernel.dump(&namespace).unwrap())
    }
}

/// What an answer refuses with: in the right key, and in no other.
pub fn refusal(method: &str, answer: &Value) -> Option<String> {
    let (key, other) = if method.starts_with("IpamDriver.") {
        ("Error", "Err")
    } else {
        ("Err", "Error")
    };
    assert!(answer.get(other).is_none(), "{method}: {answer}");
    let words = answer.get(key)?.as_str().unwrap();
    assert!(!words.is_empty(), "{method}");
    Some(words.to_owned())
}
