//! Options of the built-in bridge, as `--help` shows them: from the table that they are read by.

use std::fmt::Write;

use jackfield_controller::builtin::{Bridge, OptionHelp};

/// Those of a network.
pub(super) fn of_networks() -> String {
    listed("Options of the bridge driver, by -o:", Bridge::network_options())
}

/// Those of an endpoint.
pub(super) fn of_endpoints() -> String {
    listed("Options of the bridge driver, by -o:", Bridge::endpoint_options())
}

fn listed(title: &str, options: impl Iterator<Item = OptionHelp>) -> String {
    let mut text = title.to_owned();
    for OptionHelp {
        name,
        label,
        takes,
        help,
    } in options
    {
        let docker = label.map(|l| format!("\n          Docker's {l}")).unwrap_or_default();
        // Writing to a string does not fail.
        let _ = write!(text, "\n  {name}=<{takes}>\n          {help}{docker}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the README has them, between the heading and the next one.
    fn table() -> String {
        let mut table = "| option | Docker's label | takes | what it does |\n|---|---|---|---|\n".to_owned();
        for option in Bridge::network_options() {
            let label = option.label.map(|l| format!("`{l}`")).unwrap_or_default();
            let _ = writeln!(
                table,
                "| `{}` | {label} | {} | {} |",
                option.name, option.takes, option.help
            );
        }
        let names: Vec<String> = Bridge::endpoint_options().map(|o| format!("`{}`", o.name)).collect();
        let _ = writeln!(
            table,
            "\nAn endpoint has its own by `connect -o`: {}.",
            names.join(", ")
        );
        table
    }

    #[test]
    fn the_readmes_table_is_the_table() {
        let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).unwrap();
        let table = table();
        assert!(
            readme.contains(&table),
            "the options of the bridge have changed: put this into section \"Bridge options\" of README.md\n\n{table}"
        );
    }
}
