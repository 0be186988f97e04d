//! JSON as Go reads it: names of fields without regard to case, null for nothing at all. What is of another type than expected is refused.

use std::net::IpAddr;

use jackfield_model::{Error, IpNetwork, Result, parse_cidr};
use serde_json::{Map, Value};

/// A JSON object.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a>(&'a Map<String, Value>);

/// Reads a body.
///
/// # Errors
/// invalid-argument for one that is empty, no JSON or no object.
pub fn read(body: &[u8]) -> Result<Value> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(Error::invalid(
            "the request's body is empty, as Docker's is when it asks a second time: repeat the command",
        ));
    }
    let value: Value = serde_json::from_slice(body)
        .map_err(|e| Error::invalid(format!("the request is no JSON: {e}")).caused_by(e))?;
    Fields::of(&value, "the request").map(drop)?;
    Ok(value)
}

impl<'a> Fields<'a> {
    /// Of an object.
    ///
    /// # Errors
    /// invalid-argument, when it is none.
    pub fn of(value: &'a Value, what: &str) -> Result<Self> {
        value
            .as_object()
            .map(Self)
            .ok_or_else(|| wrong(what, value, "an object"))
    }

    /// The field of that name; None for null too.
    pub fn get(&self, name: &str) -> Option<&'a Value> {
        let any_case = || {
            self.0
                .iter()
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, v)| v)
        };
        self.0.get(name).or_else(any_case).filter(|value| !value.is_null())
    }

    /// A string, empty where there is none.
    ///
    /// # Errors
    /// invalid-argument for something else.
    pub fn text(&self, name: &str) -> Result<&'a str> {
        let Some(value) = self.get(name) else { return Ok("") };
        value.as_str().ok_or_else(|| wrong(name, value, "a string"))
    }

    /// What a string stands for; None where it is empty.
    ///
    /// # Errors
    /// invalid-argument, in the words of whoever reads it.
    pub fn parsed<T>(&self, name: &str, read: impl FnOnce(&str) -> Result<T>) -> Result<Option<T>> {
        let text = self.text(name)?;
        if text.is_empty() {
            return Ok(None);
        }
        read(text)
            .map(Some)
            .map_err(|e| Error::invalid(format!("{name}: {e}")).caused_by(e))
    }

    /// The same, where it has to be there.
    ///
    /// # Errors
    /// invalid-argument.
    pub fn required<T>(&self, name: &str, read: impl FnOnce(&str) -> Result<T>) -> Result<T> {
        let missing = || Error::invalid(format!("the request has no {name}"));
        self.parsed(name, read)?.ok_or_else(missing)
    }

    /// True or false, false where there is nothing.
    ///
    /// # Errors
    /// invalid-argument for something else.
    pub fn flag(&self, name: &str) -> Result<bool> {
        let Some(value) = self.get(name) else { return Ok(false) };
        value.as_bool().ok_or_else(|| wrong(name, value, "true or false"))
    }

    /// A number that fits, zero where there is nothing.
    ///
    /// # Errors
    /// invalid-argument for something else.
    pub fn number<T: TryFrom<u64> + Default>(&self, name: &str) -> Result<T> {
        let Some(value) = self.get(name) else {
            return Ok(T::default());
        };
        let number = value.as_u64().and_then(|number| T::try_from(number).ok());
        number.ok_or_else(|| wrong(name, value, "a number that fits"))
    }

    /// An object, None where there is nothing.
    ///
    /// # Errors
    /// invalid-argument for something else.
    pub fn object(&self, name: &str) -> Result<Option<Fields<'a>>> {
        self.get(name).map(|value| Fields::of(value, name)).transpose()
    }

    /// A list of objects, empty where there is nothing.
    ///
    /// # Errors
    /// invalid-argument for something else.
    pub fn objects(&self, name: &str) -> Result<Vec<Fields<'a>>> {
        let Some(value) = self.get(name) else {
            return Ok(Vec::new());
        };
        let list = value.as_array().ok_or_else(|| wrong(name, value, "a list"))?;
        list.iter().map(|one| Fields::of(one, name)).collect()
    }

    /// All of them, for an object whose names mean something by themselves.
    pub fn all(&self) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
        self.0.iter()
    }
}

/// What is there is not what was expected.
pub fn wrong(name: &str, found: &Value, expected: &str) -> Error {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    Error::invalid(format!("{name} is {found}: expected {expected}"))
}

/// An address, with or without its prefix length.
///
/// # Errors
/// invalid-argument for what is none.
pub fn address(text: &str) -> Result<IpAddr> {
    if text.contains('/') {
        return parse_cidr(text).map(|cidr: IpNetwork| cidr.ip());
    }
    text.parse()
        .map_err(|e| Error::invalid(format!("\"{}\" is no IP address", text.escape_default())).caused_by(e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_are_read_in_any_case_and_null_is_nothing() {
        let value = json!({ "networkid": "a", "Options": null, "INTERFACE": {}, "V6": true, "Port": 80 });
        let fields = Fields::of(&value, "it").unwrap();
        assert_eq!(fields.text("NetworkID").unwrap(), "a");
        assert!(fields.object("Options").unwrap().is_none());
        assert!(fields.object("Interface").unwrap().is_some());
        assert!(fields.flag("V6").unwrap());
        assert_eq!(fields.number::<u16>("Port").unwrap(), 80);
        assert_eq!(fields.text("Other").unwrap(), "");
    }

    #[test]
    fn what_is_of_another_type_is_refused_by_name() {
        let value = json!({ "A": 7, "B": "x", "C": [1], "D": 70000 });
        let fields = Fields::of(&value, "it").unwrap();
        let said = [
            fields.text("A").unwrap_err().message,
            fields.flag("B").unwrap_err().message,
            fields.objects("C").unwrap_err().message,
            fields.number::<u16>("D").unwrap_err().message,
        ];
        assert_eq!(
            said,
            [
                "A is a number: expected a string",
                "B is a string: expected true or false",
                "C is a number: expected an object",
                "D is a number: expected a number that fits",
            ]
        );
        for body in ["", " \n", "[]", "{", "\u{0}"] {
            assert!(read(body.as_bytes()).is_err(), "{body}");
        }
    }
}
