//! Published ports, as people ask for them and as they are shown: `127.0.0.1:8080:80/udp`.

use std::{fmt, net::IpAddr, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Error, PortMapping, Result, Transport};

/// A port to publish, or a range of them. Checked once, when it is made: every port is 1 to 65535 and every range fits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct Publish {
    transport: Transport,
    container_port: u16,
    count: u16,
    host_address: Option<IpAddr>,
    host_port: HostPort,
}

/// Which port of the host a published range begins at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostPort {
    /// The host chooses.
    Any,
    /// That one.
    Given(u16),
    /// The first free one from here to there; for a single port.
    Within(u16, u16),
}

/// The same as it is written in JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    #[serde(default = "tcp")]
    transport: Transport,
    container_port: u16,
    #[serde(default = "one")]
    count: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    host_address: Option<IpAddr>,
    /// Zero: the host chooses.
    #[serde(default)]
    host_port: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    host_port_end: Option<u16>,
}

fn tcp() -> Transport {
    Transport::Tcp
}

fn one() -> u16 {
    1
}

impl TryFrom<Fields> for Publish {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        let host_port = match (fields.host_port, fields.host_port_end) {
            (0, None) => HostPort::Any,
            (first, None) => HostPort::Given(first),
            (first, Some(last)) => HostPort::Within(first, last),
        };
        Self {
            transport: fields.transport,
            container_port: fields.container_port,
            count: fields.count,
            host_address: fields.host_address,
            host_port,
        }
        .checked()
    }
}

impl From<Publish> for Fields {
    fn from(publish: Publish) -> Self {
        let (host_port, host_port_end) = match publish.host_port {
            HostPort::Any => (0, None),
            HostPort::Given(first) => (first, None),
            HostPort::Within(first, last) => (first, Some(last)),
        };
        Self {
            transport: publish.transport,
            container_port: publish.container_port,
            count: publish.count,
            host_address: publish.host_address,
            host_port,
            host_port_end,
        }
    }
}

impl Publish {
    /// Which protocol.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// The first port of the sandbox.
    pub fn container_port(&self) -> u16 {
        self.container_port
    }

    /// On which address of the host; None for all of them, in each family that the endpoint has.
    pub fn host_address(&self) -> Option<IpAddr> {
        self.host_address
    }

    /// On which port of the host.
    pub fn host_port(&self) -> HostPort {
        self.host_port
    }

    /// Whether the host may choose the port.
    pub fn is_any(&self) -> bool {
        !matches!(self.host_port, HostPort::Given(_))
    }

    /// The same on that port of the host, where the host may choose it.
    pub fn at(&self, host_port: u16) -> Self {
        let given = self.is_any() && host_port > 0;
        Self {
            host_port: if given {
                HostPort::Given(host_port)
            } else {
                self.host_port
            },
            ..self.clone()
        }
    }

    /// What it becomes on one address of the host; its port there is zero until one is chosen.
    pub fn on(&self, host_address: IpAddr) -> PortMapping {
        let host_port = match self.host_port {
            HostPort::Given(first) => first,
            HostPort::Any | HostPort::Within(..) => 0,
        };
        PortMapping {
            transport: self.transport,
            container_port: self.container_port,
            host_address,
            host_port,
            count: self.count,
        }
    }

    fn checked(self) -> Result<Self> {
        let fits = |first: u16| first > 0 && u32::from(first) + u32::from(self.count) <= 65_536;
        let host = match self.host_port {
            HostPort::Any => true,
            HostPort::Given(first) => fits(first),
            HostPort::Within(first, last) => first > 0 && first <= last,
        };
        if self.count == 0 || !fits(self.container_port) || !host {
            return Err(Error::invalid(
                "impossible ports: expected 1 to 65535, at least one of them, and ranges that go upwards",
            ));
        }
        if self.count > 1 && matches!(self.host_port, HostPort::Within(..)) {
            return Err(Error::invalid(
                "a range of host ports to choose from takes a single port of the sandbox: give ranges of the same length to publish all of them",
            ));
        }
        Ok(self)
    }
}

