//! Options of the built-in drivers: text becomes typed values at the door, and a key that nobody knows is refused.

use std::str::FromStr;

use jackfield_model::{Error, Options, Result, unknown_key};

/// Refuses every key that is not in the list.
pub fn refuse_unknown(what: &str, options: &Options, known: &[&str]) -> Result<()> {
    let stranger = options.keys().find(|key| !known.contains(&key.as_str()));
    stranger.map_or(Ok(()), |key| Err(unknown_key(what, key, known)))
}

/// The value of a key, None when it is not given.
pub fn parse<T: FromStr>(options: &Options, key: &str, expected: &str) -> Result<Option<T>> {
    let Some(text) = options.get(key) else { return Ok(None) };
    let refusal = || {
        Error::invalid(format!(
            "option {key}={} is not understood: expected {expected}",
            text.escape_default()
        ))
    };
    text.parse().map(Some).map_err(|_| refusal())
}

/// `true` or `false`, as people write them.
pub fn flag(options: &Options, key: &str, default: bool) -> Result<bool> {
    Ok(parse::<Flag>(options, key, "true or false")?.map_or(default, |flag| flag.0))
}

struct Flag(bool);

impl FromStr for Flag {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "true" | "1" | "yes" | "on" => Ok(Self(true)),
            "false" | "0" | "no" | "off" => Ok(Self(false)),
            _ => Err(()),
        }
    }
}
