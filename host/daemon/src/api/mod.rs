//! The native API: HTTP/1.1 and JSON, resources under `/v1`, one file a resource.
//!
//! Each handler does three things: it reads the request, calls the controller on a thread that may block, and converts the answer. What goes
//! wrong anywhere becomes a problem in one place (`refusal`). A caller who hangs up does not stop an operation that has begun.

mod answer;
mod body;
mod drivers;
mod endpoints;
mod events;
mod host;
mod info;
mod log;
mod networks;
mod path;
mod query;
pub(crate) mod refusal;
mod sandboxes;
#[cfg(test)]
mod tests;

pub(crate) use host::{About, Host};

use axum::{
    Router,
    http::{Method, Uri},
    routing::{delete, get, post, put},
};
use jackfield_model::{Error, ErrorCode};

use refusal::Refusal;

/// Every resource.
pub(crate) fn router(host: Host) -> Router {
    Router::new()
        .route("/v1/info", get(info::show))
        .route("/v1/events", get(events::stream))
        .route("/v1/drivers", get(drivers::list).post(drivers::load))
        .route(
            "/v1/drivers/{driver}",
            get(drivers::show).put(drivers::upgrade).delete(drivers::unload),
        )
        .route("/v1/drivers/{driver}/rollback", post(drivers::rollback))
        .route("/v1/networks", get(networks::list).post(networks::create))
        .route("/v1/networks/prune", post(networks::prune))
        .route("/v1/networks/{network}", get(networks::show).delete(networks::delete))
        .route("/v1/networks/{network}/endpoints", post(endpoints::create))
        .route("/v1/networks/{network}/connect", post(networks::connect))
        .route("/v1/networks/{network}/disconnect", post(networks::disconnect))
        .route(
            "/v1/networks/{network}/reservations/{address}",
            delete(networks::release_address),
        )
        .route("/v1/endpoints", get(endpoints::list))
        .route(
            "/v1/endpoints/{endpoint}",
            get(endpoints::show).delete(endpoints::delete),
        )
        .route("/v1/endpoints/{endpoint}/join", post(endpoints::join))
        .route("/v1/endpoints/{endpoint}/leave", post(endpoints::leave))
        .route("/v1/endpoints/{endpoint}/ports", put(endpoints::ports))
        .route("/v1/sandboxes", get(sandboxes::list).post(sandboxes::create))
        .route(
            "/v1/sandboxes/{sandbox}",
            get(sandboxes::show).delete(sandboxes::delete),
        )
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(axum::middleware::from_fn(log::requests))
        .with_state(host)
}

async fn no_such_path(uri: Uri) -> Refusal {
    let shown: String = uri.path().chars().take(120).collect();
    let words = "drivers, networks, endpoints, sandboxes, events and info under /v1";
    Refusal::from(Error::not_found(format!(
        "there is nothing at {shown}: expected one of {words}"
    )))
}

async fn no_such_method(method: Method, uri: Uri) -> Refusal {
    let shown: String = uri.path().chars().take(120).collect();
    let error = Error::new(
        ErrorCode::Unsupported,
        format!("{method} does nothing at {shown}: the Allow header says what does"),
    );
    Refusal::with_status(405, &error)
}
