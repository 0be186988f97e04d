//! IP addresses with their prefix, by the `ipnetwork` crate, and the two ways in which text may mean one.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

pub use ipnetwork::IpNetwork;

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl Family {
    /// The family of an address.
    pub fn of(address: std::net::IpAddr) -> Self {
        if address.is_ipv4() { Self::Ipv4 } else { Self::Ipv6 }
    }

    /// The prefix length of a single address: 32 or 128.
    pub fn host_prefix(self) -> u8 {
        match self {
            Self::Ipv4 => 32,
            Self::Ipv6 => 128,
        }
    }
}

/// Reads an address with its prefix, as an interface carries it: host bits may be set.
///
/// # Errors
/// invalid-argument, when it is not `ADDRESS/LENGTH`.
pub fn parse_cidr(text: &str) -> Result<IpNetwork> {
    let error = || {
        Error::invalid(format!(
            "\"{}\" is no address with a prefix: expected one as 10.0.0.2/24 or fd00::2/64",
            text.escape_default()
        ))
    };
    if !text.contains('/') {
        return Err(error());
    }
    text.parse()
        .map_err(|cause: ipnetwork::IpNetworkError| error().caused_by(cause))
}

/// Reads a subnet: an address with its prefix and no host bits.
///
/// # Errors
/// invalid-argument, when it is no CIDR or has host bits set; then the message says which subnet was meant.
pub fn parse_subnet(text: &str) -> Result<IpNetwork> {
    let parsed = parse_cidr(text).map_err(|e| {
        Error::invalid(format!(
            "\"{}\" is no subnet: expected one as 10.0.0.0/24 or fd00::/64",
            text.escape_default()
        ))
        .caused_by(e)
    })?;
    if parsed.ip() != parsed.network() {
        let meant = format!("{}/{}", parsed.network(), parsed.prefix());
        return Err(Error::invalid(format!(
            "{text} is an address inside a subnet, not a subnet: write {meant}"
        )));
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subnet_has_no_host_bits_and_the_refusal_names_the_one_meant() {
        assert!(parse_subnet("10.0.0.0/24").is_ok());
        assert!(parse_subnet("fd00::/64").is_ok());
        assert!(
            parse_subnet("10.0.0.7/24")
                .unwrap_err()
                .message
                .ends_with("write 10.0.0.0/24")
        );
        for bad in ["", "10.0.0.0", "10.0.0.0/33", "10.0.0/24", "x/8"] {
            assert!(parse_subnet(bad).is_err(), "{bad}");
        }
    }
}
