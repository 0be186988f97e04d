//! Per-link sysctls: files below /proc/sys/net, which show the namespace of whoever opens them.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use jackfield_model::Family;
use nix::errno::Errno;

use super::{Linux, describe, netns, read};
use crate::{
    KernelError, Namespace, Result,
    plan::{Ifindex, SysctlKey, SysctlTable},
};

const ROOT: &str = "/proc/sys/net";
/// The folders that hold one folder a link.
const TABLES: [&str; 4] = ["ipv4/conf", "ipv4/neigh", "ipv6/conf", "ipv6/neigh"];

/// See [`crate::Kernel::sysctl`].
pub(super) fn read(linux: &Linux, namespace: &Namespace, index: Ifindex, key: &SysctlKey) -> Result<Option<String>> {
    let path = path(linux, namespace, index, key, "read sysctl")?;
    match netns::within(namespace, || fs::read_to_string(path))? {
        Ok(value) => Ok(Some(value.trim_end().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(KernelError::System {
            operation: "read sysctl",
            object: describe::sysctl(index, key),
            cause,
        }),
    }
}

/// Writes a value. The file must be there: writing to a name that does not exist makes none.
pub(super) fn write(linux: &Linux, namespace: &Namespace, index: Ifindex, key: &SysctlKey, value: &str) -> Result<()> {
    let path = path(linux, namespace, index, key, "write sysctl")?;
    let object = || describe::sysctl(index, key);
    let written = netns::within(namespace, || {
        fs::OpenOptions::new()
            .write(true)
            .open(path)
            .and_then(|mut f| write_once(&mut f, value))
    })?;
    written.map_err(|cause| match cause.raw_os_error() {
        Some(errno) => KernelError::Refused {
            operation: "write sysctl",
            object: object(),
            errno: Errno::from_raw(errno),
        },
        None => KernelError::System {
            operation: "write sysctl",
            object: object(),
            cause,
        },
    })
}

/// A sysctl takes its value in one write.
fn write_once(file: &mut fs::File, value: &str) -> io::Result<()> {
    let written = io::Write::write(file, value.as_bytes())?;
    if written == value.len() {
        Ok(())
    } else {
        Err(io::ErrorKind::WriteZero.into())
    }
}

fn path(
    linux: &Linux,
    namespace: &Namespace,
    index: Ifindex,
    key: &SysctlKey,
    operation: &'static str,
) -> Result<PathBuf> {
    let object = || describe::sysctl(index, key);
    if key.key.is_empty() || !key.key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Err(KernelError::Malformed {
            operation,
            object: object(),
            problem: "expected a plain word as its key".to_owned(),
        });
    }
    let name = read::link_name(linux, namespace, index)?;
    let name = name.ok_or_else(|| KernelError::Refused {
        operation,
        object: object(),
        errno: Errno::ENODEV,
    })?;
    Ok(Path::new(ROOT).join(folder(key)).join(name).join(&key.key))
}

fn folder(key: &SysctlKey) -> &'static str {
    match (key.family, key.table) {
        (Family::Ipv4, SysctlTable::Conf) => TABLES[0],
        (Family::Ipv4, SysctlTable::Neigh) => TABLES[1],
        (Family::Ipv6, SysctlTable::Conf) => TABLES[2],
        (Family::Ipv6, SysctlTable::Neigh) => TABLES[3],
    }
}

/// All per-link sysctls, as `ipv4/conf/eth0/proxy_arp`.
pub(super) fn dump(namespace: &Namespace) -> Result<BTreeMap<String, String>> {
    let all = netns::within(namespace, || {
        let mut all = BTreeMap::new();
        TABLES
            .iter()
            .try_for_each(|table| collect_table(table, &mut all))
            .map(|()| all)
    })?;
    all.map_err(|cause| KernelError::System {
        operation: "read the sysctls of",
        object: namespace.id().to_string(),
        cause,
    })
}

fn collect_table(table: &str, all: &mut BTreeMap<String, String>) -> io::Result<()> {
    for link in entries(&Path::new(ROOT).join(table))? {
        // `all` and `default` belong to no link, and no plan can change them.
        if link == "all" || link == "default" {
            continue;
        }
        for key in entries(&Path::new(ROOT).join(table).join(&link))? {
            let name = format!("{table}/{link}/{key}");
            // Some keys can only be written, or cannot be read before they are (stable_secret); a link may also just have gone.
            if let Ok(value) = fs::read_to_string(Path::new(ROOT).join(&name)) {
                all.insert(name, value.trim_end().to_owned());
            }
        }
    }
    Ok(())
}

/// The names in a folder; none when it is not there, as without IPv6.
fn entries(folder: &Path) -> io::Result<Vec<String>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries
            .map(|e| e.map(|e| e.file_name().to_string_lossy().into_owned()))
            .collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
