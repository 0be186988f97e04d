//! Where things are, when nobody says.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

/// Where the host keeps and finds things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// Boot-long state, on tmpfs.
    pub run_dir: PathBuf,
    /// Durable state.
    pub state_dir: PathBuf,
    /// What the operator grants to drivers.
    pub grants: PathBuf,
}

impl Places {
    /// For root the system's folders, for others the user's own (XDG base directories).
    pub fn of_this_user() -> Self {
        Self::decide(nix::unistd::geteuid().is_root(), |key| std::env::var_os(key))
    }

    fn decide(root: bool, environment: impl Fn(&str) -> Option<OsString>) -> Self {
        if root {
            return Self {
                run_dir: "/run/jackfield".into(),
                state_dir: "/var/lib/jackfield".into(),
                grants: "/etc/jackfield/grants.toml".into(),
            };
        }
        let home = environment("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from);
        let folder = |key: &str, otherwise: &str| {
            environment(key)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
                .unwrap_or_else(|| home.join(otherwise))
        };
        Self {
            run_dir: folder("XDG_RUNTIME_DIR", ".cache").join("jackfield"),
            state_dir: folder("XDG_STATE_HOME", ".local/state").join("jackfield"),
            grants: folder("XDG_CONFIG_HOME", ".config").join("jackfield/grants.toml"),
        }
    }
}

/// The socket, beside the boot-long state.
pub fn socket_in(run_dir: &Path) -> PathBuf {
    run_dir.join("jackfield.sock")
}

/// Where shims reach the host, beside its other socket.
pub fn shim_socket_beside(socket: &Path) -> PathBuf {
    socket.with_file_name("shim.sock")
}

/// Docker's plugin folder, where Docker is installed and this host is the machine's own: one that was given a folder of its own is a
/// second one, or a trial.
pub fn docker_plugins(machines_own: bool) -> Option<PathBuf> {
    const SIGNS: [&str; 4] = ["/run/docker", "/etc/docker", "/usr/bin/dockerd", "/usr/sbin/dockerd"];
    let installed = || SIGNS.iter().any(|sign| Path::new(sign).exists());
    let served = machines_own && nix::unistd::geteuid().is_root() && installed();
    served.then(|| "/run/docker/plugins".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_has_the_systems_folders_and_a_user_his_own() {
        let nothing = |_: &str| None;
        assert_eq!(
            socket_in(&Places::decide(true, nothing).run_dir),
            Path::new("/run/jackfield/jackfield.sock")
        );
        let user = |key: &str| match key {
            "HOME" => Some("/home/ada".into()),
            "XDG_RUNTIME_DIR" => Some("/run/user/7".into()),
            "XDG_STATE_HOME" => Some("relative/is/ignored".into()),
            _ => None,
        };
        let places = Places::decide(false, user);
        assert_eq!(places.run_dir, Path::new("/run/user/7/jackfield"));
        assert_eq!(places.state_dir, Path::new("/home/ada/.local/state/jackfield"));
        assert_eq!(places.grants, Path::new("/home/ada/.config/jackfield/grants.toml"));
    }
}
