//! Reads a request out of JSON, so that every refusal is one sentence that names the field.
//!
//! `serde_json` could read the types by itself, but its errors are text made for programmers. This deserializer walks a parsed value and
//! has an error of its own, which keeps what serde says about fields: which one, where, and which are known.

use std::fmt;

use jackfield_model::{Error, unknown_key};
use serde::{
    Deserializer,
    de::{
        self, DeserializeOwned, DeserializeSeed, Expected, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor,
    },
    forward_to_deserialize_any,
};
use serde_json::{Map, Value};

/// Reads `T` from the bytes of a body.
///
/// # Errors
/// invalid-argument: no JSON, an unknown or missing field, or a value that is not what the field takes.
pub fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    let value = serde_json::from_slice(bytes).map_err(|e| {
        let (line, column) = (e.line(), e.column());
        let problem = if bytes.is_empty() {
            "is empty".to_owned()
        } else {
            format!("is no JSON (line {line}, column {column})")
        };
        Error::invalid(format!("the body {problem}: expected a JSON object")).caused_by(e)
    })?;
    T::deserialize(Reader(value)).map_err(Misfit::into_error)
}

/// Where and how a value does not fit its type.
#[derive(Debug)]
struct Misfit {
    /// Innermost first.
    path: Vec<Step>,
    problem: Problem,
}

#[derive(Debug)]
enum Step {
    Field(String),
    Index(usize),
}

#[derive(Debug)]
enum Problem {
    Unknown {
        field: String,
        known: &'static [&'static str],
    },
    Missing(&'static str),
    Other(String),
}

impl Misfit {
    fn new(problem: Problem) -> Self {
        Self {
            path: Vec::new(),
            problem,
        }
    }

    fn at(mut self, step: Step) -> Self {
        self.path.push(step);
        self
    }

    fn place(&self) -> String {
        let mut text = String::new();
        for step in self.path.iter().rev() {
            match step {
                Step::Index(index) => text.push_str(&format!("[{index}]")),
                Step::Field(field) if text.is_empty() => text.push_str(field),
                Step::Field(field) => text.push_str(&format!(".{field}")),
            }
        }
        text
    }

    fn into_error(self) -> Error {
        let place = self.place();
        let sentence = match self.problem {
            Problem::Unknown { field, known } => unknown_key("field", &field, known).message,
            Problem::Missing(field) => format!("the field \"{field}\" is missing"),
            Problem::Other(text) => text,
        };
        Error::invalid(if place.is_empty() {
            sentence
        } else {
            format!("{place}: {sentence}")
        })
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Misfit {}

impl de::Error for Misfit {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self::new(Problem::Other(text.to_string()))
    }

    fn invalid_type(got: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(Problem::Other(format!("expected {expected}, got {got}")))
    }

    fn invalid_value(got: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(got, expected)
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        Self::new(Problem::Unknown {
            field: field.chars().take(60).collect(),
            known,
        })
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Problem::Missing(field))
    }
}

/// A parsed value on its way into a type.
struct Reader(Value);

impl<'de> Deserializer<'de> for Reader {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(value), _) => visitor.visit_u64(value),
                (None, Some(value)) => visitor.visit_i64(value),
                (None, None) => visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => visitor.visit_string(text),
            Value::Array(items) => visitor.visit_seq(Items {
                rest: items.into_iter(),
                next: 0,
            }),
            Value::Object(fields) => visitor.visit_map(Fields {
                rest: fields.into_iter(),
                current: None,
            }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        if self.0.is_null() {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_newtype_struct(self)
    }

    /// A word out of a list.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        words: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::String(word) if words.contains(&word.as_str()) => {
                visitor.visit_enum(de::value::StringDeserializer::new(word))
            }
            Value::String(word) => {
                let shown: String = word.chars().take(60).collect();
                Err(de::Error::custom(format!(
                    "\"{}\" is none of {}",
                    shown.escape_default(),
                    words.join(", ")
                )))
            }
            other => Err(de::Error::custom(format!("expected a string, got {}", kind(&other)))),
        }
    }

    /// Serde would take an array too, for the fields in the order of the source.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::Object(fields) => visitor.visit_map(Fields {
                rest: fields.into_iter(),
                current: None,
            }),
            other => Err(de::Error::custom(format!("expected an object, got {}", kind(&other)))),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

