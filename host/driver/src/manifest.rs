//! A component's manifest: who it is and what it asks for. It travels in a custom section of the component.
//!
//! ```toml
//! name = "ptp"
//! version = "0.1.0"
//! api = "0.1"
//! description = "Routed endpoints without a bridge."
//!
//! [requests]
//! links = ["veth"]
//!
//! [why]
//! links = "one veth pair for each endpoint"
//! ```

use std::collections::BTreeMap;

use jackfield_model::{Error, IpNetwork, Result, unknown_key};
use toml::{Table, Value};

use crate::grants::{Grants, covers, covers_network, line, read_grants};

/// The custom section that holds the manifest's text.
pub const SECTION: &str = "jackfield:manifest";
/// The version of the WIT package that this host serves.
pub const API_VERSION: &str = "0.1";
/// Names that the host keeps for its own drivers.
const BUILT_IN: [&str; 4] = ["bridge", "host", "null", "overlay"];
const KEYS: [&str; 6] = ["name", "version", "api", "description", "requests", "why"];
/// Longest manifest, in bytes: it is read before anything of the component is trusted.
const MAX_BYTES: usize = 64 << 10;

/// What a component says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The name that networks are created with.
    pub name: String,
    /// Its version, as semver writes it.
    pub version: String,
    /// The WIT package's version that it was built for, as `0.1`.
    pub api: String,
    /// What it is, in one sentence.
    pub description: Option<String>,
    /// What it asks for.
    pub requests: Grants,
    /// Limits that it asks for itself; the others of `requests.limits` are only the usual ones.
    pub limits: Vec<String>,
    /// Why, by the request's key.
    pub why: BTreeMap<String, String>,
}

/// A line that the driver's table of the grants file lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// It belongs into the table of limits.
    pub limit: bool,
    /// The request's key.
    pub key: String,
    /// The line: what is granted already, and what is requested besides.
    pub text: String,
    /// Why the driver wants it.
    pub why: Option<String>,
}

impl Manifest {
    /// Reads the section's text.
    ///
    /// # Errors
    /// invalid-argument: not TOML, a key unknown or missing, a name or version that is none.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > MAX_BYTES {
            return Err(Error::invalid(format!(
                "the manifest has {} bytes, expected at most {MAX_BYTES}",
                text.len()
            )));
        }
        let mut table: Table = text.parse().map_err(|cause: toml::de::Error| {
            Error::invalid(format!("the manifest is not valid TOML: {}", cause.message())).caused_by(cause)
        })?;
        if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(unknown_key("key of the manifest", key, &KEYS));
        }
        let requests = table.remove("requests").unwrap_or_else(|| Value::Table(Table::new()));
        let limits = limit_keys(&requests);
        let manifest = Self {
            name: required(&mut table, "name")?,
            version: required(&mut table, "version")?,
            api: required(&mut table, "api")?,
            description: table
                .remove("description")
                .map(|v| string("description", v))
                .transpose()?,
            requests: read_grants(requests, "[requests]")?,
            limits,
            why: reasons(table.remove("why"))?,
        };
        check_name(&manifest.name)?;
        check_version(&manifest.version)?;
        check_api(&manifest.api)?;
        Ok(manifest)
    }
}

fn limit_keys(requests: &Value) -> Vec<String> {
    requests
        .get("limits")
        .and_then(Value::as_table)
        .map(|limits| limits.keys().cloned().collect())
        .unwrap_or_default()
}

fn required(table: &mut Table, key: &str) -> Result<String> {
    let value = table
        .remove(key)
        .ok_or_else(|| Error::invalid(format!("the manifest has no {key}: expected the line {key} = \"...\"")))?;
    string(key, value)
}

fn string(key: &str, value: Value) -> Result<String> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(Error::invalid(format!(
            "{key} of the manifest is {}, expected a string",
            other.type_str()
        ))),
    }
}

fn reasons(value: Option<Value>) -> Result<BTreeMap<String, String>> {
    match value {
        None => Ok(BTreeMap::new()),
        Some(Value::Table(table)) => table
            .into_iter()
            .map(|(key, value)| Ok((key.clone(), string(&format!("why.{key}"), value)?)))
            .collect(),
        Some(other) => Err(Error::invalid(format!(
            "why of the manifest is {}, expected a table",
            other.type_str()
        ))),
    }
}

