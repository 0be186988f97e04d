//! Docker's options: what it says of a network and an endpoint itself, and what is the driver's to read.

use jackfield_model::{Error, Options, Result};
use serde_json::Value;

use super::fields::{Fields, wrong};

/// Under which the user's `-o` options of a network are.
const GENERIC: &str = "com.docker.network.generic";
/// Says that nobody may come in or out.
const INTERNAL: &str = "com.docker.network.internal";
/// What Docker says of an endpoint itself: ports, MAC address, sysctls, the interface's name.
const OF_ENDPOINT: [&str; 2] = ["com.docker.network.endpoint.", "com.docker.network.portmap"];

/// A network's options.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct NetworkOptions {
    /// For the driver.
    pub driver: Options,
    /// No way in or out.
    pub internal: bool,
}

/// Reads a network's.
///
/// # Errors
/// invalid-argument for values that are no text.
pub fn of_network(options: Option<Fields<'_>>) -> Result<NetworkOptions> {
    let Some(options) = options else {
        return Ok(NetworkOptions::default());
    };
    let driver = options.object(GENERIC)?.map_or_else(|| Ok(Options::new()), texts)?;
    let internal = match options.get(INTERNAL) {
        Some(Value::String(text)) => text == "true",
        _ => options.flag(INTERNAL)?,
    };
    Ok(NetworkOptions { driver, internal })
}

/// Reads an endpoint's (`--driver-opt`), for the driver.
///
/// # Errors
/// invalid-argument for values that are no text.
pub fn of_endpoint(options: Option<Fields<'_>>) -> Result<Options> {
    let is_dockers = |name: &str| OF_ENDPOINT.iter().any(|prefix| name.starts_with(prefix));
    let Some(options) = options else {
        return Ok(Options::new());
    };
    let given = options.all().filter(|(name, _)| !is_dockers(name));
    read(given)
}

/// All of an object, as text.
///
/// # Errors
/// invalid-argument for values that are no text.
pub fn texts(fields: Fields<'_>) -> Result<Options> {
    read(fields.all())
}

fn read<'a>(given: impl Iterator<Item = (&'a String, &'a Value)>) -> Result<Options> {
    let one = |(name, value): (&String, &Value)| {
        let text = match value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            other => return Err(wrong(&format!("option {}", name.escape_default()), other, "a string")),
        };
        Ok((name.clone(), text))
    };
    given.map(one).collect()
}

/// Refuses options that mean nothing to us; Docker adds some of its own.
///
/// # Errors
/// invalid-argument, with the first of them.
pub fn refuse_unknown(options: &Options, of: &str) -> Result<()> {
    match options.keys().find(|name| !name.starts_with("com.docker.")) {
        Some(name) => Err(Error::invalid(format!(
            "{of} take no option \"{}\": leave it out",
            name.escape_default()
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn dockers_own_options_are_told_from_the_drivers() {
        let network = json!({ GENERIC: { "mtu": "1400", "n": 7, "on": true }, INTERNAL: true, "com.docker.network.enable_ipv6": false });
        let read = of_network(Some(Fields::of(&network, "it").unwrap())).unwrap();
        let driver = [("mtu", "1400"), ("n", "7"), ("on", "true")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(
            read,
            NetworkOptions {
                driver: driver.into(),
                internal: true
            }
        );
        let endpoint =
            json!({ "k": "v", "com.docker.network.portmap": [], "com.docker.network.endpoint.exposedports": [{}] });
        let read = of_endpoint(Some(Fields::of(&endpoint, "it").unwrap())).unwrap();
        assert_eq!(read, Options::from([("k".to_owned(), "v".to_owned())]));
        let nested = json!({ "k": [] });
        assert!(of_endpoint(Some(Fields::of(&nested, "it").unwrap())).is_err());
    }
}
