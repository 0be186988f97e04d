//! The API over a real socket, with the real controller on the simulated kernel.

mod refusals;
mod resources;
mod shelf;
mod stream;

use std::{path::PathBuf, sync::Arc};

use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use jackfield_kernel::{Dump, Kernel, NamespaceSource, Simulated};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{net::UnixStream, task::JoinHandle};

use super::router;
use crate::{
    client::Client,
    events::Events,
    serve::{Parts, Word, assemble, serve_for_test},
};

/// A host that serves in a folder of its own.
struct TestHost {
    folder: TempDir,
    kernel: Arc<Simulated>,
    events: Arc<Events>,
    word: Word,
    served: JoinHandle<()>,
}

impl TestHost {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kernel = Arc::new(Simulated::new());
        let parts = Parts::simulated(&kernel, folder.path(), "10.64.0.0/12".parse().unwrap());
        let host = assemble(parts, |_| Ok(Arc::new(shelf::Shelf::default()))).unwrap();
        let events = host.events.clone();
        let (word, served) = serve_for_test(&folder.path().join("sock"), router(host));
        Self {
            folder,
            kernel,
            events,
            word,
            served,
        }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("sock")
    }

    fn client(&self) -> Client {
        Client::new(self.socket())
    }

    /// One request as it is, on a connection of its own.
    async fn send(&self, method: Method, path: &str, body: impl Into<Bytes>) -> Answer {
        let stream = UnixStream::connect(self.socket()).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .body(Full::new(body.into()))
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        let status = response.status().as_u16();
        let media_type = response
            .headers()
            .get("content-type")
            .map(|it| it.to_str().unwrap().to_owned())
            .unwrap_or_default();
        let allow = response
            .headers()
            .get("allow")
            .map(|it| it.to_str().unwrap().to_owned());
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        Answer {
            status,
            media_type,
            allow,
            body: serde_json::from_slice(&bytes).unwrap(),
        }
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.send(Method::GET, path, "").await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, body.to_string()).await
    }

    /// Everything that a refusal must leave as it was.
    async fn everything(&self) -> (Value, Value, Value, Value, Dump) {
        let own = self.kernel.open_namespace(&NamespaceSource::Own).unwrap();
        (
            self.get("/v1/networks").await,
            self.get("/v1/endpoints").await,
            self.get("/v1/sandboxes").await,
            self.get("/v1/drivers").await,
            self.kernel.dump(&own).unwrap(),
        )
    }
}

#[derive(Debug)]
struct Answer {
    status: u16,
    media_type: String,
    allow: Option<String>,
    body: Value,
}
