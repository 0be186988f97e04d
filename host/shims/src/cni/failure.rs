//! Errors as CNI wants them: JSON on standard output, with a code.

use jackfield_model::{Error, ErrorCode};
use serde_json::{Value, json};

use super::Version;
use crate::fields::{Unreadable, shown};

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Up to 99 the specification's; see the constructors.
    pub code: u32,
    /// One sentence.
    pub message: String,
    /// What else there is to say.
    pub details: String,
}

/// An attachment is not as the runtime believes it to be.
const NOT_AS_IT_SHOULD_BE: u32 = 101;

impl Failure {
    /// A refusal with that code.
    pub fn new(code: u32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            details: String::new(),
        }
    }

    /// 1: the version is not spoken.
    pub fn version(asked: &str) -> Self {
        let known = super::version::ALL.map(Version::as_str).join(", ");
        Self::new(1, "incompatible CNI versions").details(format!(
            "config is \"{}\", plugin supports {known}",
            shown(asked).escape_default()
        ))
    }

    /// 1: the verb is of a later version.
    pub fn too_old(verb: &str, since: Version, asked: Version) -> Self {
        Self::new(
            1,
            format!("{verb} is of CNI {since} and later, and the configuration is of {asked}"),
        )
    }

    /// 2: a field of the configuration is not supported.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(2, message)
    }

    /// 3: no such container.
    pub fn unknown_container(message: impl Into<String>) -> Self {
        Self::new(3, message)
    }

    /// 4: the environment.
    pub fn environment(message: impl Into<String>) -> Self {
        Self::new(4, message)
    }

    /// 5: input or output.
    pub fn io(message: impl Into<String>) -> Self {
        Self::new(5, message)
    }

    /// 6: the input cannot be decoded.
    pub fn decode(message: impl Into<String>) -> Self {
        Self::new(6, message)
    }

    /// 7: the configuration is wrong.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(7, message)
    }

    /// 11: the runtime should try again.
    pub fn try_again(message: impl Into<String>) -> Self {
        Self::new(11, message)
    }

    /// 50: no ADD can be served.
    pub fn not_available(message: impl Into<String>) -> Self {
        Self::new(50, message)
    }

    /// 51: no ADD can be served, and those that were have limited connectivity.
    pub fn limited(message: impl Into<String>) -> Self {
        Self::new(51, message)
    }

    /// 101: CHECK found something else.
    pub fn not_as_it_should_be(message: impl Into<String>) -> Self {
        Self::new(NOT_AS_IT_SHOULD_BE, message)
    }

    /// With more words.
    #[must_use]
    pub fn details(mut self, details: impl Into<String>) -> Self {
        self.details = details.into();
        self
    }

    /// As it is printed.
    pub fn json(&self, version: Version) -> Value {
        json!({ "cniVersion": version.as_str(), "code": self.code, "msg": self.message, "details": self.details })
    }
}

impl From<Unreadable> for Failure {
    fn from(unreadable: Unreadable) -> Self {
        Self::config(unreadable.0)
    }
}

/// What the host refused.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = match error.code {
            _ if error.retryable => 11,
            ErrorCode::InvalidArgument => 7,
            ErrorCode::Unavailable => 11,
            ErrorCode::Internal => 100,
            ErrorCode::NotFound => 102,
            ErrorCode::Exhausted => 103,
            ErrorCode::Denied => 104,
            ErrorCode::AlreadyExists => 105,
            ErrorCode::InUse => 106,
            ErrorCode::InvalidState => 107,
            ErrorCode::Unsupported => 108,
        };
        let places = [
            error.object.as_ref().map(|object| format!("object: {object}")),
            error.step.as_ref().map(|step| format!("step: {step}")),
            error.driver.as_ref().map(|driver| format!("driver: {driver}")),
        ];
        let details: Vec<String> = places.into_iter().flatten().collect();
        Self::new(code, error.message).details(details.join(", "))
    }
}
