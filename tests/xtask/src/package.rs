//! The Debian package: programs, manual pages, completions, units, and the links by which runtimes know the small programs.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use crate::{
    build::{self, Profile, cargo, run, target_folder},
    failure::Failure,
};

/// What the small programs are called where runtimes look, and where they are.
const LINKS: [(&str, &str); 2] = [
    ("cni", "../jackfield/jackfield-cni"),
    ("netavark", "../jackfield/jackfield-netavark"),
];
const SHIMS: [&str; 2] = ["jackfield-cni", "jackfield-netavark"];
const SHELLS: [&str; 3] = ["bash", "fish", "zsh"];

/// Makes the package; its path is printed by cargo-deb, which is installed where it is missing.
pub fn make() -> Result<(), Failure> {
    build::host(Profile::Release)?;
    let (folder, shims) = (target_folder().join("release/package"), build::shims()?);
    prepare(&folder)?;
    for shim in SHIMS {
        let path = folder.join("bin").join(shim);
        fs::copy(shims.join(shim), &path).map_err(|cause| failed(&path, cause))?;
    }
    if !cargo()
        .args(["deb", "--version"])
        .output()
        .is_ok_and(|output| output.status.success())
    {
        run(cargo().args(["install", "cargo-deb", "--locked"]))?;
    }
    run(cargo().args(["deb", "--package", "jackfield", "--no-build", "--strip"]))
}

/// What the package has besides programs.
fn prepare(folder: &Path) -> Result<(), Failure> {
    let program = target_folder().join("release/jackfield");
    let _ = fs::remove_dir_all(folder);
    for part in ["bin", "completions", "links"] {
        fs::create_dir_all(folder.join(part)).map_err(|cause| failed(folder, cause))?;
    }
    run(Command::new(&program).arg("manual-pages").arg(folder.join("man")))?;
    for shell in SHELLS {
        let output = Command::new(&program).args(["completions", shell]).output();
        let script = output.map_err(|cause| failed(&program, cause))?.stdout;
        let path = folder.join(format!("completions/jackfield.{shell}"));
        fs::write(&path, script).map_err(|cause| failed(&path, cause))?;
    }
    for (name, target) in LINKS {
        let path = folder.join("links").join(name);
        symlink(target, &path).map_err(|cause| failed(&path, cause))?;
    }
    Ok(())
}

fn failed(path: &Path, cause: std::io::Error) -> Failure {
    Failure::Start {
        command: format!("prepare {}", path.display()),
        cause,
    }
}
