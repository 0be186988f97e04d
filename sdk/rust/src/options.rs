//! Options as the user gave them, made typed at the door: a key that the driver does not know is refused with the one that was meant.

use std::str::FromStr;

use crate::{Error, Result};

/// Keys and values as text.
pub type Pairs = Vec<(String, String)>;

/// A key that a driver takes, and what it takes there.
#[derive(Clone, Copy, Debug)]
pub struct Takes {
    key: &'static str,
    what: &'static str,
}

impl Takes {
    /// As `Takes::new("mtu", "bytes, 68 to 65535")`.
    pub const fn new(key: &'static str, what: &'static str) -> Self {
        Self { key, what }
    }
}

/// Options of which every key is known.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    pairs: &'a [(String, String)],
    known: &'a [Takes],
}

impl<'a> Options<'a> {
    /// Checks the keys.
    ///
    /// # Errors
    /// invalid-argument for an unknown key, with the nearest known one and the list of all.
    pub fn read(pairs: &'a [(String, String)], known: &'a [Takes]) -> Result<Self> {
        match pairs
            .iter()
            .find(|(key, _)| !known.iter().any(|takes| takes.key == key))
        {
            Some((key, _)) => Err(unknown(key, known)),
            None => Ok(Self { pairs, known }),
        }
    }

    /// The value as it was given.
    pub fn text(&self, key: &str) -> Option<&'a str> {
        self.pairs
            .iter()
            .find(|(k, _)| k == key)
            .map(|(_, value)| value.as_str())
    }

    /// The value, read as a `T`; None when the option was not given.
    ///
    /// # Errors
    /// invalid-argument, saying what the option takes.
    pub fn get<T: FromStr>(&self, key: &str) -> Result<Option<T>> {
        let Some(text) = self.text(key) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| self.refuse(key))
    }

    /// The same for an option that has to be given.
    ///
    /// # Errors
    /// invalid-argument when it is not, or is not a `T`.
    pub fn require<T: FromStr>(&self, key: &str) -> Result<T> {
        self.get(key)?
            .ok_or_else(|| Error::invalid(format!("the option {key} is needed: {}", self.what(key))))
    }

    /// The refusal of the value that was given for a key, for checks of the driver's own.
    pub fn refuse(&self, key: &str) -> Error {
        let shown: String = self.text(key).unwrap_or_default().chars().take(64).collect();
        Error::invalid(format!(
            "the option {key} is \"{}\", expected {}",
            shown.escape_default(),
            self.what(key)
        ))
    }

    fn what(&self, key: &str) -> &'static str {
        self.known
            .iter()
            .find(|takes| takes.key == key)
            .map_or("nothing", |takes| takes.what)
    }
}

fn unknown(key: &str, known: &[Takes]) -> Error {
    let shown: String = key.chars().take(64).collect();
    let hint = nearest(key, known)
        .map(|near| format!(", did you mean \"{near}\"?"))
        .unwrap_or_default();
    let list: Vec<String> = known
        .iter()
        .map(|takes| format!("{} ({})", takes.key, takes.what))
        .collect();
    let list = if list.is_empty() {
        "this driver takes none".to_owned()
    } else {
        format!("known are {}", list.join(", "))
    };
    Error::invalid(format!("unknown option \"{}\"{hint}: {list}", shown.escape_default()))
}

/// The known key that the given one is most likely a slip of.
fn nearest(key: &str, known: &[Takes]) -> Option<&'static str> {
    if key.len() > 64 {
        return None;
    }
    let (best, distance) = known
        .iter()
        .map(|takes| (takes.key, distance(key, takes.key)))
        .min_by_key(|(_, d)| *d)?;
    (distance <= 1 + key.len() / 4).then_some(best)
}

/// Levenshtein's distance, in bytes.
fn distance(a: &str, b: &str) -> usize {
    let b = b.as_bytes();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let next = (corner + usize::from(x != *y)).min(row[j] + 1).min(row[j + 1] + 1);
            corner = std::mem::replace(&mut row[j + 1], next);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[Takes] = &[
        Takes::new("mtu", "bytes, 68 to 65535"),
        Takes::new("mode", "bridge or private"),
    ];

    fn pairs(pairs: &[(&str, &str)]) -> Pairs {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn values_become_typed() {
        let given = pairs(&[("mtu", "1400")]);
        let options = Options::read(&given, KNOWN).unwrap();
        assert_eq!(options.get::<u32>("mtu").unwrap(), Some(1400));
        assert_eq!(options.get::<String>("mode").unwrap(), None);
        assert_eq!(
            options.require::<String>("mode").unwrap_err().message,
            "the option mode is needed: bridge or private"
        );
    }

    #[test]
    fn slips_are_answered_with_what_was_meant() {
        let refused = |p: &[(&str, &str)]| Options::read(&pairs(p), KNOWN).unwrap_err().message;
        assert_eq!(
            refused(&[("mod", "bridge")]),
            "unknown option \"mod\", did you mean \"mode\"?: known are mtu (bytes, 68 to 65535), mode (bridge or private)"
        );
        assert!(refused(&[("colour", "red")]).starts_with("unknown option \"colour\": known are"));
        let given = pairs(&[("mtu", "big")]);
        let error = Options::read(&given, KNOWN).unwrap().get::<u32>("mtu").unwrap_err();
        assert_eq!(error.message, "the option mtu is \"big\", expected bytes, 68 to 65535");
    }
}
