//! Names as DNS has them, and what is asked of the name service.

use std::{fmt, net::IpAddr, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{EndpointId, Error, IpNetwork, Name, NetworkId, Result, SandboxId, Transport};

/// Longest label (RFC 1035, section 2.3.4).
const LABEL_MAX: usize = 63;
/// Longest name as text, without its last dot (the same; 255 bytes on the wire).
const NAME_MAX: usize = 253;
/// Longest name of a service (RFC 6335, section 5.1).
const SERVICE_MAX: usize = 15;

/// A name of DNS in lower case, without its last dot: labels of letters, digits, `-` and `_` that neither begin nor end with `-`.
///
/// Underscores are no part of host names, but of names that people give to containers, and every resolver takes them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DnsName(Box<str>);

impl DnsName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A name of a single label, as an alias is one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DnsLabel(DnsName);

impl DnsLabel {
    /// As a name.
    pub fn as_name(&self) -> &DnsName {
        &self.0
    }
}

impl FromStr for DnsLabel {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if is_label(text) {
            return Ok(Self(DnsName(text.to_ascii_lowercase().into())));
        }
        Err(Error::invalid(format!(
            "\"{}\" is no DNS label: expected 1 to 63 letters, digits, '-' or '_', with no '-' at either end",
            shown(text)
        )))
    }
}

impl TryFrom<String> for DnsLabel {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<DnsLabel> for String {
    fn from(label: DnsLabel) -> Self {
        label.0.into()
    }
}

fn is_label(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    (1..=LABEL_MAX).contains(&text.len()) && text.bytes().all(good) && !text.starts_with('-') && !text.ends_with('-')
}

fn shown(text: &str) -> String {
    text.chars().take(80).collect::<String>().escape_default().to_string()
}

impl FromStr for DnsName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.len() <= NAME_MAX && name.split('.').all(is_label) {
            return Ok(Self(name.to_ascii_lowercase().into()));
        }
        Err(Error::invalid(format!(
            "\"{}\" is no DNS name: expected labels of 1 to 63 letters, digits, '-' or '_', joined by dots, {NAME_MAX} characters at most",
            shown(text)
        )))
    }
}

impl TryFrom<String> for DnsName {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<DnsName> for String {
    fn from(name: DnsName) -> Self {
        name.0.into()
    }
}

impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A service that an endpoint declares, found as `_NAME._PROTOCOL` before each of its names (RFC 2782). Written `http:8080/tcp`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Service {
    /// Its name, without the underscore.
    pub name: DnsName,
    /// Its port.
    pub port: u16,
    /// Its protocol.
    pub transport: Transport,
}

impl Service {
    /// The protocol's word in a name.
    pub fn protocol(&self) -> &'static str {
        match self.transport {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
            Transport::Sctp => "sctp",
        }
    }
}

impl FromStr for Service {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refused = || {
            Error::invalid(format!(
                "\"{}\" is no service: expected NAME:PORT or NAME:PORT/PROTOCOL as http:8080/tcp, with a name of at most {SERVICE_MAX} characters",
                shown(text)
            ))
        };
        let (name, rest) = text.split_once(':').ok_or_else(refused)?;
        let (port, protocol) = rest.split_once('/').unwrap_or((rest, "tcp"));
        let transport = match protocol {
            "tcp" => Transport::Tcp,
            "udp" => Transport::Udp,
            "sctp" => Transport::Sctp,
            _ => return Err(refused()),
        };
        let port = port.parse().ok().filter(|p| *p != 0).ok_or_else(refused)?;
        let DnsLabel(name) = name.parse().map_err(|_| refused())?;
        if name.as_str().len() > SERVICE_MAX {
            return Err(refused());
        }
        Ok(Self { name, port, transport })
    }
}

impl TryFrom<String> for Service {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Service> for String {
    fn from(service: Service) -> Self {
        service.to_string()
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}/{}", self.name, self.port, self.protocol())
    }
}

/// What a sandbox wants of the name service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DnsSettings {
    /// Servers that are asked what no network of the sandbox knows; empty: those of its networks, then the host's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<IpAddr>,
    /// Search domains; empty: the host's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<DnsName>,
    /// Options of the sandbox's resolv.conf, as `ndots:2`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// Its host name; None: its name, or else the beginning of its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<DnsName>,
    /// No name service at all.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub off: bool,
}

