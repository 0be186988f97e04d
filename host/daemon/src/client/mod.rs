//! A small HTTP/1.1 client for the host's unix socket. It keeps its connection between calls.

mod error;
mod lines;

pub use error::ClientError;
pub use lines::Lines;

use std::path::{Path, PathBuf};

use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, Response, StatusCode, body::Bytes, body::Incoming, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use tokio::net::UnixStream;

use crate::wire::Problem;

type Sender = http1::SendRequest<Full<Bytes>>;

/// A client of one host.
#[derive(Debug)]
pub struct Client {
    socket: PathBuf,
    connection: Option<Sender>,
}

impl Client {
    /// A client of the host behind that socket. Connects with the first call.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self {
            socket: socket.into(),
            connection: None,
        }
    }

    /// The socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// GET.
    ///
    /// # Errors
    /// The host cannot be reached, or refuses.
    pub async fn get<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, ClientError> {
        self.call(Method::GET, path, Body::Empty).await
    }

    /// DELETE.
    ///
    /// # Errors
    /// The host cannot be reached, or refuses.
    pub async fn delete<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, ClientError> {
        self.call(Method::DELETE, path, Body::Empty).await
    }

    /// POST without a body.
    ///
    /// # Errors
    /// The host cannot be reached, or refuses.
    pub async fn act<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, ClientError> {
        self.call(Method::POST, path, Body::Empty).await
    }

    /// POST of a JSON body.
    ///
    /// # Errors
    /// The host cannot be reached, or refuses.
    pub async fn post<T: DeserializeOwned>(&mut self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        let bytes = serde_json::to_vec(body).map_err(|e| ClientError::broken(path, e))?;
        self.call(Method::POST, path, Body::Json(bytes.into())).await
    }

    /// PUT of a JSON body.
    ///
    /// # Errors
    /// The host cannot be reached, or refuses.
    pub async fn put<T: DeserializeOwned>(&mut self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        let bytes = serde_json::to_vec(body).map_err(|e| ClientError::broken(path, e))?;
        self.call(Method::PUT, path, Body::Json(bytes.into())).await
    }

    /// POST of a component, which loads a driver; PUT, which upgrades one.
    ///
    /// # Errors
    /// The host cannot be reached, or refuses.
    pub async fn send_component<T: DeserializeOwned>(
        &mut self,
        method: Method,
        path: &str,
        component: Vec<u8>,
    ) -> Result<T, ClientError> {
        self.call(method, path, Body::Component(component.into())).await
    }

    /// GET of JSON lines that go on.
    ///
    /// # Errors
    /// The host cannot be reached, or refuses.
    pub async fn lines(mut self, path: &str) -> Result<Lines, ClientError> {
        let response = self.send(Method::GET, path, Body::Empty).await?;
        if response.status().is_success() {
            Ok(Lines::new(self, path, response))
        } else {
            Err(refusal(path, response).await)
        }
    }

    async fn call<T: DeserializeOwned>(&mut self, method: Method, path: &str, body: Body) -> Result<T, ClientError> {
        let response = self.send(method, path, body).await?;
        if !response.status().is_success() {
            return Err(refusal(path, response).await);
        }
        let bytes = collect(path, response).await?;
        serde_json::from_slice(&bytes).map_err(|e| ClientError::broken(path, e))
    }

    async fn send(&mut self, method: Method, path: &str, body: Body) -> Result<Response<Incoming>, ClientError> {
        let (media_type, bytes) = body.into_parts();
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "jackfield");
        if let Some(media_type) = media_type {
            request = request.header(header::CONTENT_TYPE, media_type);
        }
        let request = request
            .body(Full::new(bytes))
            .map_err(|e| ClientError::broken(path, e))?;
        let mut sender = self.sender().await?;
        let response = sender
            .send_request(request)
            .await
            .map_err(|e| ClientError::broken(path, e))?;
        self.connection = Some(sender);
        Ok(response)
    }

    /// The connection of the last call, when the host has not closed it; or else a new one.
    async fn sender(&mut self) -> Result<Sender, ClientError> {
        if let Some(mut sender) = self.connection.take()
            && sender.ready().await.is_ok()
        {
            return Ok(sender);
        }
        let unreachable = |source| ClientError::Unreachable {
            socket: self.socket.clone(),
            source,
        };
        let stream = UnixStream::connect(&self.socket).await.map_err(unreachable)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|e| ClientError::broken("a new connection", e))?;
        // Ends with the sender, or when the host closes; what goes wrong is told to whoever waits for the answer.
        tokio::spawn(connection);
        Ok(sender)
    }
}

enum Body {
    Empty,
    Json(Bytes),
    Component(Bytes),
}

impl Body {
    fn into_parts(self) -> (Option<&'static str>, Bytes) {
        match self {
            Self::Empty => (None, Bytes::new()),
            Self::Json(bytes) => (Some("application/json"), bytes),
            Self::Component(bytes) => (Some("application/wasm"), bytes),
        }
    }
}

async fn collect(path: &str, response: Response<Incoming>) -> Result<Bytes, ClientError> {
    let collected = response.into_body().collect().await;
    collected
        .map(http_body_util::Collected::to_bytes)
        .map_err(|e| ClientError::broken(path, e))
}

async fn refusal(path: &str, response: Response<Incoming>) -> ClientError {
    let status = response.status();
    match collect(path, response).await {
        Ok(bytes) => problem(path, status, &bytes),
        Err(error) => error,
    }
}

fn problem(path: &str, status: StatusCode, bytes: &[u8]) -> ClientError {
    match serde_json::from_slice::<Problem>(bytes) {
        Ok(problem) => ClientError::Refused(Box::new(problem)),
        Err(_) => ClientError::NoJackfield {
            path: path.to_owned(),
            status: status.as_u16(),
        },
    }
}

/// One segment of a path, with everything escaped that may not stand there as it is.
pub fn segment(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    text.bytes()
        .map(|b| {
            if plain(b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_cannot_leave_its_segment() {
        assert_eq!(segment("blue.net_1-x"), "blue.net_1-x");
        assert_eq!(segment("../a?b=c d"), "..%2Fa%3Fb%3Dc%20d");
    }
}
