//! CNI_ARGS: `KEY=VALUE;KEY=VALUE`, in which podman gives addresses and containerd the pod's names.

use std::net::IpAddr;

use jackfield_model::{MacAddr, Options};

use super::Failure;
use crate::fields::shown;

/// What they say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arguments {
    /// IP: addresses with commas between them.
    pub addresses: Vec<IpAddr>,
    /// MAC.
    pub mac: Option<MacAddr>,
    /// K8S_POD_*, kept as labels.
    pub labels: Options,
}

/// Reads them. What nobody knows is passed over where `IgnoreUnknown` says so.
///
/// # Errors
/// Code 4.
pub fn read(text: &str) -> Result<Arguments, Failure> {
    let pairs: Vec<(&str, &str)> = text
        .split(';')
        .map(str::trim)
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').ok_or_else(|| malformed(pair)))
        .collect::<Result<_, _>>()?;
    let tolerant = pairs
        .iter()
        .any(|(key, value)| *key == "IgnoreUnknown" && matches!(*value, "1" | "true" | "True" | "TRUE"));
    let mut arguments = Arguments::default();
    for (key, value) in pairs {
        arguments.take(key, value, tolerant)?;
    }
    Ok(arguments)
}

impl Arguments {
    fn take(&mut self, key: &str, value: &str, tolerant: bool) -> Result<(), Failure> {
        match key {
            "IgnoreUnknown" => {}
            "IP" => self.addresses = addresses(value)?,
            "MAC" => self.mac = Some(mac(value)?),
            key if key.starts_with("K8S_POD_") => {
                self.labels.insert(key.to_owned(), value.to_owned());
            }
            _ if tolerant => {}
            unknown => {
                return Err(Failure::environment(format!(
                    "CNI_ARGS has \"{}\", which is not known: expected IP, MAC, K8S_POD_*, or IgnoreUnknown=1 beside it",
                    shown(unknown).escape_default()
                )));
            }
        }
        Ok(())
    }
}

fn malformed(pair: &str) -> Failure {
    Failure::environment(format!(
        "CNI_ARGS has \"{}\": expected KEY=VALUE with semicolons between them",
        shown(pair).escape_default()
    ))
}

fn addresses(text: &str) -> Result<Vec<IpAddr>, Failure> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts
        .map(|part| {
            address(part).ok_or_else(|| {
                Failure::environment(format!(
                    "IP of CNI_ARGS is \"{}\": expected addresses as 10.0.0.5 with commas between them",
                    shown(part).escape_default()
                ))
            })
        })
        .collect()
}

fn mac(text: &str) -> Result<MacAddr, Failure> {
    text.parse()
        .map_err(|e: jackfield_model::Error| Failure::environment(format!("MAC of CNI_ARGS: {}", e.message)))
}

/// An address, with a prefix or without: the prefix is the network's matter.
pub fn address(text: &str) -> Option<IpAddr> {
    let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
    let address: IpAddr = address.parse().ok()?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    match prefix {
        Some(prefix) if !prefix.parse::<u8>().is_ok_and(|prefix| prefix <= longest) => None,
        _ => Some(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn podmans_and_containerds_arguments_are_read() {
        let read =
            read("IgnoreUnknown=1;K8S_POD_NAME=cc;MAC=02:11:22:33:44:55;IP=10.95.0.55,fd00::5/64;FOO=bar").unwrap();
        assert_eq!(
            read.addresses,
            ["10.95.0.55".parse::<IpAddr>().unwrap(), "fd00::5".parse().unwrap()]
        );
        assert_eq!(read.mac, Some("02:11:22:33:44:55".parse().unwrap()));
        assert_eq!(read.labels, Options::from([("K8S_POD_NAME".into(), "cc".into())]));
    }

    #[test]
    fn what_is_wrong_or_unknown_is_code_4() {
        for bad in [
            "FOO=bar",
            "IP",
            "IP=x;IgnoreUnknown=1",
            "IP=10.0.0.1/33",
            "MAC=zz",
            "FOO=1;IgnoreUnknown=0",
        ] {
            assert_eq!(read(bad).unwrap_err().code, 4, "{bad}");
        }
        assert_eq!(read("").unwrap(), Arguments::default());
    }
}
