//! A client of the host's API: HTTP/1.1 on a unix socket, one connection kept alive, blocking.
//!
//! Written out, and not taken from a library, so that a benchmark measures the host and not an executor.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
};

use serde_json::Value;

use crate::{
    Result,
    error::{During, LabError},
};

/// What the host answered.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body, `Null` where there was none.
    pub body: Value,
}

impl Answer {
    /// The body of a success.
    ///
    /// # Errors
    /// With the problem's own words, for any status but 2xx.
    pub fn ok(self, step: &str) -> Result<Value> {
        if (200..300).contains(&self.status) {
            return Ok(self.body);
        }
        Err(LabError::new(step, format!("{} {}", self.status, self.body)))
    }

    /// The one sentence of a refusal.
    pub fn detail(&self) -> &str {
        self.body["detail"].as_str().unwrap_or_default()
    }
}

/// One connection to the host.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn connect(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket).during(&format!("connect to {}", socket.display()))?;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    /// GET.
    pub fn get(&mut self, path: &str) -> Result<Answer> {
        self.request("GET", path, "application/json", b"")
    }

    /// POST of a JSON body.
    pub fn post(&mut self, path: &str, body: &Value) -> Result<Answer> {
        self.request("POST", path, "application/json", body.to_string().as_bytes())
    }

    /// PUT of a JSON body.
    pub fn put(&mut self, path: &str, body: &Value) -> Result<Answer> {
        self.request("PUT", path, "application/json", body.to_string().as_bytes())
    }

    /// DELETE.
    pub fn delete(&mut self, path: &str) -> Result<Answer> {
        self.request("DELETE", path, "application/json", b"")
    }

    /// A driver's component, POST to load it and PUT to upgrade it.
    pub fn component(&mut self, method: &str, path: &str, bytes: &[u8]) -> Result<Answer> {
        self.request(method, path, "application/wasm", bytes)
    }

    /// Any request at all.
    ///
    /// # Errors
    /// When the connection breaks or what comes back is no HTTP.
    pub fn request(&mut self, method: &str, path: &str, kind: &str, body: &[u8]) -> Result<Answer> {
        let step = format!("{method} {path}");
        let mut message = format!(
            "{method} {path} HTTP/1.1\r\nHost: jackfield\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        message.extend_from_slice(body);
        match self.stream.get_mut().write_all(&message) {
            // A host that has heard enough answers before it has read all.
            Err(early) if early.kind() == io::ErrorKind::BrokenPipe => {}
            other => other.during(&step)?,
        }
        self.answer(&step)
    }

    fn answer(&mut self, step: &str) -> Result<Answer> {
        let status = self.line(step)?;
        let code = status.split(' ').nth(1).and_then(|c| c.parse().ok());
        let status = code.ok_or_else(|| LabError::new(step, format!("no HTTP status line: {status:?}")))?;
        let mut length = 0;
        loop {
            let line = self.line(step)?;
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().during(step)?;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).during(step)?;
        let body = if body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&body).during(step)?
        };
        Ok(Answer { status, body })
    }

    fn line(&mut self, step: &str) -> Result<String> {
        let mut line = String::new();
        let read = self.stream.read_line(&mut line).during(step)?;
        if read == 0 {
            return Err(LabError::new(step, "the host closed the connection"));
        }
        Ok(line.trim_end().to_owned())
    }
}
