//! gRPC's unary calls on a unix socket, a connection each: what little of the protocol a test needs, without a generator of code.

use std::path::Path;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, Request};
use jackfield_lab::{LabError, Result};
use prost::Message;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Calls `/SERVICE/METHOD`.
///
/// # Errors
/// With the server's own words, when it refuses.
pub fn call<A: Message + Default>(socket: &Path, method: &str, request: &impl Message) -> Result<A> {
    let failed = |cause: Failure| LabError::new(method, cause);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| failed(e.into()))?;
    runtime.block_on(exchange(socket, method, request)).map_err(failed)
}

async fn exchange<A: Message + Default>(socket: &Path, method: &str, request: &impl Message) -> Result<A, Failure> {
    let stream = tokio::net::UnixStream::connect(socket).await?;
    let (sender, connection) = h2::client::handshake(stream).await?;
    // It ends with the runtime.
    let _driver = tokio::spawn(connection);
    let head = Request::post(format!("http://localhost/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())?;
    let (response, mut body) = sender.ready().await?.send_request(head, false)?;
    body.send_data(framed(request), true)?;
    let (head, mut body) = response.await?.into_parts();
    let mut answer = BytesMut::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        body.flow_control().release_capacity(chunk.len())?;
        answer.extend_from_slice(&chunk);
    }
    // A refusal without a body has its status in the head.
    succeeded(&body.trailers().await?.unwrap_or(head.headers))?;
    unframed(answer.freeze())
}

/// A message in a frame: one that is not compressed, and its length.
fn framed(message: &impl Message) -> Bytes {
    let encoded = message.encode_to_vec();
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(encoded.len()).unwrap_or(u32::MAX));
    frame.extend_from_slice(&encoded);
    frame.freeze()
}

fn unframed<A: Message + Default>(mut frame: Bytes) -> Result<A, Failure> {
    if frame.len() < 5 || frame.get_u8() != 0 {
        return Err("the answer is no plain frame".into());
    }
    let length = frame.get_u32();
    if frame.len() != usize::try_from(length)? {
        return Err("the answer is not one frame".into());
    }
    Ok(A::decode(frame)?)
}

fn succeeded(headers: &HeaderMap) -> Result<(), Failure> {
    let text = |key: &str| {
        headers
            .get(key)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    match text("grpc-status") {
        "0" => Ok(()),
        status => Err(format!("status {status}: {}", text("grpc-message")).into()),
    }
}
