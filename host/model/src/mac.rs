//! Ethernet addresses.

use std::{fmt, net::Ipv4Addr, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A unicast Ethernet address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MacAddr([u8; 6]);

impl MacAddr {
    /// Checks the octets.
    ///
    /// # Errors
    /// invalid-argument for the zero address and for group addresses, which no interface can carry.
    pub fn new(octets: [u8; 6]) -> Result<Self> {
        let mac = Self(octets);
        if octets == [0; 6] || octets[0] & 1 == 1 {
            return Err(Error::invalid(format!(
                "{mac} cannot be an interface's MAC address: expected a unicast address"
            )));
        }
        Ok(mac)
    }

    /// A random, locally administered address (IEEE 802, the second lowest bit of the first octet).
    pub fn random() -> Self {
        let mut octets = [0u8; 6];
        // See `id::random`: nobody could act on this failing.
        #[allow(clippy::expect_used)]
        getrandom::fill(&mut octets).expect("the system gives random bytes");
        octets[0] = (octets[0] & 0xfc) | 0x02;
        Self(octets)
    }

    /// The locally administered address that Docker gives an endpoint with that IPv4 address. Where an address goes from one endpoint to the
    /// next, neighbours that remember the first one's reach the second.
    pub fn of_ipv4(address: Ipv4Addr) -> Self {
        let [a, b, c, d] = address.octets();
        Self([0x02, 0x42, a, b, c, d])
    }

    /// The six octets, in the order in which they are sent.
    pub fn octets(self) -> [u8; 6] {
        self.0
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for MacAddr {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let error = || {
            Error::invalid(format!(
                "\"{}\" is no MAC address: expected one as 02:42:ac:11:00:02",
                text.escape_default()
            ))
        };
        let mut octets = [0u8; 6];
        let mut parts = text.split(':');
        for octet in &mut octets {
            let part = parts
                .next()
                .filter(|p| p.len() == 2 && p.bytes().all(|b| b.is_ascii_hexdigit()))
                .ok_or_else(error)?;
            *octet = u8::from_str_radix(part, 16).map_err(|cause| error().caused_by(cause))?;
        }
        if parts.next().is_some() {
            return Err(error());
        }
        Self::new(octets)
    }
}

impl TryFrom<String> for MacAddr {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<MacAddr> for String {
    fn from(mac: MacAddr) -> Self {
        mac.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes_and_refuses_what_no_interface_can_carry() {
        assert_eq!(
            "02:42:AC:11:00:02".parse::<MacAddr>().unwrap().to_string(),
            "02:42:ac:11:00:02"
        );
        for bad in [
            "",
            "02:42:ac:11:00",
            "02:42:ac:11:00:02:03",
            "2:42:ac:11:0:2",
            "00:00:00:00:00:00",
            "01:00:5e:00:00:01",
            "+2:42:ac:11:00:02",
        ] {
            assert!(bad.parse::<MacAddr>().is_err(), "{bad}");
        }
        assert_eq!(MacAddr::random().octets()[0] & 3, 2);
    }
}
