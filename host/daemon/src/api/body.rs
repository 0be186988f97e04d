//! Bodies of requests: bounded in size and time, then read into their type.

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, Request},
};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use jackfield_model::{Error, ErrorCode};
use serde::de::DeserializeOwned;

use super::refusal::Refusal;
use crate::wire::read;

/// Largest JSON body: some thousand options and labels.
const JSON_BYTES: usize = 1 << 20;
/// Largest component: a script guest with its interpreter has about 18 MB.
pub(crate) const COMPONENT_BYTES: usize = 64 << 20;
/// Bytes beyond the largest body that are read before the connection is closed on a client that goes on sending.
const FORGOTTEN_BYTES: usize = 64 << 20;
/// Longest time for a body to arrive. It is on this machine; only a stuck client takes longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A JSON body.
pub(super) struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Refusal> {
        let bytes = collect(request.into_body(), JSON_BYTES, "a JSON body").await?;
        Ok(Self(read::json(&bytes)?))
    }
}

/// A component's bytes.
pub(super) struct Component(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Component {
    type Rejection = Refusal;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Refusal> {
        let bytes = collect(request.into_body(), COMPONENT_BYTES, "a component").await?;
        if bytes.is_empty() {
            return Err(Error::invalid("the body is empty: expected the bytes of a WebAssembly component").into());
        }
        Ok(Self(bytes))
    }
}

async fn collect(body: Body, limit: usize, what: &str) -> Result<Bytes, Refusal> {
    let collected = tokio::time::timeout(PATIENCE, at_most(body, limit)).await;
    match collected {
        Ok(Ok(Some(bytes))) => Ok(bytes),
        Ok(Ok(None)) => Err(too_large(what, limit)),
        Ok(Err(e)) => Err(Error::invalid("the body broke off").caused_by(e).into()),
        Err(_) => {
            let message = format!("the body did not arrive within {} seconds", PATIENCE.as_secs());
            Err(Refusal::with_status(
                408,
                &Error::new(ErrorCode::Unavailable, message).retryable(),
            ))
        }
    }
}

/// The body's bytes; None when there are more than that. What is too much is read and forgotten, up to a point: a connection that is
/// closed while its client still writes takes the answer from many a client.
async fn at_most(mut body: Body, limit: usize) -> Result<Option<Bytes>, axum::Error> {
    let mut bytes = Vec::new();
    let mut seen = 0usize;
    // Said before it is sent: not kept from its first byte on.
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        seen = seen.saturating_add(data.len());
        if seen > limit.saturating_add(FORGOTTEN_BYTES) {
            return Ok(None);
        }
        if seen.max(announced) > limit {
            bytes = Vec::new();
        } else {
            bytes.extend_from_slice(&data);
        }
    }
    Ok((seen <= limit).then(|| bytes.into()))
}

fn too_large(what: &str, limit: usize) -> Refusal {
    let message = format!("the body is too large: {what} may have at most {} MiB", limit >> 20);
    Refusal::with_status(413, &Error::invalid(message))
}
