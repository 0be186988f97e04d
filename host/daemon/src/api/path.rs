//! The object that a path names: a name, an id or the beginning of one.

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::request::Parts,
};
use jackfield_model::Error;

use super::refusal::Refusal;

/// The one reference in a path, decoded. Whether it means anything the controller says.
pub(super) struct Ref(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Ref {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let unreadable = || Error::invalid("the name in the path is no UTF-8: expected a name or an id");
        let params = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|e| unreadable().caused_by(e))?;
        let reference = params.iter().next().map(|(_, value)| value.to_owned());
        Ok(Self(reference.ok_or_else(unreadable)?))
    }
}
