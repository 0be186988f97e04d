//! One line for each request, for whoever asks for it with `JACKFIELD_LOG=debug`.

use std::time::Instant;

use axum::{extract::Request, middleware::Next, response::Response};

pub(super) async fn requests(request: Request, next: Next) -> Response {
    if !tracing::enabled!(tracing::Level::DEBUG) {
        return next.run(request).await;
    }
    let (method, path, begun) = (
        request.method().clone(),
        request.uri().path().to_owned(),
        Instant::now(),
    );
    let response = next.run(request).await;
    tracing::debug!(%method, path, status = response.status().as_u16(), took = ?begun.elapsed(), "request");
    response
}
