//! The versions of the specification that are spoken.

use std::fmt;

use serde_json::{Value, json};

use super::Failure;

/// A version of the specification.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// 0.3.1
    V031,
    /// 0.4.0: CHECK.
    V040,
    /// 1.0.0
    V100,
    /// 1.1.0: GC, STATUS.
    #[default]
    V110,
}

/// All of them, oldest first.
pub const ALL: [Version; 4] = [Version::V031, Version::V040, Version::V100, Version::V110];

impl Version {
    /// That of a configuration, as it is read.
    ///
    /// # Errors
    /// Code 1 for a version that is not spoken; a configuration without any is one of 0.1.0 by the specification.
    pub fn of(config: &Value) -> Result<Self, Failure> {
        let text = match config.get("cniVersion") {
            None | Some(Value::Null) => "0.1.0",
            Some(Value::String(text)) => text,
            Some(_) => return Err(Failure::decode("\"cniVersion\" is no text: expected one as \"1.0.0\"")),
        };
        Self::parse(text).ok_or_else(|| Failure::version(text))
    }

    fn parse(text: &str) -> Option<Self> {
        ALL.into_iter().find(|version| version.as_str() == text)
    }

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V031 => "0.3.1",
            Self::V040 => "0.4.0",
            Self::V100 => "1.0.0",
            Self::V110 => "1.1.0",
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The answer to VERSION. What is on standard input need not be a configuration: podman sends a version alone, others nothing.
pub fn report(input: &str) -> Value {
    let asked = serde_json::from_str(input)
        .ok()
        .and_then(|config| Version::of(&config).ok());
    json!({
        "cniVersion": asked.unwrap_or_default().as_str(),
        "supportedVersions": ALL.map(Version::as_str),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_said_whatever_the_input_is() {
        for (input, said) in [
            ("{\"cniVersion\":\"0.4.0\"}", "0.4.0"),
            ("", "1.1.0"),
            ("[]", "1.1.0"),
            ("{\"cniVersion\":\"9\"}", "1.1.0"),
        ] {
            let report = report(input);
            assert_eq!(report["cniVersion"], said, "{input}");
            assert_eq!(report["supportedVersions"], json!(["0.3.1", "0.4.0", "1.0.0", "1.1.0"]));
        }
    }

    #[test]
    fn another_version_is_refused_with_code_1() {
        for config in [
            json!({}),
            json!({"cniVersion": "0.2.0"}),
            json!({"cniVersion": "2.0.0"}),
        ] {
            assert_eq!(Version::of(&config).unwrap_err().code, 1, "{config}");
        }
        assert_eq!(Version::of(&json!({"cniVersion": 1})).unwrap_err().code, 6);
    }
}