impl From<PortMapping> for Publish {
    /// What asks for just that mapping. One that is impossible is asked for as it is, and refused by whoever reserves it.
    fn from(mapping: PortMapping) -> Self {
        Self {
            transport: mapping.transport,
            container_port: mapping.container_port,
            count: mapping.count,
            host_address: Some(mapping.host_address),
            host_port: match mapping.host_port {
                0 => HostPort::Any,
                first => HostPort::Given(first),
            },
        }
    }
}

/// As Docker writes it: `[ADDRESS:][PORT[-END]]:PORT[-END][/tcp|udp|sctp]`, or the sandbox's port alone.
impl FromStr for Publish {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (ports, transport) = match text.rsplit_once('/') {
            Some((ports, transport)) => (ports, transport.parse()?),
            None => (text, Transport::Tcp),
        };
        let (host, container) = match ports.rsplit_once(':') {
            Some((host, container)) => (Some(host), container),
            None => (None, ports),
        };
        let (address, host_ports) = split_host(host.unwrap_or_default())?;
        let (container_port, container_end) = range(container)?;
        let count = container_end - container_port + 1;
        let host_port = if host_ports.is_empty() {
            HostPort::Any
        } else {
            host_port(range(host_ports)?, count)?
        };
        Self {
            transport,
            container_port,
            count,
            host_address: address,
            host_port,
        }
        .checked()
    }
}

/// The host's part, `ADDRESS:PORTS`, `ADDRESS:`, `[ADDRESS]:PORTS` or `PORTS`.
fn split_host(text: &str) -> Result<(Option<IpAddr>, &str)> {
    let (address, ports) = if let Some((address, ports)) = text.strip_prefix('[').and_then(|t| t.split_once(']')) {
        let ports = ports.strip_prefix(':').ok_or_else(|| malformed(text))?;
        (address, ports)
    } else {
        match text.rsplit_once(':') {
            Some((address, _)) if address.contains(':') => {
                return Err(Error::invalid(format!(
                    "\"{}\" is no address of a host: write an IPv6 address in brackets, as [fd00::1]:8080:80",
                    address.escape_default()
                )));
            }
            Some(parts) => parts,
            None => return Ok((None, text)),
        }
    };
    let parsed = address.parse().map_err(|cause: std::net::AddrParseError| {
        Error::invalid(format!(
            "\"{}\" is no IP address: expected one as 192.0.2.7 or [fd00::1]",
            address.escape_default()
        ))
        .caused_by(cause)
    })?;
    Ok((Some(parsed), ports))
}

fn host_port((first, last): (u16, u16), count: u16) -> Result<HostPort> {
    match (last - first + 1, count) {
        (1, 1) => Ok(HostPort::Given(first)),
        (_, 1) => Ok(HostPort::Within(first, last)),
        (there, here) if there == here => Ok(HostPort::Given(first)),
        (there, here) => Err(Error::invalid(format!(
            "{there} ports of the host cannot be {here} of the sandbox: give ranges of the same length"
        ))),
    }
}

/// `PORT` or `PORT-END`.
fn range(text: &str) -> Result<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first, text)?, port(last, text)?);
    if first > last {
        return Err(malformed(text));
    }
    Ok((first, last))
}

fn port(text: &str, all: &str) -> Result<u16> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let number = text.parse().ok().filter(|port| digits && *port != 0);
    number.ok_or_else(|| malformed(all))
}

fn malformed(text: &str) -> Error {
    let shown: String = text.chars().take(60).collect();
    Error::invalid(format!(
        "\"{}\" are no ports: expected 1 to 65535 or a range of them, as in 8080:80, 127.0.0.1:53:53/udp or 8000-8010:8000-8010",
        shown.escape_default()
    ))
}

impl FromStr for Transport {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "tcp" => Ok(Self::Tcp),
            "udp" => Ok(Self::Udp),
            "sctp" => Ok(Self::Sctp),
            other => {
                let shown: String = other.chars().take(20).collect();
                Err(Error::invalid(format!(
                    "\"{}\" is no protocol with ports: expected tcp, udp or sctp",
                    shown.escape_default()
                )))
            }
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}

