//! Values that arrive as text: read by the model's own parsers, so that a refusal says what was expected.

use std::net::IpAddr;

use jackfield_model::{Error, IpNetwork, parse_subnet};
use serde::{Deserialize, Deserializer};

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Subnet(IpNetwork);

impl TryFrom<String> for Subnet {
    type Error = Error;
    fn try_from(text: String) -> Result<Self, Error> {
        parse_subnet(&text).map(Self)
    }
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Address(IpAddr);

impl TryFrom<String> for Address {
    type Error = Error;
    fn try_from(text: String) -> Result<Self, Error> {
        parse_address(&text).map(Self)
    }
}

/// An optional subnet, without host bits.
pub fn subnet<'de, D: Deserializer<'de>>(input: D) -> Result<Option<IpNetwork>, D::Error> {
    Option::<Subnet>::deserialize(input).map(|subnet| subnet.map(|Subnet(it)| it))
}

/// An optional address.
pub fn address<'de, D: Deserializer<'de>>(input: D) -> Result<Option<IpAddr>, D::Error> {
    Option::<Address>::deserialize(input).map(|address| address.map(|Address(it)| it))
}

/// An address.
pub fn one_address<'de, D: Deserializer<'de>>(input: D) -> Result<IpAddr, D::Error> {
    Address::deserialize(input).map(|Address(it)| it)
}

/// A list of addresses.
pub fn addresses<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<IpAddr>, D::Error> {
    Vec::<Address>::deserialize(input).map(|list| list.into_iter().map(|Address(it)| it).collect())
}

/// Reads an address without prefix.
///
/// # Errors
/// invalid-argument, with what was expected.
pub fn parse_address(text: &str) -> Result<IpAddr, Error> {
    text.parse().map_err(|cause: std::net::AddrParseError| {
        let shown: String = text.chars().take(60).collect();
        Error::invalid(format!(
            "\"{}\" is no IP address: expected one as 10.0.0.2 or fd00::2",
            shown.escape_default()
        ))
        .caused_by(cause)
    })
}
