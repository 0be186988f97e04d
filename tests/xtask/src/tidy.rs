//! What the compiler cannot check: the architecture's rules, as a walk over the tree.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{build::root, failure::Failure};

/// Longest source file, in lines; beyond that a file has more than one idea.
const LONGEST: usize = 700;

/// A rule: files that it holds for, what may not stand in them, and why.
struct Rule {
    holds: fn(&str) -> bool,
    word: &'static str,
    why: &'static str,
}

const RULES: [Rule; 4] = [
    Rule {
        // In the SDK it is what the bindings' generator writes, for the guest's side alone.
        holds: |p| {
            !["host/kernel/", "host/wasm/", "tests/", "sdk/rust/src/lib.rs"]
                .iter()
                .any(|f| p.starts_with(f))
        },
        word: "allow(unsafe_code)",
        why: "unsafe stands in the kernel crate, and in one module of the wasm crate, only",
    },
    Rule {
        holds: |p| p.starts_with("host/") && !p.starts_with("host/wasm/"),
        word: "wasmtime::",
        why: "only the wasm crate knows the engine",
    },
    Rule {
        holds: |p| p.starts_with("host/controller/") || p.starts_with("host/driver/") || p.starts_with("host/model/"),
        word: "netlink_packet",
        why: "only the kernel crate speaks netlink",
    },
    Rule {
        holds: |p| p.starts_with("drivers/") && p.ends_with("lib.rs"),
        word: "jackfield_kernel",
        why: "drivers stand on nothing but the SDK",
    },
];

/// Checks every source file.
pub fn check() -> Result<(), Failure> {
    let top = root();
    let mut problems = Vec::new();
    for file in sources(&top) {
        let text = fs::read_to_string(&file).map_err(|cause| Failure::Told(format!("{}: {cause}", file.display())))?;
        let name = file.strip_prefix(&top).unwrap_or(&file).to_string_lossy().into_owned();
        problems.extend(look_at(&name, &text));
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Failure::Told(format!(
            "the tree is not tidy\n  {}",
            problems.join("\n  ")
        )))
    }
}

fn look_at(name: &str, text: &str) -> Vec<String> {
    let lines = text.lines().count();
    let long =
        (lines > LONGEST).then(|| format!("{name}: {lines} lines, expected at most {LONGEST}: split it by idea"));
    let own = name == "tests/xtask/src/tidy.rs";
    let broken = RULES
        .iter()
        .filter(|r| !own && (r.holds)(name) && text.contains(r.word));
    long.into_iter()
        .chain(broken.map(|r| format!("{name}: {:?}: {}", r.word, r.why)))
        .collect()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files = Vec::new();
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() && name != "target" && !name.to_string_lossy().starts_with('.') {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_tidy() {
        assert_eq!(check().map_err(|f| f.to_string()), Ok(()));
    }

    #[test]
    fn a_broken_rule_and_a_long_file_are_told() {
        assert_eq!(
            look_at("host/controller/src/x.rs", "use netlink_packet_route::x;").len(),
            1
        );
        assert_eq!(look_at("host/kernel/src/x.rs", "use netlink_packet_route::x;").len(), 0);
        assert_eq!(look_at("host/kernel/src/x.rs", &"\n".repeat(LONGEST + 1)).len(), 1);
    }
}
