//! A stream of JSON lines.

use http_body_util::BodyExt;
use hyper::{Response, body::Incoming};
use serde::de::DeserializeOwned;

use super::{Client, ClientError};

/// Longest line that is taken from the host.
const LONGEST: usize = 1 << 20;

/// JSON lines as they come.
#[derive(Debug)]
pub struct Lines {
    /// Keeps the connection open.
    _client: Client,
    path: String,
    body: Incoming,
    buffer: Vec<u8>,
}

impl Lines {
    pub(super) fn new(client: Client, path: &str, response: Response<Incoming>) -> Self {
        Self {
            _client: client,
            path: path.to_owned(),
            body: response.into_body(),
            buffer: Vec::new(),
        }
    }

    /// The next line, None at the end.
    ///
    /// # Errors
    /// The connection broke, or the line is not what it should be.
    pub async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, ClientError> {
        loop {
            if let Some(line) = self.take_line() {
                return serde_json::from_slice(&line)
                    .map(Some)
                    .map_err(|e| ClientError::broken(&self.path, e));
            }
            if self.buffer.len() > LONGEST {
                return Err(ClientError::broken(&self.path, "a line is too long"));
            }
            let Some(frame) = self.body.frame().await else {
                return Ok(None);
            };
            let frame = frame.map_err(|e| ClientError::broken(&self.path, e))?;
            if let Ok(data) = frame.into_data() {
                self.buffer.extend_from_slice(&data);
            }
        }
    }

    fn take_line(&mut self) -> Option<Vec<u8>> {
        let end = self.buffer.iter().position(|b| *b == b'\n')?;
        let rest = self.buffer.split_off(end + 1);
        Some(std::mem::replace(&mut self.buffer, rest))
    }
}
