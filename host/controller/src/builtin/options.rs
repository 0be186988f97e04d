//! Options of the built-in drivers: a table of those that there are. From it come typed values at the door, the refusal of what nobody knows,
//! and the help.

use std::str::FromStr;

use jackfield_model::{Error, Options, Result, unknown_key};

/// One option of a driver, as help shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionHelp {
    /// Its name.
    pub name: &'static str,
    /// Docker's label for it, where Docker has it.
    pub label: Option<&'static str>,
    /// What it takes, as it reads after "expected".
    pub takes: &'static str,
    /// What it does.
    pub help: &'static str,
}

/// One option, and how its text becomes a part of `S`.
#[derive(Debug)]
pub struct Known<S> {
    /// Names and help.
    pub about: OptionHelp,
    /// Puts the value of the text in its place; None when the text is none.
    pub read: fn(&mut S, &str) -> Option<()>,
}

impl<S: Clone + Default + PartialEq> Known<S> {
    /// Reads this option, if it is given, under either of its names.
    fn read_into(&self, values: &mut S, what: &str, options: &Options) -> Result<()> {
        let OptionHelp { name, label, takes, .. } = self.about;
        let given = |key: &'static str| options.get(key).map(|text| (key, text.as_str()));
        let (short, long) = (given(name), label.and_then(given));
        if let (Some((_, a)), Some((label, b))) = (short, long)
            && self.value(a) != self.value(b)
        {
            return Err(Error::invalid(format!(
                "{what} {name} is \"{}\", and as {label} it is \"{}\": expected one of them, or the same twice",
                a.escape_default(),
                b.escape_default()
            )));
        }
        let Some((key, text)) = short.or(long) else {
            return Ok(());
        };
        (self.read)(values, text).ok_or_else(|| {
            Error::invalid(format!(
                "{what} {key}={} is not understood: expected {takes}",
                text.escape_default()
            ))
        })
    }

    /// What that text alone makes; None where it is not understood.
    fn value(&self, text: &str) -> Option<S> {
        let mut value = S::default();
        (self.read)(&mut value, text)?;
        Some(value)
    }
}

/// All options that are given, as values.
///
/// # Errors
/// invalid-argument for an option that is not in the table, one that is not understood, and one that is given twice in different ways.
pub fn read<S: Clone + Default + PartialEq>(what: &str, known: &[Known<S>], options: &Options) -> Result<S> {
    let names: Vec<&str> = known.iter().map(|k| k.about.name).collect();
    let labels: Vec<&str> = known.iter().filter_map(|k| k.about.label).collect();
    for key in options.keys().map(String::as_str) {
        if !names.contains(&key) && !labels.contains(&key) {
            // Whoever writes labels is told the labels.
            let list = if key.starts_with("com.docker.") {
                &labels
            } else {
                &names
            };
            return Err(unknown_key(what, key, list));
        }
    }
    let mut values = S::default();
    known
        .iter()
        .try_for_each(|known| known.read_into(&mut values, what, options))?;
    Ok(values)
}

/// Refuses every option: for drivers that have none.
pub fn refuse_all(what: &str, options: &Options) -> Result<()> {
    options
        .keys()
        .next()
        .map_or(Ok(()), |key| Err(unknown_key(what, key, &[])))
}

/// A value that its type reads.
pub fn value<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

/// `true` or `false`, as people write them.
pub fn flag(text: &str) -> Option<bool> {
    match text {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// What [`flag`] takes.
pub const FLAG: &str = "true or false";

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, Default, PartialEq)]
    struct Settings {
        size: Option<u32>,
        loud: Option<bool>,
    }

    const KNOWN: [Known<Settings>; 2] = [
        Known {
            about: OptionHelp {
                name: "size",
                label: Some("com.docker.network.size"),
                takes: "a number",
                help: "How large",
            },
            read: |s, text| {
                s.size = Some(value(text)?);
                Some(())
            },
        },
        Known {
            about: OptionHelp {
                name: "loud",
                label: Some("com.docker.network.loud"),
                takes: FLAG,
                help: "How loud",
            },
            read: |s, text| {
                s.loud = Some(flag(text)?);
                Some(())
            },
        },
    ];

    fn given(pairs: &[(&str, &str)]) -> Result<Settings> {
        let options = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        read("option", &KNOWN, &options)
    }

    #[test]
    fn an_option_is_read_under_either_of_its_names() {
        let expected = Settings {
            size: Some(5),
            loud: Some(true),
        };
        for pairs in [
            [("size", "5"), ("loud", "true")],
            [("com.docker.network.size", "5"), ("com.docker.network.loud", "1")],
        ] {
            assert_eq!(given(&pairs).unwrap(), expected, "{pairs:?}");
        }
        assert_eq!(given(&[]).unwrap(), Settings::default());
    }

    #[test]
    fn both_names_at_once_have_to_mean_the_same() {
        let both = |a, b| given(&[("loud", a), ("com.docker.network.loud", b)]);
        assert_eq!(both("yes", "1").unwrap().loud, Some(true));
        let refused = both("yes", "0").unwrap_err().message;
        assert!(
            refused.contains("loud is \"yes\", and as com.docker.network.loud it is \"0\""),
            "{refused}"
        );
    }

    #[test]
    fn what_is_not_known_or_not_understood_is_refused_with_what_was_expected() {
        for (key, text, says) in [
            ("siez", "5", "did you mean \"size\"? (known are size, loud)"),
            ("colour", "blue", "unknown option \"colour\" (known are size, loud)"),
            (
                "com.docker.network.luod",
                "1",
                "did you mean \"com.docker.network.loud\"?",
            ),
            ("size", "big\n", "size=big\\n is not understood: expected a number"),
            ("com.docker.network.loud", "maybe", "expected true or false"),
        ] {
            let message = given(&[(key, text)]).unwrap_err().message;
            assert!(message.contains(says), "{message}");
        }
    }
}