fn check_name(name: &str) -> Result<()> {
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let starts = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
    if !starts || name.len() > 32 || !name.bytes().all(word) {
        let shown: String = name.chars().take(40).collect();
        return Err(Error::invalid(format!(
            "\"{}\" cannot name a driver: expected 1 to 32 lower-case letters, digits and '-', beginning with a letter",
            shown.escape_default()
        )));
    }
    if BUILT_IN.contains(&name) {
        return Err(Error::invalid(format!(
            "\"{name}\" is a driver of the host's own: the component needs another name"
        )));
    }
    Ok(())
}

/// MAJOR.MINOR.PATCH, and what semver allows after them.
fn check_version(version: &str) -> Result<()> {
    let numbers = version.split(['-', '+']).next().unwrap_or_default();
    let number = |part: &str| !part.is_empty() && part.len() <= 9 && part.bytes().all(|b| b.is_ascii_digit());
    let rest = version[numbers.len()..]
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'+' | b'.'));
    if version.len() > 64 || !rest || numbers.split('.').count() != 3 || !numbers.split('.').all(number) {
        let shown: String = version.chars().take(70).collect();
        return Err(Error::invalid(format!(
            "\"{}\" is no version: expected one as 1.4.0",
            shown.escape_default()
        )));
    }
    Ok(())
}

fn check_api(api: &str) -> Result<()> {
    if api == API_VERSION || api.strip_prefix(API_VERSION).is_some_and(|rest| rest.starts_with('.')) {
        return Ok(());
    }
    let shown: String = api.chars().take(40).collect();
    Err(Error::invalid(format!(
        "the driver was built for API version \"{}\", and this host serves {API_VERSION}: build it with the SDK of that version",
        shown.escape_default()
    )))
}

/// What the manifest requests and the grants do not give, each as the very line that the grants file lacks.
pub fn missing(manifest: &Manifest, grants: &Grants) -> Vec<Line> {
    let requests = &manifest.requests;
    let mut lines = Vec::new();
    let mut add = |key: &str, text: Option<String>| {
        lines.extend(text.map(|text| Line {
            limit: false,
            key: key.to_owned(),
            text,
            why: manifest.why.get(key).cloned(),
        }));
    };
    for (key, wanted, granted) in [
        ("links", &requests.links, &grants.links),
        ("parents", &requests.parents, &grants.parents),
        ("names", &requests.names, &grants.names),
        ("firewall", &requests.firewall, &grants.firewall),
        ("sysctls", &requests.sysctls, &grants.sysctls),
        ("outbound", &requests.outbound, &grants.outbound),
    ] {
        let lacks = |word: &&String| !covers(granted, word);
        add(
            key,
            wanted
                .iter()
                .any(|w| lacks(&w))
                .then(|| line(key, granted, wanted.iter().filter(lacks))),
        );
    }
    for (key, wanted, granted) in [
        ("addresses", &requests.addresses, &grants.addresses),
        ("routes", &requests.routes, &grants.routes),
    ] {
        let lacks = |network: &&IpNetwork| !covers_network(granted, network);
        add(
            key,
            wanted
                .iter()
                .any(|w| lacks(&w))
                .then(|| line(key, granted, wanted.iter().filter(lacks))),
        );
    }
    for (key, wanted, granted) in [
        ("rules", requests.rules, grants.rules),
        ("neighbours", requests.neighbours, grants.neighbours),
        ("bandwidth", requests.bandwidth, grants.bandwidth),
    ] {
        add(key, (wanted && !granted).then(|| format!("{key} = true")));
    }
    lines.extend(missing_limits(manifest, grants));
    lines
}

fn missing_limits(manifest: &Manifest, grants: &Grants) -> Vec<Line> {
    let (wanted, granted) = (&manifest.requests.limits, &grants.limits);
    [
        ("memory-bytes", wanted.memory_bytes, granted.memory_bytes),
        ("deadline-ms", wanted.deadline_ms, granted.deadline_ms),
        ("state-bytes", wanted.state_bytes, granted.state_bytes),
        (
            "links-per-operation",
            wanted.links_per_operation.into(),
            granted.links_per_operation.into(),
        ),
        (
            "steps-per-operation",
            wanted.steps_per_operation.into(),
            granted.steps_per_operation.into(),
        ),
        (
            "host-calls-per-operation",
            wanted.host_calls_per_operation.into(),
            granted.host_calls_per_operation.into(),
        ),
    ]
    .into_iter()
    .filter(|(key, wanted, granted)| wanted > granted && manifest.limits.iter().any(|k| k == key))
    .map(|(key, wanted, _)| Line {
        limit: true,
        key: key.to_owned(),
        text: format!("{key} = {wanted}"),
        why: manifest.why.get(key).or_else(|| manifest.why.get("limits")).cloned(),
    })
    .collect()
}

