//! How grants are matched, and how a line of the grants file is written.

use std::fmt::Display;

use jackfield_model::IpNetwork;

/// Whether a granted pattern covers a word, or another pattern: `*` at its end stands for any rest.
pub(crate) fn covers(granted: &[String], wanted: &str) -> bool {
    granted.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(prefix) => wanted.starts_with(prefix),
        None => pattern == wanted,
    })
}

/// Whether one of the granted networks holds all of the wanted one.
pub(crate) fn covers_network<'a>(granted: impl IntoIterator<Item = &'a IpNetwork>, wanted: &IpNetwork) -> bool {
    granted.into_iter().any(|granted| match (granted, wanted) {
        (IpNetwork::V4(g), IpNetwork::V4(w)) => w.is_subnet_of(*g),
        (IpNetwork::V6(g), IpNetwork::V6(w)) => w.is_subnet_of(*g),
        _ => false,
    })
}

/// The line that grants `wanted` besides what is granted already, as TOML.
pub(crate) fn line<W: Display>(key: &str, granted: &[impl Display], wanted: impl IntoIterator<Item = W>) -> String {
    let mut words: Vec<String> = granted.iter().map(quoted).collect();
    for word in wanted {
        let word = quoted(word);
        if !words.contains(&word) {
            words.push(word);
        }
    }
    format!("{key} = [{}]", words.join(", "))
}

/// A TOML string: what a driver asked for may hold quotes and line ends.
fn quoted(word: impl Display) -> String {
    toml::Value::String(word.to_string()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_at_the_end_stands_for_any_rest_and_covers_narrower_patterns() {
        let granted = ["eth0".to_owned(), "wan*".to_owned()];
        for (word, covered) in [
            ("eth0", true),
            ("eth01", false),
            ("wan", true),
            ("wan1", true),
            ("wan1*", true),
            ("w*", false),
            ("*", false),
        ] {
            assert_eq!(covers(&granted, word), covered, "{word}");
        }
        assert!(covers(&["*".to_owned()], "anything"));
    }

    #[test]
    fn a_network_is_covered_by_itself_and_by_wider_ones_of_its_family() {
        let granted: Vec<IpNetwork> = ["10.0.0.0/16", "fd00::/64"]
            .iter()
            .map(|n| n.parse().unwrap())
            .collect();
        for (network, covered) in [
            ("10.0.0.0/16", true),
            ("10.0.7.1/32", true),
            ("10.0.0.0/8", false),
            ("10.1.0.0/24", false),
            ("fd00::7/128", true),
            ("::/0", false),
            ("0.0.0.0/0", false),
        ] {
            assert_eq!(
                covers_network(&granted, &network.parse().unwrap()),
                covered,
                "{network}"
            );
        }
    }

    #[test]
    fn the_line_keeps_what_was_granted_and_quotes_what_is_hostile() {
        let granted = ["eth0".to_owned()];
        assert_eq!(line("parents", &granted, ["eth1"]), r#"parents = ["eth0", "eth1"]"#);
        assert_eq!(line("parents", &granted, ["eth0"]), r#"parents = ["eth0"]"#);
        let hostile = line("names", &[] as &[String], ["a\"]\nrules = true #"]);
        let parsed: toml::Table = hostile.parse().unwrap();
        assert_eq!(parsed.len(), 1);
    }
}