impl DnsSettings {
    /// Nothing in particular.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Looks at what its types leave open.
    ///
    /// # Errors
    /// That a host name is longer than the kernel takes, an option is none, or that there is more than a resolver reads.
    pub fn check(&self) -> Result<()> {
        /// HOST_NAME_MAX of limits.h.
        const HOSTNAME_MAX: usize = 64;
        /// Bounds what one sandbox can make the host remember and ask.
        const MOST: usize = 16;
        if let Some(name) = self.hostname.as_ref().filter(|n| n.as_str().len() > HOSTNAME_MAX) {
            let length = name.as_str().len();
            return Err(Error::invalid(format!(
                "the host name {name} has {length} characters: expected at most {HOSTNAME_MAX}"
            )));
        }
        let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b':');
        let is_option = |o: &&String| !o.is_empty() && o.len() <= 64 && o.bytes().all(good);
        if let Some(bad) = self.options.iter().find(|o| !is_option(o)) {
            return Err(Error::invalid(format!(
                "\"{}\" is no resolver option: expected one as ndots:2 or rotate",
                shown(bad)
            )));
        }
        let most = self.servers.len().max(self.search.len()).max(self.options.len());
        if most > MOST {
            return Err(Error::invalid(format!(
                "{most} DNS servers, search domains or options are too many: expected at most {MOST} of each"
            )));
        }
        Ok(())
    }
}

/// What a network wants of the name service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkDns {
    /// Servers that its sandboxes ask which have none of their own; empty: the host's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<IpAddr>,
    /// Its endpoints have no names.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub off: bool,
}

impl NetworkDns {
    /// Nothing in particular.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What the name service knows of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkNames {
    /// Which.
    pub id: NetworkId,
    /// Its name, which names of its endpoints may end with.
    pub name: Name,
    /// Its subnets: who asks backwards for an address in there is answered here or not at all.
    pub subnets: Vec<IpNetwork>,
    /// Servers that are asked for what it does not know, where the sandbox has none of its own.
    pub servers: Vec<IpAddr>,
    /// Nothing leaves it, and so no question does.
    pub internal: bool,
}

/// An endpoint in a sandbox, as the name service knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Which.
    pub endpoint: EndpointId,
    /// Of which network.
    pub network: NetworkNames,
    /// In which sandbox.
    pub sandbox: SandboxId,
    /// Its names in the network, the one by which it is called when somebody asks for its address first.
    pub names: Vec<DnsName>,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// What it serves.
    pub services: Vec<Service>,
    /// A sandbox asks the network of the lowest first.
    pub order: u64,
}

/// A name with virtual addresses, as the name service knows it: it stands for all endpoints behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualService {
    /// Of which network.
    pub network: NetworkNames,
    /// Its name there.
    pub name: DnsName,
    /// Its virtual addresses.
    pub addresses: Vec<IpAddr>,
    /// What the endpoints behind it serve.
    pub services: Vec<Service>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_what_resolvers_take() {
        for good in ["a", "db-1", "my_service", "0", "A", &"a".repeat(63)] {
            assert_eq!(
                good.parse::<DnsLabel>().unwrap().as_name().as_str(),
                good.to_lowercase()
            );
        }
        for bad in ["", "-a", "a-", "a.b", "a b", "ü", "a\n", &"a".repeat(64)] {
            let refusal = bad.parse::<DnsLabel>().unwrap_err().message;
            assert!(refusal.contains("is no DNS label: expected"), "{refusal}");
        }
    }

    #[test]
    fn names_are_labels_joined_by_dots() {
        let name = |text: &str| text.parse::<DnsName>();
        assert_eq!(name("Web.Example.").unwrap().as_str(), "web.example");
        let long = ["a".repeat(63).as_str(); 4].join(".");
        for bad in ["", ".", "a..b", ".a", &long] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn services_are_written_as_they_are_read() {
        for (text, shown) in [("http:80", "http:80/tcp"), ("dns:53/udp", "dns:53/udp")] {
            assert_eq!(text.parse::<Service>().unwrap().to_string(), shown);
        }
        for bad in ["http", "http:0", "http:x", "http:80/icmp", "-:80", "sixteen-letters-:1"] {
            assert!(bad.parse::<Service>().is_err(), "{bad}");
        }
    }

    #[test]
    fn nothing_in_the_settings_can_add_a_line_to_a_file() {
        let with = |options: &[&str]| DnsSettings {
            options: options.iter().map(|o| (*o).to_owned()).collect(),
            ..DnsSettings::default()
        };
        assert!(with(&["ndots:2", "use-vc"]).check().is_ok());
        for bad in ["", "a b", "a\nnameserver 1.2.3.4"] {
            assert!(with(&[bad]).check().is_err(), "{bad:?}");
        }
        let many = DnsSettings {
            servers: vec![IpAddr::from([1, 1, 1, 1]); 17],
            ..DnsSettings::default()
        };
        assert!(many.check().is_err());
    }
}
