//! `/v1/events`: JSON lines for as long as the caller listens.

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderValue, header},
    response::Response,
};
use futures_util::stream;

use super::{Host, answer::Answer, query::Parameters};
use crate::{events::Reader, wire::Event};

pub(super) async fn stream(State(host): State<Host>, parameters: Parameters) -> Answer {
    let since = parameters.only(&["since"])?.number("since")?;
    let mut response = Response::new(lines(host.events.reader(since)));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    Ok(response)
}

/// The body is asked for the next chunk only when the last one was sent: that is what makes a slow reader slow.
fn lines(reader: Reader) -> Body {
    Body::from_stream(stream::unfold(reader, |mut reader| async move {
        let events = reader.next().await;
        (!events.is_empty()).then(|| (chunk(&events), reader))
    }))
}

fn chunk(events: &[Event]) -> Result<Bytes, serde_json::Error> {
    let mut text = Vec::new();
    for event in events {
        serde_json::to_writer(&mut text, event)?;
        text.push(b'\n');
    }
    Ok(text.into())
}
