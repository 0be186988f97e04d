//! The object that a path names: a name, an id or the beginning of one.

use std::net::IpAddr;

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::request::Parts,
};
use jackfield_model::Error;

use super::refusal::Refusal;
use crate::wire::parse_address;

/// The one reference in a path, decoded. Whether it means anything the controller says.
pub(super) struct Ref(pub String);

/// A reference, and an address behind it.
pub(super) struct RefAndAddress(pub String, pub IpAddr);

fn unreadable() -> Error {
    Error::invalid("the name in the path is no UTF-8: expected a name or an id")
}

async fn params<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<Vec<String>, Refusal> {
    let params = RawPathParams::from_request_parts(parts, state)
        .await
        .map_err(|e| unreadable().caused_by(e))?;
    Ok(params.iter().map(|(_, value)| value.to_owned()).collect())
}

impl<S: Send + Sync> FromRequestParts<S> for Ref {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let reference = params(parts, state).await?.into_iter().next();
        Ok(Self(reference.ok_or_else(unreadable)?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RefAndAddress {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let mut params = params(parts, state).await?.into_iter();
        let reference = params.next().ok_or_else(unreadable)?;
        let address = parse_address(&params.next().ok_or_else(unreadable)?)?;
        Ok(Self(reference, address))
    }
}
