//! Names of links, as the kernel takes them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The name of a link: 1 to 15 bytes (IFNAMSIZ of linux/if.h, with its closing zero), no slash, colon, percent sign or white space, and
/// neither `.` nor `..` (dev_valid_name in net/core/dev.c); `all` and `default` are folders of the per-link sysctls.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LinkName(Box<str>);

impl LinkName {
    /// Longest name, in bytes.
    pub const MAX: usize = 15;

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LinkName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = |why: &str| {
            Err(Error::invalid(format!(
                "\"{}\" cannot name a link: {why}",
                text.escape_default()
            )))
        };
        if text.is_empty() || text.len() > Self::MAX {
            return refuse(&format!("it has {} bytes, expected 1 to {}", text.len(), Self::MAX));
        }
        if matches!(text, "." | ".." | "all" | "default") {
            return refuse("the kernel keeps that word for itself");
        }
        if let Some(bad) = text
            .chars()
            .find(|c| !c.is_ascii_graphic() || matches!(c, '/' | ':' | '%'))
        {
            return refuse(&format!(
                "it contains {bad:?}, expected printable ASCII without '/', ':' and '%'"
            ));
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for LinkName {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<LinkName> for String {
    fn from(name: LinkName) -> Self {
        name.0.into()
    }
}

impl fmt::Display for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_the_kernel_takes() {
        for good in ["eth0", "a", "br-0123456789ab", "x.1", "fifteen-bytes-x"] {
            assert!(good.parse::<LinkName>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "sixteen-bytes-xx",
            "a/b",
            "a:b",
            "a b",
            ".",
            "..",
            "all",
            "default",
            "%d",
            "tab\t",
            "naïve",
        ] {
            assert!(bad.parse::<LinkName>().is_err(), "{bad}");
        }
    }
}