/// `0.0.0.0:8080->80/tcp`
impl fmt::Display for PortMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let range = |first: u16| match self.count {
            0 | 1 => first.to_string(),
            count => format!("{first}-{}", u32::from(first) + u32::from(count) - 1),
        };
        let (host, inside) = (range(self.host_port), range(self.container_port));
        match self.host_address {
            IpAddr::V4(address) => write!(f, "{address}:{host}->{inside}/{}", self.transport),
            IpAddr::V6(address) => write!(f, "[{address}]:{host}->{inside}/{}", self.transport),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockers_spelling_is_read() {
        use HostPort::{Any, Given, Within};
        type Row = (&'static str, Option<&'static str>, HostPort, u16, u16, Transport);
        let table: &[Row] = &[
            ("80", None, Any, 80, 1, Transport::Tcp),
            ("8080:80", None, Given(8080), 80, 1, Transport::Tcp),
            (":80/udp", None, Any, 80, 1, Transport::Udp),
            (
                "127.0.0.1:8080:80",
                Some("127.0.0.1"),
                Given(8080),
                80,
                1,
                Transport::Tcp,
            ),
            ("127.0.0.1::53/udp", Some("127.0.0.1"), Any, 53, 1, Transport::Udp),
            (
                "[fd00::1]:8080:80/sctp",
                Some("fd00::1"),
                Given(8080),
                80,
                1,
                Transport::Sctp,
            ),
            ("[::]::80", Some("::"), Any, 80, 1, Transport::Tcp),
            ("8000-8010:9000-9010", None, Given(8000), 9000, 11, Transport::Tcp),
            ("8000-8010:80", None, Within(8000, 8010), 80, 1, Transport::Tcp),
            ("9000-9010", None, Any, 9000, 11, Transport::Tcp),
        ];
        for (text, address, host_port, container_port, count, transport) in table {
            let expected = Publish {
                transport: *transport,
                container_port: *container_port,
                count: *count,
                host_address: address.map(|a| a.parse().unwrap()),
                host_port: *host_port,
            };
            let read: Publish = text.parse().unwrap();
            assert_eq!(read, expected, "{text}");
            let json = serde_json::to_string(&read).unwrap();
            assert_eq!(serde_json::from_str::<Publish>(&json).unwrap(), expected, "{json}");
        }
    }

    #[test]
    fn what_is_no_port_is_refused_in_words() {
        for (text, says) in [
            ("", "\"\" are no ports"),
            ("0:80", "expected 1 to 65535"),
            ("65536:80", "expected 1 to 65535"),
            ("+80", "are no ports"),
            ("80-70", "are no ports"),
            ("8000-8001:90-92", "2 ports of the host cannot be 3 of the sandbox"),
            ("80/icmp", "expected tcp, udp or sctp"),
            ("host:80:80", "\"host\" is no IP address"),
            ("fd00::1:8080:80", "write an IPv6 address in brackets"),
            ("[fd00::1]80:80", "are no ports"),
            ("1.2.3.4:5:6:7", "in brackets"),
        ] {
            let error = text.parse::<Publish>().unwrap_err();
            assert!(error.message.contains(says), "{text}: {error}");
        }
        for json in [
            r#"{"container_port":0}"#,
            r#"{"container_port":80,"count":0}"#,
            r#"{"container_port":65535,"count":2}"#,
            r#"{"container_port":80,"host_port":9,"host_port_end":8}"#,
            r#"{"container_port":80,"count":2,"host_port":8,"host_port_end":9}"#,
            r#"{"container_port":80,"hostport":8}"#,
        ] {
            assert!(serde_json::from_str::<Publish>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn a_mapping_is_shown_as_docker_shows_it() {
        let range: Publish = "8000-8001:90-91/udp".parse().unwrap();
        assert_eq!(
            range.on("192.0.2.7".parse().unwrap()).to_string(),
            "192.0.2.7:8000-8001->90-91/udp"
        );
        let one: Publish = "443:8443".parse().unwrap();
        assert_eq!(one.on("::".parse().unwrap()).to_string(), "[::]:443->8443/tcp");
    }
}
