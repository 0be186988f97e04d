//! Where a plugin listens.

use std::{fmt, path::PathBuf};

use jackfield_model::{Error, ErrorCode, Result};

/// Where a plugin listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A unix socket.
    Unix(PathBuf),
    /// A host and a port.
    Tcp(String),
}

impl Address {
    /// As it stands in a `.spec` or `.json` file: `unix:///run/acme.sock`, `tcp://127.0.0.1:9000`, `http://...`.
    ///
    /// # Errors
    /// invalid-argument for what is none of these; unsupported for TLS.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        match scheme {
            "unix" if rest.starts_with('/') => Ok(Self::Unix(rest.into())),
            "tcp" | "http" if has_port(rest) => Ok(Self::Tcp(rest.trim_end_matches('/').to_owned())),
            "https" => Err(Error::new(
                ErrorCode::Unsupported,
                "plugins behind TLS are not called: expected one on a unix socket or on tcp://HOST:PORT",
            )),
            _ => Err(Error::invalid(format!(
                "\"{}\" is no address of a plugin: expected unix:///PATH or tcp://HOST:PORT",
                text.chars().take(80).collect::<String>().escape_default()
            ))),
        }
    }
}

fn has_port(text: &str) -> bool {
    let port = text.trim_end_matches('/').rsplit_once(':').map(|(_, port)| port);
    port.is_some_and(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(place) => write!(f, "tcp://{place}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_docker_reads_them() {
        for (text, expected) in [
            ("unix:///run/acme.sock\n", Some("unix:///run/acme.sock")),
            ("tcp://127.0.0.1:9000", Some("tcp://127.0.0.1:9000")),
            ("http://[::1]:9000/", Some("tcp://[::1]:9000")),
            ("unix://run/acme.sock", None),
            ("tcp://127.0.0.1", None),
            ("tcp://127.0.0.1:0", None),
            ("https://127.0.0.1:9000", None),
            ("/run/acme.sock", None),
            ("", None),
        ] {
            let found = Address::parse(text).ok().map(|address| address.to_string());
            assert_eq!(found.as_deref(), expected, "{text:?}");
        }
    }
}
