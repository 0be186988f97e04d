//! Addresses with the length of their network's prefix.

use std::{fmt, net::IpAddr, str::FromStr};

use crate::{Error, Family};

/// An address with the length of its network's prefix: an interface's address, or a network when the host bits are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cidr {
    address: IpAddr,
    prefix: u8,
}

impl Cidr {
    /// None when the family has no prefix of that length.
    pub fn new(address: IpAddr, prefix: u8) -> Option<Self> {
        (prefix <= Family::of(address).bits()).then_some(Self { address, prefix })
    }

    /// The address alone: /32, or /128.
    pub fn host(address: IpAddr) -> Self {
        Self {
            address,
            prefix: Family::of(address).bits(),
        }
    }

    /// Every address of a family.
    pub fn everything(family: Family) -> Self {
        Self {
            address: family.unspecified(),
            prefix: 0,
        }
    }

    /// The address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// The prefix length.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// IPv4 or IPv6.
    pub fn family(&self) -> Family {
        Family::of(self.address)
    }

    /// The network that the address is in: the same, with host bits zero.
    pub fn network(&self) -> Self {
        let host_bits = u32::from(self.family().bits() - self.prefix);
        let address = match self.address {
            IpAddr::V4(v4) => IpAddr::from(
                (v4.to_bits()
                    .checked_shr(host_bits)
                    .unwrap_or(0)
                    .checked_shl(host_bits)
                    .unwrap_or(0))
                .to_be_bytes(),
            ),
            IpAddr::V6(v6) => IpAddr::from(
                (v6.to_bits()
                    .checked_shr(host_bits)
                    .unwrap_or(0)
                    .checked_shl(host_bits)
                    .unwrap_or(0))
                .to_be_bytes(),
            ),
        };
        Self {
            address,
            prefix: self.prefix,
        }
    }

    /// Whether the network holds that address.
    pub fn contains(&self, address: IpAddr) -> bool {
        Self::new(address, self.prefix)
            .is_some_and(|other| other.family() == self.family() && other.network() == self.network())
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl FromStr for Cidr {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parsed = text.split_once('/').and_then(|(address, prefix)| {
            let digits = prefix.bytes().all(|b| b.is_ascii_digit());
            Self::new(address.parse().ok()?, prefix.parse().ok().filter(|_| digits)?)
        });
        parsed.ok_or_else(|| {
            let shown: String = text.chars().take(64).collect();
            Error::invalid(format!(
                "\"{}\" is no address with a prefix: expected one as 10.0.0.2/24 or fd00::2/64",
                shown.escape_default()
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for text in ["10.0.0.2/24", "0.0.0.0/0", "fd00::2/64", "::/0", "::1/128"] {
            assert_eq!(text.parse::<Cidr>().unwrap().to_string(), text);
        }
        for bad in [
            "",
            "10.0.0.2",
            "10.0.0.2/33",
            "10.0.0.2/+8",
            "10.0.0.2/",
            "fd00::/129",
            "x/8",
        ] {
            assert!(bad.parse::<Cidr>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_network_holds_its_own_addresses() {
        for (network, address, holds) in [
            ("10.0.0.0/24", "10.0.0.255", true),
            ("10.0.0.7/24", "10.0.0.1", true),
            ("10.0.0.0/24", "10.0.1.0", false),
            ("10.0.0.0/24", "fd00::1", false),
            ("0.0.0.0/0", "192.0.2.1", true),
            ("0.0.0.0/0", "::1", false),
            ("fd00::/64", "fd00::ffff", true),
            ("fd00::/128", "fd00::1", false),
        ] {
            assert_eq!(
                network.parse::<Cidr>().unwrap().contains(address.parse().unwrap()),
                holds,
                "{network} {address}"
            );
        }
        assert_eq!(
            "10.1.2.3/8".parse::<Cidr>().unwrap().network().to_string(),
            "10.0.0.0/8"
        );
        assert_eq!(Cidr::host("10.1.2.3".parse().unwrap()).to_string(), "10.1.2.3/32");
    }
}
