//! Docker's ids, and what they are here.

use std::fmt::Write;

use jackfield_model::{EndpointId, Error, Name, NetworkId, Result, SandboxId};
use sha2::{Digest, Sha256};

/// Digits of an id here, and of an endpoint's and of most networks' there.
const DIGITS: usize = 64;
/// What begins the names of Docker's networks and sandboxes: the driver is not told what they are called there.
const PREFIX: &str = "docker-";
/// Characters of an id that people are shown.
const SHORT: usize = 12;

/// A network's id: 64 hexadecimal digits are the same here; swarm's, 25 letters and digits, are spelled in hexadecimal and filled up, so that
/// each has one and no two have the same.
///
/// # Errors
/// invalid-argument for what is neither.
pub fn network(text: &str) -> Result<NetworkId> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    if text.len() * 2 > DIGITS || text.is_empty() || !text.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(Error::invalid(format!(
            "\"{}\" is no id of a network: expected 64 hexadecimal digits, or up to 32 letters and digits",
            shown(text)
        )));
    }
    let mut spelled = String::with_capacity(DIGITS);
    for byte in text.bytes() {
        // Writing to a string does not fail.
        let _ = write!(spelled, "{byte:02x}");
    }
    format!("{spelled:0<DIGITS$}").parse()
}

/// An endpoint's id.
///
/// # Errors
/// invalid-argument for what is none.
pub fn endpoint(text: &str) -> Result<EndpointId> {
    text.parse().map_err(|_| {
        Error::invalid(format!(
            "\"{}\" is no id of an endpoint: expected 64 hexadecimal digits",
            shown(text)
        ))
    })
}

/// The sandbox that Docker knows by that key, a path.
///
/// # Errors
/// internal: there is none.
pub fn sandbox(key: &str) -> Result<SandboxId> {
    let digest = Sha256::digest(format!("docker sandbox {key}"));
    let digits = digest.iter().fold(String::new(), |mut digits, byte| {
        let _ = write!(digits, "{byte:02x}");
        digits
    });
    digits.parse()
}

/// The name of a network.
///
/// # Errors
/// invalid-argument: there is none, for an id that was read.
pub fn network_name(text: &str) -> Result<Name> {
    format!("{PREFIX}{}", short(text)).parse()
}

/// The name of a sandbox, where its key ends in one.
pub fn sandbox_name(key: &str) -> Option<Name> {
    let (_, last) = key.rsplit_once('/')?;
    format!("{PREFIX}{}", short(last)).parse().ok()
}

fn short(text: &str) -> String {
    text.chars().take(SHORT).collect()
}

fn shown(text: &str) -> String {
    text.chars()
        .take(DIGITS)
        .collect::<String>()
        .escape_default()
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockers_ids_are_ids_here_and_swarms_are_spelled() {
        let hex = "0123456789abcdef".repeat(4);
        assert_eq!(network(&hex).unwrap().as_str(), hex);
        let swarm = network("zqrrd9rduv6c1xglck8n5wmvv").unwrap();
        assert!(swarm.as_str().starts_with("7a717272643972"), "{swarm}");
        assert!(swarm.as_str().ends_with("00000000000000"), "{swarm}");
        assert_ne!(swarm, network("zqrrd9rduv6c1xglck8n5wmvw").unwrap());
        assert_eq!(
            network_name("zqrrd9rduv6c1xglck8n5wmvv").unwrap().as_str(),
            "docker-zqrrd9rduv6c"
        );
        for bad in ["", "a/b", &"a".repeat(33), &hex.to_uppercase(), "ü"] {
            assert!(network(bad).is_err(), "{bad}");
        }
        assert!(endpoint("abc").is_err());
    }

    #[test]
    fn a_key_is_one_sandbox() {
        let key = "/var/run/docker/netns/950c3623b73d";
        assert_eq!(sandbox(key).unwrap(), sandbox(key).unwrap());
        assert_ne!(
            sandbox(key).unwrap(),
            sandbox("/var/run/docker/netns/950c3623b73e").unwrap()
        );
        assert_eq!(sandbox_name(key).unwrap().as_str(), "docker-950c3623b73d");
        assert_eq!(sandbox_name("no path"), None);
    }
}