struct Items {
    rest: std::vec::IntoIter<Value>,
    next: usize,
}

impl<'de> SeqAccess<'de> for Items {
    type Error = Misfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Misfit> {
        let Some(value) = self.rest.next() else { return Ok(None) };
        let index = self.next;
        self.next += 1;
        seed.deserialize(Reader(value))
            .map(Some)
            .map_err(|e| e.at(Step::Index(index)))
    }
}

struct Fields {
    rest: <Map<String, Value> as IntoIterator>::IntoIter,
    current: Option<(String, Value)>,
}

impl<'de> MapAccess<'de> for Fields {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Misfit> {
        let Some((key, value)) = self.rest.next() else {
            return Ok(None);
        };
        self.current = Some((key.clone(), value));
        seed.deserialize(key.into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Misfit> {
        let (key, value) = self
            .current
            .take()
            .ok_or_else(|| de::Error::custom("a value without its key"))?;
        seed.deserialize(Reader(value)).map_err(|e| e.at(Step::Field(key)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Connect, CreateNetwork, CreateSandbox};

    type Refusal = fn(&str) -> String;

    fn refusal<T: DeserializeOwned + fmt::Debug>(body: &str) -> String {
        json::<T>(body.as_bytes()).unwrap_err().message
    }

    #[test]
    fn a_refusal_names_the_field_and_what_it_takes() {
        let table: &[(Refusal, &str, &str)] = &[
            (
                refusal::<CreateNetwork>,
                "",
                "the body is empty: expected a JSON object",
            ),
            (
                refusal::<CreateNetwork>,
                "{\"name\":",
                "the body is no JSON (line 1, column 8): expected a JSON object",
            ),
            (refusal::<CreateNetwork>, "[]", "expected an object, got an array"),
            (refusal::<CreateNetwork>, "{}", "the field \"name\" is missing"),
            (
                refusal::<CreateNetwork>,
                r#"{"name":5}"#,
                "name: expected a string, got integer `5`",
            ),
            (
                refusal::<CreateNetwork>,
                r#"{"name":"b","pools":[{},{"subnet":"10.0.0.7/24"}]}"#,
                "pools[1].subnet: 10.0.0.7/24 is an address inside a subnet, not a subnet: write 10.0.0.0/24",
            ),
            (
                refusal::<CreateNetwork>,
                r#"{"name":"b","pools":[{"subnt":"x"}]}"#,
                "pools[0]: unknown field \"subnt\", did you mean \"subnet\"? (known are subnet, range, gateway, auxiliary)",
            ),
            (
                refusal::<Connect>,
                r#"{"sandbox":"s","addresses":["10.0.0"]}"#,
                "addresses[0]: \"10.0.0\" is no IP address: expected one as 10.0.0.2 or fd00::2",
            ),
            (
                refusal::<Connect>,
                r#"{"sandbox":"s","interface":"sixteen-bytes-xx"}"#,
                "interface: \"sixteen-bytes-xx\" cannot name a link: it has 16 bytes, expected 1 to 15",
            ),
            (
                refusal::<Connect>,
                r#"{"sandbox":"s","publish":[{"container_port":80,"transport":"icmp"}]}"#,
                "publish[0].transport: \"icmp\" is none of tcp, udp, sctp",
            ),
            (
                refusal::<Connect>,
                r#"{"sandbox":"s","publish":[{"container_port":80,"host_port":70000}]}"#,
                "publish[0].host_port: expected u16, got integer `70000`",
            ),
            (
                refusal::<CreateSandbox>,
                r#"{"pid":-1}"#,
                "pid: expected u32, got integer `-1`",
            ),
        ];
        for (read, body, expected) in table {
            assert_eq!(&read(body), expected, "{body}");
        }
    }

    #[test]
    fn what_a_client_writes_is_read() {
        let body = r#"{"name":"b","driver":null,"ipv6":true,"pools":[{"subnet":"fd00::/64","auxiliary":[{"name":"r","address":"fd00::9"}]}],"options":{"a":"1"}}"#;
        let request: CreateNetwork = json(body.as_bytes()).unwrap();
        let again: CreateNetwork = json(&serde_json::to_vec(&request).unwrap()).unwrap();
        assert_eq!((again.pools, again.ipv6, again.options.len()), (request.pools, true, 1));
    }
}
