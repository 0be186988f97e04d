//! The driver that a program's own name says: a runtime finds its plugins by the names of files, so a link is how a driver gets one.

use std::{ffi::OsStr, path::Path};

/// The names that say nothing of a driver.
const PLAIN: [&str; 3] = ["jackfield", "jackfield-cni", "jackfield-netavark"];

/// `ptp` for a link called `ptp` or `jackfield-ptp`; None for the programs' own names.
pub fn by_name(program: &OsStr) -> Option<String> {
    let name = Path::new(program).file_name()?.to_str()?;
    if PLAIN.contains(&name) {
        return None;
    }
    Some(name.strip_prefix("jackfield-").unwrap_or(name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_says_the_driver() {
        for (program, driver) in [
            ("/opt/cni/bin/jackfield-cni", None),
            ("jackfield", None),
            ("/usr/lib/netavark/jackfield-netavark", None),
            ("/opt/cni/bin/jackfield-bridge", Some("bridge")),
            ("ptp", Some("ptp")),
            ("/", None),
        ] {
            assert_eq!(by_name(OsStr::new(program)).as_deref(), driver, "{program}");
        }
    }
}
