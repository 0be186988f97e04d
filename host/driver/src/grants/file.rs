//! The grants file: TOML, a table for each driver.
//!
//! ```toml
//! [macvlan]
//! links = ["macvlan"]
//! parents = ["eth0", "wan*"]
//!
//! [macvlan.limits]
//! state-bytes = 65536
//! ```

use std::collections::BTreeMap;

use jackfield_model::{Error, Result, nearest, unknown_key};
use serde::Deserialize;
use toml::{Table, Value};

use super::{FIREWALL_VERBS, Grants, LINK_KINDS};

/// Keys of a driver's table.
const KEYS: [&str; 12] = [
    "links",
    "parents",
    "names",
    "addresses",
    "routes",
    "rules",
    "neighbours",
    "firewall",
    "sysctls",
    "bandwidth",
    "outbound",
    "limits",
];
/// Keys of its limits.
const LIMITS: [&str; 6] = [
    "memory-bytes",
    "deadline-ms",
    "state-bytes",
    "links-per-operation",
    "steps-per-operation",
    "host-calls-per-operation",
];

/// What the operator granted, by driver.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrantsFile {
    /// Grants by the driver's name.
    pub drivers: BTreeMap<String, Grants>,
}

impl GrantsFile {
    /// Reads the file's text.
    ///
    /// # Errors
    /// invalid-argument: not TOML, a key that is not known, or a value that can grant nothing.
    pub fn parse(text: &str) -> Result<Self> {
        let table: Table = text.parse().map_err(|cause: toml::de::Error| {
            Error::invalid(format!("the grants file is not valid TOML: {}", cause.message())).caused_by(cause)
        })?;
        let drivers = table.into_iter().map(|(name, value)| {
            let grants = read_grants(value, &format!("[{name}]"))?;
            Ok((name, grants))
        });
        Ok(Self {
            drivers: drivers.collect::<Result<_>>()?,
        })
    }

    /// What that driver was granted; nothing at all when the file does not name it.
    pub fn of(&self, driver: &str) -> Grants {
        self.drivers.get(driver).cloned().unwrap_or_default()
    }
}

/// Reads one table of grants or requests; `place` is how messages call it.
pub(crate) fn read_grants(value: Value, place: &str) -> Result<Grants> {
    let Value::Table(table) = &value else {
        return Err(Error::invalid(format!(
            "{place} has to be a table of grants, as [ptp] with the line links = [\"veth\"]"
        )));
    };
    known_keys(table, &KEYS, &format!("key of {place}"))?;
    if let Some(Value::Table(limits)) = table.get("limits") {
        known_keys(limits, &LIMITS, &format!("limit of {place}"))?;
    }
    let grants = Grants::deserialize(value).map_err(|cause: toml::de::Error| {
        Error::invalid(format!("{place} of the grants: {}", cause.message())).caused_by(cause)
    })?;
    check(&grants, place)?;
    Ok(grants)
}

fn known_keys(table: &Table, known: &[&str], what: &str) -> Result<()> {
    match table.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(unknown_key(what, key, known)),
        None => Ok(()),
    }
}

/// Values that could never match anything are slips, and told.
fn check(grants: &Grants, place: &str) -> Result<()> {
    known_words(&grants.links, &LINK_KINDS, "link kind", place)?;
    known_words(&grants.firewall, &FIREWALL_VERBS, "firewall verb", place)?;
    for network in grants.addresses.iter().chain(&grants.routes) {
        if network.ip() != network.network() {
            let (meant, prefix) = (network.network(), network.prefix());
            return Err(Error::invalid(format!(
                "{network} in {place} has host bits set: write {meant}/{prefix}"
            )));
        }
    }
    for sysctl in &grants.sysctls {
        let path: Vec<&str> = sysctl.split('/').collect();
        let shaped = matches!(path[..], ["ipv4" | "ipv6", "conf" | "neigh", key] if !key.is_empty());
        if !shaped && !sysctl.ends_with('*') {
            return Err(Error::invalid(format!(
                "\"{}\" in {place} is no per-link sysctl: expected one as ipv4/conf/proxy_arp",
                sysctl.escape_default()
            )));
        }
    }
    Ok(())
}

fn known_words(words: &[String], known: &[&str], what: &str, place: &str) -> Result<()> {
    let Some(word) = words.iter().find(|word| !known.contains(&word.as_str())) else {
        return Ok(());
    };
    let hint = nearest(word, known)
        .map(|near| format!(", did you mean \"{near}\"?"))
        .unwrap_or_default();
    Err(Error::invalid(format!(
        "unknown {what} \"{}\" in {place}{hint} (known are {})",
        word.escape_default(),
        known.join(", ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_that_is_not_named_gets_nothing() {
        let file = GrantsFile::parse("[ptp]\nlinks = [\"veth\"]\n[ptp.limits]\ndeadline-ms = 100\n").unwrap();
        assert_eq!(file.of("macvlan"), Grants::default());
        assert_eq!(file.of("ptp").links, ["veth"]);
        assert_eq!(file.of("ptp").limits.deadline_ms, 100);
        assert_eq!(
            file.of("ptp").limits.state_bytes,
            1 << 20,
            "what is not written stays as usual"
        );
    }

    #[test]
    fn slips_are_refused_with_what_was_meant() {
        for (text, said) in [
            ("[ptp", "not valid TOML"),
            ("ptp = 1", "[ptp] has to be a table"),
            (
                "[ptp]\nlink = [\"veth\"]",
                "unknown key of [ptp] \"link\", did you mean \"links\"?",
            ),
            (
                "[ptp]\nlinks = [\"vteh\"]",
                "unknown link kind \"vteh\" in [ptp], did you mean",
            ),
            ("[ptp]\nlinks = \"veth\"", "expected a sequence"),
            ("[ptp]\nfirewall = [\"masq\"]", "unknown firewall verb"),
            ("[ptp]\naddresses = [\"10.0.0.1/24\"]", "write 10.0.0.0/24"),
            ("[ptp]\naddresses = [\"10.0.0.1/33\"]", "[ptp] of the grants"),
            ("[ptp]\nsysctls = [\"net.ipv4.ip_forward\"]", "ipv4/conf/proxy_arp"),
            ("[ptp.limits]\nstate-byte = 1", "did you mean \"state-bytes\"?"),
            ("[ptp.limits]\nstate-bytes = -1", "[ptp] of the grants"),
        ] {
            let error = GrantsFile::parse(text).unwrap_err();
            assert!(
                error.message.contains(said),
                "{text:?} was answered by {}",
                error.message
            );
        }
    }
}
