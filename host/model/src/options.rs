//! Options and labels: keys and values as the user gave them, and the refusal of a key that nobody knows.

use std::collections::BTreeMap;

use crate::Error;

/// Options or labels, in the order of their keys. What a driver does not know it refuses; nothing is ever dropped in silence.
pub type Options = BTreeMap<String, String>;

/// A key that is known, and what it does, for refusals and help.
#[derive(Clone, Copy, Debug)]
pub struct KeyHelp {
    /// The key.
    pub key: &'static str,
    /// What it takes and does, in a few words.
    pub help: &'static str,
}

/// The refusal of `key`: the nearest known key where one is near, and all the known ones.
pub fn unknown_key(what: &str, key: &str, known: &[&str]) -> Error {
    let hint = nearest(key, known)
        .map(|near| format!(", did you mean \"{near}\"?"))
        .unwrap_or_default();
    let list = if known.is_empty() {
        "none is known here".to_owned()
    } else {
        format!("known are {}", known.join(", "))
    };
    Error::invalid(format!("unknown {what} \"{}\"{hint} ({list})", key.escape_default()))
}

/// The known word that the given one is most likely a slip of, if any is near.
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let (best, distance) = known.iter().map(|k| (*k, distance(word, k))).min_by_key(|(_, d)| *d)?;
    (distance <= 1 + word.len() / 4).then_some(best)
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

    #[test]
    fn a_slip_is_answered_with_the_word_meant() {
        let known = ["mtu", "mode", "parent"];
        let cases = [
            ("mod", Some("mode")),
            ("parnet", Some("parent")),
            ("mtuu", Some("mtu")),
            ("colour", None),
        ];
        for (word, meant) in cases {
            assert_eq!(nearest(word, &known), meant, "{word}");
        }
        assert_eq!(
            unknown_key("option", "mdoe2", &[]).message,
            "unknown option \"mdoe2\" (none is known here)"
        );
    }
}
