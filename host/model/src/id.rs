//! Ids: 64 lower-case hexadecimal digits, as Docker's, so that a runtime may give its own.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Hexadecimal digits of an id.
const DIGITS: usize = 64;
/// Digits shown where a person reads, as Docker shows them.
const SHORT: usize = 12;

fn check(text: &str) -> Result<()> {
    if text.len() == DIGITS && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "\"{}\" is no id: expected 64 lower-case hexadecimal digits",
        text.escape_default()
    )))
}

fn random() -> String {
    let mut bytes = [0u8; DIGITS / 2];
    // The system's random source failing is not something that a caller could act on, and ids must not repeat.
    #[allow(clippy::expect_used)]
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// A new random id.
            pub fn random() -> Self {
                Self(random().into())
            }

            /// All 64 digits.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The first twelve digits, for people.
            pub fn short(&self) -> &str {
                &self.0[..SHORT]
            }
        }

        impl FromStr for $name {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self> {
                check(text).map(|()| Self(text.into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;
            fn try_from(text: String) -> Result<Self> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// A network's id.
    NetworkId
);
id!(
    /// An endpoint's id: one attachment of a sandbox to a network.
    EndpointId
);
id!(
    /// A sandbox's id: a network namespace that endpoints join.
    SandboxId
);
id!(
    /// The id of one applied plan, the journal's unit.
    OperationId
);

/// The beginning of an id, as a person types it. It stands for an object when exactly one id begins so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdPrefix(String);

impl IdPrefix {
    /// None when the text cannot begin an id.
    pub fn parse(text: &str) -> Option<Self> {
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        (!text.is_empty() && text.len() <= DIGITS && text.bytes().all(hex)).then(|| Self(text.to_owned()))
    }

    /// Whether this id begins so.
    pub fn matches(&self, id: &str) -> bool {
        id.starts_with(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_64_lower_case_hexadecimal_digits() {
        let good = "0123456789abcdef".repeat(4);
        assert!(good.parse::<NetworkId>().is_ok());
        for bad in [
            "",
            "abc",
            &good.to_uppercase(),
            &format!("{good}0"),
            &good.replace('0', "g"),
        ] {
            assert!(bad.parse::<NetworkId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn random_ids_are_valid_and_differ() {
        let (a, b) = (NetworkId::random(), NetworkId::random());
        assert_ne!(a, b);
        assert_eq!(a.as_str().parse::<NetworkId>().unwrap(), a);
        assert!(IdPrefix::parse(a.short()).unwrap().matches(a.as_str()));
    }
}
