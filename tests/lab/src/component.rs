//! Drivers' components as files: where they were built, and the same one as a newer build.

use std::path::PathBuf;

use crate::{
    Result,
    error::{During, LabError},
};

/// What the operator grants the drivers of drivers/: what each asks for in its manifest, and no more.
pub const GRANTS: &str = r#"[ptp]
links = ["veth"]
neighbours = true
sysctls = ["ipv4/conf/forwarding", "ipv6/conf/force_forwarding"]

[macvlan]
links = ["macvlan"]
parents = ["up*"]

[bridge-component]
links = ["bridge", "veth"]
names = ["br-*"]
firewall = ["guard", "masquerade", "internal"]
sysctls = ["ipv4/conf/forwarding", "ipv6/conf/force_forwarding"]
"#;

/// The bytes of a driver of drivers/, from the folder that `cargo xtask` names in `JACKFIELD_DRIVERS`.
///
/// # Errors
/// When it has not been built: run by `cargo xtask test`.
pub fn read(driver: &str) -> Result<Vec<u8>> {
    let step = format!("read the component of {driver}; scenarios are run by `cargo xtask test`");
    let folder =
        std::env::var_os("JACKFIELD_DRIVERS").ok_or_else(|| LabError::new(&step, "JACKFIELD_DRIVERS is not set"))?;
    let file = PathBuf::from(folder).join(format!("jackfield_driver_{driver}.wasm"));
    std::fs::read(&file).during(&step)
}

/// The same component as a newer build would be: its manifest says another version of the same length, so its digest differs as well.
///
/// # Errors
/// When the manifest has no `version = "..."` of that length.
pub fn with_version(bytes: &[u8], version: &str) -> Result<Vec<u8>> {
    let key = b"version = \"";
    let mut changed = bytes.to_vec();
    let mut found = 0;
    // Linking may leave a second copy of the manifest's text among the module's data; the two have to agree.
    for at in (0..bytes.len().saturating_sub(key.len())).filter(|at| bytes[*at..].starts_with(key)) {
        let value = at + key.len();
        let length = bytes[value..].iter().position(|b| *b == b'"').unwrap_or(0);
        if length == version.len() {
            changed[value..value + length].copy_from_slice(version.as_bytes());
            found += 1;
        }
    }
    if found == 0 {
        let problem = format!("its manifest has no version of {} bytes", version.len());
        return Err(LabError::new("change the version of a component", problem));
    }
    Ok(changed)
}
