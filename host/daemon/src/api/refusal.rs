//! The one place where an error becomes a status and a problem.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use jackfield_model::{Error, ErrorCode};

use crate::wire::{Problem, problem_causes};

/// A request refused or failed.
#[derive(Debug)]
pub(crate) struct Refusal(Box<Problem>);

impl Refusal {
    /// With a status that HTTP itself asks for (405, 408, 413).
    pub fn with_status(status: u16, error: &Error) -> Self {
        Self(Box::new(Problem::from_error(status, error)))
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let status = status(error.code);
        if status >= 500 {
            let causes = problem_causes(&error).join(": ");
            tracing::error!(code = %error.code, step = error.step, object = error.object, driver = error.driver, causes, "{error}");
        }
        Self::with_status(status, &error)
    }
}

/// The client's fault is 4xx, ours 5xx. What the caller can change by asking for something else is his, a limit too.
fn status(code: ErrorCode) -> u16 {
    match code {
        ErrorCode::InvalidArgument => 400,
        ErrorCode::Denied => 403,
        ErrorCode::NotFound => 404,
        ErrorCode::AlreadyExists | ErrorCode::InUse | ErrorCode::InvalidState | ErrorCode::Exhausted => 409,
        ErrorCode::Unsupported => 422,
        ErrorCode::Internal => 500,
        ErrorCode::Unavailable => 503,
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self.0).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(Problem::MEDIA_TYPE));
        response
    }
}
