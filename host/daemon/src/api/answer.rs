//! Answers: what was made or found, as JSON.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use jackfield_controller::request::Done;
use jackfield_model::Error;
use serde::Serialize;

use super::refusal::Refusal;
use crate::wire::Change;

/// What a handler returns.
pub(super) type Answer = Result<Response, Refusal>;

/// 200 with that value.
pub(super) fn found<T: Serialize>(value: &T) -> Answer {
    json(StatusCode::OK, value)
}

/// 200 with a list.
pub(super) fn list<I, T: From<I> + Serialize>(items: Vec<I>) -> Answer {
    found(&items.into_iter().map(T::from).collect::<Vec<_>>())
}

/// 201 when it was made now, 200 when it was there already.
pub(super) fn made<I, T: From<I> + Serialize>(done: Done<I>) -> Answer {
    match done {
        Done::Done(it) => json(StatusCode::CREATED, &T::from(it)),
        Done::AlreadySo(it) => found(&T::from(it)),
    }
}

/// 200, and whether anything happened.
pub(super) fn changed(done: &Done<()>) -> Answer {
    found(&Change {
        changed: matches!(done, Done::Done(())),
    })
}

fn json<T: Serialize>(status: StatusCode, value: &T) -> Answer {
    let bytes =
        serde_json::to_vec(value).map_err(|e| Error::internal("the answer cannot be written as JSON").caused_by(e))?;
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
