//! Under which names Docker finds what is loaded here.
//!
//! A component named acme is `acme`. A built-in driver, and a component with a name that Docker itself uses (`-d macvlan` is Docker's own),
//! has `jackfield-` before its name. Addresses alone are `jackfield`. Whoever was there first keeps a name: the built-in ones were.

use std::collections::BTreeMap;

/// Where networks of other drivers get their addresses.
pub const IPAM: &str = "jackfield";
/// What Docker takes for its own, on any system: a plugin of that name is never asked.
const DOCKERS: [&str; 14] = [
    "bridge",
    "container",
    "default",
    "host",
    "ics",
    "internal",
    "ipvlan",
    "l2bridge",
    "l2tunnel",
    "macvlan",
    "none",
    "null",
    "overlay",
    "transparent",
];
/// A container that is to have the host's own network has it without any driver's help.
const NOT_FOR_DOCKER: &str = "host";

/// Names for Docker, each with its driver; None: addresses alone.
pub type Names = BTreeMap<String, Option<String>>;

/// Names for all drivers, and in words which have none.
pub fn assign(built_in: &[String], components: &[String]) -> (Names, Vec<String>) {
    let mut names = Names::from([(IPAM.to_owned(), None)]);
    let own = built_in.iter().filter(|name| *name != NOT_FOR_DOCKER);
    names.extend(own.map(|name| (prefixed(name), Some(name.clone()))));
    let mut clashes = Vec::new();
    for driver in components {
        let name = if DOCKERS.contains(&driver.as_str()) {
            prefixed(driver)
        } else {
            driver.clone()
        };
        match names.get(&name) {
            Some(other) => clashes.push(clash(driver, &name, other.as_deref())),
            None => drop(names.insert(name, Some(driver.clone()))),
        }
    }
    (names, clashes)
}

/// Whether no other vendor's plugin can have that name: a host that looks for plugins finds its own sockets too.
pub fn is_own_name(name: &str) -> bool {
    name.strip_prefix(IPAM)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

fn prefixed(driver: &str) -> String {
    format!("jackfield-{driver}")
}

fn clash(driver: &str, name: &str, other: Option<&str>) -> String {
    let other = other.map_or_else(|| "the host's addresses".to_owned(), |other| format!("driver {other}"));
    format!(
        "Docker cannot use driver {driver}: it would be called {name} there, which is {other}; give it another name"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assigned(components: &[&str]) -> (Vec<String>, Vec<String>) {
        let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let (names, clashes) = assign(&owned(&["bridge", "host", "null"]), &owned(components));
        let shown = names
            .into_iter()
            .map(|(name, driver)| format!("{name}={}", driver.unwrap_or_default()));
        (shown.collect(), clashes)
    }

    #[test]
    fn every_driver_has_a_name_that_docker_leaves_free() {
        let (names, clashes) = assigned(&["acme", "macvlan"]);
        let expected = [
            "acme=acme",
            "jackfield=",
            "jackfield-bridge=bridge",
            "jackfield-macvlan=macvlan",
            "jackfield-null=null",
        ];
        assert_eq!(
            (names.as_slice(), clashes.len()),
            (expected.map(String::from).as_slice(), 0)
        );
    }

    #[test]
    fn a_name_that_is_taken_is_told_in_words() {
        let (names, clashes) = assigned(&["jackfield", "jackfield-bridge"]);
        assert_eq!(names.len(), 3);
        assert_eq!(
            clashes[0],
            "Docker cannot use driver jackfield: it would be called jackfield there, which is the host's addresses; give it another name"
        );
        assert!(clashes[1].contains("is driver bridge"), "{}", clashes[1]);
    }
}