/// The lines as they go into the grants file, each with the driver's reason above it.
pub fn snippet(driver: &str, lines: &[Line]) -> String {
    let mut text = String::new();
    for (limit, table) in [(false, driver.to_owned()), (true, format!("{driver}.limits"))] {
        let mut lines = lines.iter().filter(|line| line.limit == limit).peekable();
        if lines.peek().is_some() {
            text.push_str(&format!("[{table}]\n"));
        }
        for line in lines {
            // A reason is the vendor's text: on one line, so that it stays a comment.
            let why = line
                .why
                .as_ref()
                .map(|why| format!("# {}\n", why.replace(char::is_control, " ")));
            text.push_str(&format!("{}{}\n", why.unwrap_or_default(), line.text));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        name = "ptp"
        version = "0.1.0"
        api = "0.1"
        [requests]
        links = ["veth", "dummy"]
        addresses = ["169.254.1.1/32"]
        neighbours = true
        sysctls = ["ipv4/conf/forwarding"]
        limits.state-bytes = 4194304
        [why]
        links = "one pair\nfor each endpoint"
    "#;

    #[test]
    fn the_missing_lines_are_a_table_that_grants_what_was_requested() {
        let manifest = Manifest::parse(GOOD).unwrap();
        let mut grants = Grants {
            links: vec!["veth".into()],
            neighbours: true,
            ..Grants::default()
        };
        let lines = missing(&manifest, &grants);
        let text = snippet(&manifest.name, &lines);
        assert_eq!(
            text,
            "[ptp]\n# one pair for each endpoint\nlinks = [\"veth\", \"dummy\"]\nsysctls = [\"ipv4/conf/forwarding\"]\n\
             addresses = [\"169.254.1.1/32\"]\n[ptp.limits]\nstate-bytes = 4194304\n"
        );
        grants = crate::grants::GrantsFile::parse(&text.replace("[ptp]\n", "[ptp]\nneighbours = true\n"))
            .unwrap()
            .of("ptp");
        assert_eq!(missing(&manifest, &grants), []);
        assert_eq!(
            missing(
                &manifest,
                &Grants {
                    limits: grants.limits.clone(),
                    ..Grants::everything()
                }
            ),
            []
        );
    }

    #[test]
    fn a_limit_that_is_not_requested_may_be_lowered_by_the_operator() {
        let manifest = Manifest::parse("name = \"a\"\nversion = \"1.0.0\"\napi = \"0.1\"").unwrap();
        let mut grants = Grants::default();
        grants.limits.memory_bytes = 1;
        assert_eq!(missing(&manifest, &grants), []);
    }

    #[test]
    fn a_manifest_that_is_none_is_refused_with_what_was_expected() {
        for (from, to, said) in [
            ("name = \"ptp\"", "", "has no name"),
            ("name = \"ptp\"", "name = 1", "expected a string"),
            ("\"ptp\"", "\"Ptp\"", "lower-case"),
            ("\"ptp\"", "\"bridge\"", "host's own"),
            ("\"ptp\"", "\"a23456789012345678901234567890123\"", "1 to 32"),
            ("\"0.1.0\"", "\"1\"", "expected one as 1.4.0"),
            ("\"0.1.0\"", "\"1.0.0 beta\"", "expected one as 1.4.0"),
            ("api = \"0.1\"", "api = \"0.2\"", "this host serves 0.1"),
            ("api = \"0.1\"", "api = \"0.10\"", "this host serves 0.1"),
            ("[requests]", "[request]", "did you mean \"requests\"?"),
            ("links = [\"veth\"", "links = [\"vteh\"", "did you mean"),
        ] {
            assert!(GOOD.contains(from), "{from}");
            let error = Manifest::parse(&GOOD.replacen(from, to, 1)).unwrap_err();
            assert!(error.message.contains(said), "{to:?} was answered by {}", error.message);
        }
        assert!(Manifest::parse(&"#".repeat(MAX_BYTES + 1)).is_err());
    }

    #[test]
    fn versions_are_semver() {
        for good in ["1.0.0", "0.1.0-beta.1", "10.20.30+build.5"] {
            assert!(check_version(good).is_ok(), "{good}");
        }
    }
}
