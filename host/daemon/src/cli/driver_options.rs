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
