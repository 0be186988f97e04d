//! Docker's calls as they come over HTTP: `POST /Type.Method`, any `Host`, no content type, sometimes no body.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    response::Response,
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use jackfield_model::{Error, Result};
use serde_json::{Value, json};

use super::{Plugin, method};

/// Of every answer.
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/vnd.docker.plugins.v1.2+json");
/// Largest body: the ports of a container that publishes all of them.
const MOST_BYTES: usize = 16 << 20;
/// Longest time for a body to arrive.
const ARRIVAL: Duration = Duration::from_secs(5);

/// Everything that is asked of one name.
pub fn router(plugin: Plugin) -> Router {
    Router::new().fallback(answer).with_state(Arc::new(plugin))
}

async fn answer(State(plugin): State<Arc<Plugin>>, request: Request) -> Response {
    let path = request.uri().path().trim_start_matches('/').to_owned();
    let call = method::find(&path, plugin.driver.is_some()).filter(|_| request.method() == Method::POST);
    let Some(call) = call else {
        let shown: String = path.chars().take(60).collect();
        let words = format!("jackfield has no {} {shown}", request.method());
        return json_answer(StatusCode::NOT_FOUND, &json!({ "Err": words }));
    };
    let result = match body(request.into_body()).await {
        Ok(bytes) => method::run(plugin.clone(), call, bytes).await,
        Err(error) => Err(error),
    };
    let value = result.unwrap_or_else(|error| refusal(&plugin, call, &error));
    json_answer(StatusCode::OK, &value)
}

async fn body(body: Body) -> Result<Bytes> {
    let collected = tokio::time::timeout(ARRIVAL, Limited::new(body, MOST_BYTES).collect()).await;
    match collected {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Error::invalid(format!(
            "the request's body is too large: it may have at most {} MiB",
            MOST_BYTES >> 20
        ))),
        Ok(Err(error)) => Err(Error::invalid("the request's body broke off").caused_by(error)),
        Err(_) => Err(Error::invalid(format!(
            "the request's body did not arrive within {} seconds",
            ARRIVAL.as_secs()
        ))),
    }
}

/// Docker shows one line. Who was at work and at what belongs to it.
fn refusal(plugin: &Plugin, call: &method::Call, error: &Error) -> Value {
    tracing::warn!(
        plugin = plugin.name,
        call = call.name,
        step = error.step,
        driver = error.driver,
        "refused: {error}"
    );
    let driver = error.driver.as_ref().map(|driver| format!(" (driver {driver})"));
    let words = format!("{}{}", error.message, driver.unwrap_or_default());
    json!({ call.error_key(): words })
}

fn json_answer(status: StatusCode, value: &Value) -> Response {
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, MEDIA_TYPE);
    response
}
