//! Per-link sysctls: files below /proc/sys/net, which show the namespace of whoever opens them.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs, io,
    path::{Path, PathBuf},
};

use jackfield_model::Family;
use nix::errno::Errno;

use super::{Linux, describe, netns, read};
use crate::{
    KernelError, Namespace, Request, Result,
    compile::DEAF,
    plan::{Ifindex, SysctlKey, SysctlTable},
};

const ROOT: &str = "/proc/sys/net";
/// The folders that hold one folder a link.
const TABLES: [&str; 4] = ["ipv4/conf", "ipv4/neigh", "ipv6/conf", "ipv6/neigh"];

/// See [`crate::Kernel::sysctl`].
pub(super) fn read(linux: &Linux, namespace: &Namespace, index: Ifindex, key: &SysctlKey) -> Result<Option<String>> {
    let name = read::link_name(linux, namespace, index)?;
    let path = path(name.as_deref(), index, key, "read sysctl")?;
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

/// A value to write.
pub(super) struct Write<'a> {
    index: Ifindex,
    key: &'a SysctlKey,
    value: &'a str,
}

/// The writes that the requests begin with.
pub(super) fn leading_writes(requests: &[Request]) -> Vec<Write<'_>> {
    let leading = requests.iter().map_while(|request| match request {
        Request::WriteSysctl { index, key, value } => Some(Write {
            index: *index,
            key,
            value,
        }),
        _ => None,
    });
    leading.collect()
}

/// Writes the values, with the namespace entered once for all.
///
/// # Errors
/// The outer one: the namespace cannot be entered or asked.
pub(super) fn write_all(linux: &Linux, namespace: &Namespace, writes: &[Write<'_>]) -> Result<Vec<Result<()>>> {
    let mut names = BTreeMap::new();
    for write in writes {
        if let Entry::Vacant(unknown) = names.entry(write.index) {
            unknown.insert(read::link_name(linux, namespace, write.index)?);
        }
    }
    let name = |index| names.get(&index).and_then(|name| name.as_deref());
    netns::within(namespace, || writes.iter().map(|w| w.write(name(w.index))).collect())
}

impl Write<'_> {
    /// Writes it. The file must be there: writing to a name that does not exist makes none.
    fn write(&self, link: Option<&str>) -> Result<()> {
        const OPERATION: &str = "write sysctl";
        let path = path(link, self.index, self.key, OPERATION)?;
        let written = fs::OpenOptions::new()
            .write(true)
            .open(path)
            .and_then(|mut file| write_once(&mut file, self.value));
        let object = || describe::sysctl(self.index, self.key);
        written.map_err(|cause| match cause.raw_os_error().map(Errno::from_raw) {
            Some(errno) => KernelError::Refused {
                operation: OPERATION,
                object: object(),
                errno,
            },
            None => KernelError::System {
                operation: OPERATION,
                object: object(),
                cause,
            },
        })
    }
}

/// Links that the calling thread's namespace gets from now on hear no router advertisements; without IPv6 they do not anyway.
pub(super) fn deafen() -> io::Result<()> {
    let file = fs::OpenOptions::new()
        .write(true)
        .open(Path::new(ROOT).join(TABLES[2]).join("default/accept_ra"));
    match file {
        Ok(mut file) => write_once(&mut file, DEAF),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
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

/// The file of a key, given the name that the link has now.
fn path(link: Option<&str>, index: Ifindex, key: &SysctlKey, operation: &'static str) -> Result<PathBuf> {
    let object = || describe::sysctl(index, key);
    if key.key.is_empty() || !key.key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        let problem = "expected a plain word as its key".to_owned();
        return Err(KernelError::Malformed {
            operation,
            object: object(),
            problem,
        });
    }
    let link = link.ok_or_else(|| KernelError::Refused {
        operation,
        object: object(),
        errno: Errno::ENODEV,
    })?;
    Ok(Path::new(ROOT).join(folder(key)).join(link).join(&key.key))
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
