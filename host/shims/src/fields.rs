//! JSON objects that others write, read key by key: what is missing, what is no such value and what nobody knows is said by its name.

use std::fmt;

use jackfield_model::unknown_key;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// A key that cannot be read, in a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable(pub String);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unreadable {}

/// An object whose keys are taken out one after the other.
#[derive(Clone, Debug)]
pub struct Fields {
    what: String,
    map: Map<String, Value>,
}

impl Fields {
    /// Of that value; `what` is what it is called in a refusal. Nothing is an empty object.
    ///
    /// # Errors
    /// When it is none.
    pub fn of(what: impl Into<String>, value: Value) -> Result<Self, Unreadable> {
        let what = what.into();
        match value {
            Value::Object(map) => Ok(Self { what, map }),
            Value::Null => Ok(Self { what, map: Map::new() }),
            other => Err(Unreadable(format!("{what} is {}: expected an object", kind(&other)))),
        }
    }

    /// Whether that key is there, with anything but null.
    pub fn has(&self, key: &str) -> bool {
        self.map.get(key).is_some_and(|value| !value.is_null())
    }

    /// Takes a key; null is as good as nothing.
    ///
    /// # Errors
    /// When its value is none of that type.
    pub fn take<T: DeserializeOwned>(&mut self, key: &str, expected: &str) -> Result<Option<T>, Unreadable> {
        match self.map.remove(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => self.read(key, expected, value).map(Some),
        }
    }

    /// Takes a key, in whatever case it is written.
    ///
    /// # Errors
    /// As [`Fields::take`].
    pub fn take_any_case<T: DeserializeOwned>(&mut self, key: &str, expected: &str) -> Result<Option<T>, Unreadable> {
        let written = self.map.keys().find(|k| k.eq_ignore_ascii_case(key)).cloned();
        written.map_or(Ok(None), |written| self.take(&written, expected))
    }

    /// Takes an object; an empty one where there is none.
    ///
    /// # Errors
    /// When it is something else.
    pub fn object(&mut self, key: &str) -> Result<Self, Unreadable> {
        let value = self.map.remove(key).unwrap_or_default();
        Self::of(format!("\"{key}\" of {}", self.what), value)
    }

    /// Takes a list; an empty one where there is none.
    ///
    /// # Errors
    /// When it is something else.
    pub fn list(&mut self, key: &str) -> Result<Vec<Value>, Unreadable> {
        Ok(self.take(key, "a list")?.unwrap_or_default())
    }

    /// Takes a map of texts; numbers and booleans are taken for what they are written as.
    ///
    /// # Errors
    /// When it is none, or has something else in it.
    pub fn texts(&mut self, key: &str) -> Result<jackfield_model::Options, Unreadable> {
        let Self { what, map } = self.object(key)?;
        let text = |(key, value): (String, Value)| match value {
            Value::String(text) => Ok((key, text)),
            Value::Number(_) | Value::Bool(_) => Ok((key, value.to_string())),
            other => Err(Unreadable(format!(
                "\"{}\" in {what} is {}: expected a text",
                shown(&key),
                kind(&other)
            ))),
        };
        map.into_iter().map(text).collect()
    }

    /// Forgets keys that say nothing here.
    pub fn pass_over(&mut self, keys: &[&str]) {
        keys.iter().for_each(|key| drop(self.map.remove(*key)));
    }

    /// Forgets keys with a slash: they are the runtime's own.
    pub fn pass_over_prefixed(&mut self) {
        self.map.retain(|key, _| !key.contains('/'));
    }

    /// Nothing may be left.
    ///
    /// # Errors
    /// With the first key that is, and those that are known.
    pub fn end(self, known: &[&str]) -> Result<(), Unreadable> {
        match self.map.keys().next() {
            None => Ok(()),
            Some(key) => Err(Unreadable(
                unknown_key(&format!("key in {}", self.what), &shown(key), known).message,
            )),
        }
    }

    fn read<T: DeserializeOwned>(&self, key: &str, expected: &str, value: Value) -> Result<T, Unreadable> {
        let found = match &value {
            Value::String(_) | Value::Number(_) | Value::Bool(_) => shown(&value.to_string()),
            other => kind(other).to_owned(),
        };
        T::deserialize(value)
            .map_err(|_| Unreadable(format!("\"{key}\" of {} is {found}: expected {expected}", self.what)))
    }
}

/// Bounds what of somebody's input stands in a message.
pub fn shown(text: &str) -> String {
    text.chars().take(60).collect()
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_cannot_be_read_is_said_by_its_name() {
        let mut fields = Fields::of("the configuration", json!({"mtu": "big", "HostPort": 7, "mode": 1})).unwrap();
        assert_eq!(
            fields.take::<u32>("mtu", "a number of bytes").unwrap_err().0,
            "\"mtu\" of the configuration is \"big\": expected a number of bytes"
        );
        assert_eq!(fields.take_any_case::<u16>("hostPort", "a port").unwrap(), Some(7));
        assert_eq!(
            fields.end(&["mtu", "model"]).unwrap_err().0,
            "unknown key in the configuration \"mode\", did you mean \"model\"? (known are mtu, model)"
        );
    }
}
