//! What stands behind the question mark.

use std::collections::BTreeMap;

use axum::{
    extract::{FromRequestParts, Query},
    http::request::Parts,
};
use jackfield_model::{Error, unknown_key};

use super::refusal::Refusal;

/// The query of a request, each key at most once.
pub(super) struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// A whole number, when it is given.
    pub fn number(&self, key: &str) -> Result<Option<u64>, Error> {
        let parse = |text: &String| {
            text.parse().map_err(|cause: std::num::ParseIntError| {
                Error::invalid(format!(
                    "{key}: expected a whole number, got \"{}\"",
                    text.escape_default()
                ))
                .caused_by(cause)
            })
        };
        self.0.get(key).map(parse).transpose()
    }

    /// Refuses every other key.
    pub fn only(self, known: &[&str]) -> Result<Self, Error> {
        match self.0.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(unknown_key("parameter", key, known)),
            None => Ok(self),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let query = Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let Query(pairs) =
            query.map_err(|e| Error::invalid("the query cannot be read: expected key=value").caused_by(e))?;
        let mut parameters = BTreeMap::new();
        for (key, value) in pairs {
            if parameters.insert(key.clone(), value).is_some() {
                return Err(
                    Error::invalid(format!("the parameter \"{}\" is given twice", key.escape_default())).into(),
                );
            }
        }
        Ok(Self(parameters))
    }
}
