//! The files of a sandbox for /etc: resolv.conf, hosts and hostname. What a user writes into them stays.
//!
//! ```text
//!   resolv.conf   ours as long as it carries our seal over its own content; else the user's, and never touched again
//!   hosts         a block of ours between two marks is kept up to date; without the marks it is the user's
//!   hostname      written once
//! ```
//! They are written in place: a file that is mounted over another is that very file, and a new one under its name would not be seen.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, OpenOptions, Permissions},
    io::{self, Write},
    net::{IpAddr, Ipv4Addr},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use jackfield_model::{DnsName, DnsSettings, EndpointId, SandboxId};
use sha2::{Digest, Sha256};

use crate::{ADDRESS, resolv_conf::ResolvConf};

/// Names of the files, each for the one of that name in /etc.
pub const RESOLV_CONF: &str = "resolv.conf";
/// See [`RESOLV_CONF`].
pub const HOSTS: &str = "hosts";
/// See [`RESOLV_CONF`].
pub const HOSTNAME: &str = "hostname";

const SEAL: &str = "# Written by jackfield; whoever changes anything below has it to himself. Seal ";
const BEGIN: &str = "# jackfield keeps the lines from here";
const END: &str = "# to here";

/// The files of all sandboxes, below one folder.
#[derive(Debug)]
pub struct Files {
    root: PathBuf,
    known: Mutex<HashMap<SandboxId, Known>>,
}

#[derive(Debug)]
struct Known {
    hostname: DnsName,
    settings: DnsSettings,
    addresses: BTreeMap<EndpointId, Vec<IpAddr>>,
}

impl Files {
    /// Below that folder.
    pub fn below(root: PathBuf) -> Self {
        Self {
            root,
            known: Mutex::default(),
        }
    }

    /// The folder of a sandbox's files.
    pub fn folder(&self, sandbox: &SandboxId) -> PathBuf {
        self.root.join(sandbox.as_str())
    }

    /// Writes a sandbox's files, those that are not there, and keeps the others up to date from here on.
    ///
    /// # Errors
    /// That they cannot be written.
    pub fn write(
        &self,
        sandbox: &SandboxId,
        hostname: &DnsName,
        settings: &DnsSettings,
        host: &ResolvConf,
    ) -> io::Result<PathBuf> {
        let folder = self.folder(sandbox);
        for path in [&self.root, &folder] {
            fs::create_dir_all(path)?;
            fs::set_permissions(path, Permissions::from_mode(0o755))?;
        }
        let known = Known {
            hostname: hostname.clone(),
            settings: settings.clone(),
            addresses: BTreeMap::new(),
        };
        update(&folder.join(HOSTNAME), |text| {
            text.is_empty().then(|| format!("{hostname}\n"))
        })?;
        update(&folder.join(HOSTS), |text| hosts(text, &known))?;
        update(&folder.join(RESOLV_CONF), |text| resolv_conf(text, settings, host))?;
        self.known().insert(sandbox.clone(), known);
        Ok(folder)
    }

    /// An endpoint of the sandbox has these addresses; none: it is gone.
    ///
    /// # Errors
    /// That the files cannot be written.
    pub fn set(
        &self,
        sandbox: &SandboxId,
        endpoint: &EndpointId,
        addresses: &[IpAddr],
        host: &ResolvConf,
    ) -> io::Result<()> {
        let mut all = self.known();
        let Some(known) = all.get_mut(sandbox) else {
            return Ok(());
        };
        if addresses.is_empty() {
            known.addresses.remove(endpoint);
        } else {
            known.addresses.insert(endpoint.clone(), addresses.to_vec());
        }
        let folder = self.folder(sandbox);
        update(&folder.join(HOSTS), |text| hosts(text, known))?;
        update(&folder.join(RESOLV_CONF), |text| {
            resolv_conf(text, &known.settings, host)
        })
    }

    /// An endpoint is gone, whichever sandbox it was in.
    ///
    /// # Errors
    /// As [`Files::set`].
    pub fn forget(&self, endpoint: &EndpointId, host: &ResolvConf) -> io::Result<()> {
        let has = |(_, known): &(&SandboxId, &Known)| known.addresses.contains_key(endpoint);
        let sandbox = self.known().iter().find(has).map(|(sandbox, _)| sandbox.clone());
        sandbox.map_or(Ok(()), |sandbox| self.set(&sandbox, endpoint, &[], host))
    }

    /// Takes a sandbox's files away.
    ///
    /// # Errors
    /// That they cannot be removed; not being there is none.
    pub fn remove(&self, sandbox: &SandboxId) -> io::Result<()> {
        self.known().remove(sandbox);
        match fs::remove_dir_all(self.folder(sandbox)) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause),
            _ => Ok(()),
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<SandboxId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Replaces a file's text by what the decision makes of it; None leaves it alone. One that is not there reads as empty.
fn update(path: &Path, decide: impl FnOnce(&str) -> Option<String>) -> io::Result<()> {
    let before = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => String::new(),
        // No text: the user's for certain.
        Err(cause) if cause.kind() == io::ErrorKind::InvalidData => return Ok(()),
        Err(cause) => return Err(cause),
    };
    let Some(after) = decide(&before).filter(|after| *after != before) else {
        return Ok(());
    };
    let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    if before.is_empty() {
        file.set_permissions(Permissions::from_mode(0o644))?;
    }
    file.write_all(after.as_bytes())?;
    file.set_len(after.len() as u64)
}

/// What resolv.conf is to say; None where it is the user's.
fn resolv_conf(text: &str, settings: &DnsSettings, host: &ResolvConf) -> Option<String> {
    (text.is_empty() || is_sealed(text)).then(|| seal(&resolver_lines(settings, host)))
}

fn resolver_lines(settings: &DnsSettings, host: &ResolvConf) -> String {
    let own = [IpAddr::from(ADDRESS)];
    let named = if settings.servers.is_empty() {
        &host.servers
    } else {
        &settings.servers
    };
    let servers = if settings.off { named.as_slice() } else { &own };
    let mut text: String = servers.iter().map(|server| format!("nameserver {server}\n")).collect();
    let search: Vec<String> = match &settings.search[..] {
        [] => host.search.clone(),
        own => own.iter().map(ToString::to_string).collect(),
    };
    if !search.is_empty() {
        text += &format!("search {}\n", search.join(" "));
    }
    let says_dots = settings.options.iter().any(|o| o.starts_with("ndots:"));
    // A name without a dot is one of ours: it is asked as it is before any domain is put behind it.
    let dots = (!settings.off && !says_dots).then(|| "ndots:0".to_owned());
    let options: Vec<String> = dots.into_iter().chain(settings.options.iter().cloned()).collect();
    if !options.is_empty() {
        text += &format!("options {}\n", options.join(" "));
    }
    text
}

fn seal(content: &str) -> String {
    format!("{SEAL}{}\n{content}", sum(content))
}

fn is_sealed(text: &str) -> bool {
    let content = |rest: &str| rest.split_once('\n').map(|(seal, content)| seal == sum(content));
    text.strip_prefix(SEAL).and_then(content).unwrap_or(false)
}

fn sum(content: &str) -> String {
    Sha256::digest(content.as_bytes())[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// What hosts is to say; None where it is the user's.
fn hosts(text: &str, known: &Known) -> Option<String> {
    let line = |address: &IpAddr| format!("{address}\t{}\n", known.hostname);
    let own: String = known.addresses.values().flatten().map(line).collect();
    let block = format!("{BEGIN}\n{own}{END}\n");
    if text.is_empty() {
        return Some(format!(
            "{}\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n{block}",
            Ipv4Addr::LOCALHOST
        ));
    }
    let (before, rest) = text.split_once(&format!("{BEGIN}\n"))?;
    let (_, after) = rest.split_once(&format!("{END}\n"))?;
    Some(format!("{before}{block}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id<T: std::str::FromStr>(digit: char) -> T
    where
        T::Err: std::fmt::Debug,
    {
        digit.to_string().repeat(64).parse().unwrap()
    }

    fn host(search: &str) -> ResolvConf {
        ResolvConf::parse(&format!("nameserver 192.0.2.1\nsearch {search}"))
    }

    /// A folder with the files of sandbox a, host name web.
    fn files(settings: &DnsSettings) -> (tempfile::TempDir, Files, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::below(folder.path().join("sandboxes"));
        let path = files
            .write(&id('a'), &"web".parse().unwrap(), settings, &host("corp.example"))
            .unwrap();
        (folder, files, path)
    }

    fn without_seal(text: &str) -> &str {
        text.split_once('\n').unwrap().1
    }

    #[test]
    fn resolv_conf_says_what_the_sandbox_wants() {
        let settings = |servers: &[&str], search: &[&str], options: &[&str], off| DnsSettings {
            servers: servers.iter().map(|s| s.parse().unwrap()).collect(),
            search: search.iter().map(|s| s.parse().unwrap()).collect(),
            options: options.iter().map(|o| (*o).to_owned()).collect(),
            hostname: None,
            off,
        };
        for (settings, expected) in [
            (
                settings(&[], &[], &[], false),
                "nameserver 127.0.0.11\nsearch corp.example\noptions ndots:0\n",
            ),
            (
                settings(&["9.9.9.9"], &["a", "b.c"], &["ndots:2", "rotate"], false),
                "nameserver 127.0.0.11\nsearch a b.c\noptions ndots:2 rotate\n",
            ),
            (
                settings(&["9.9.9.9"], &["a"], &[], true),
                "nameserver 9.9.9.9\nsearch a\n",
            ),
            (settings(&[], &["a"], &[], true), "nameserver 192.0.2.1\nsearch a\n"),
        ] {
            assert_eq!(
                without_seal(&resolv_conf("", &settings, &host("corp.example")).unwrap()),
                expected
            );
        }
    }

    #[test]
    fn a_users_resolv_conf_stays_and_ours_follows_the_host() {
        let (_folder, files, path) = files(&DnsSettings::default());
        let path = path.join(RESOLV_CONF);
        files.set(&id('a'), &id('1'), &[], &host("other.example")).unwrap();
        assert!(fs::read_to_string(&path).unwrap().contains("search other.example"));
        let edited = fs::read_to_string(&path).unwrap() + "options debug\n";
        fs::write(&path, &edited).unwrap();
        files.set(&id('a'), &id('1'), &[], &host("third.example")).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), edited);
    }

    #[test]
    fn hosts_has_the_sandboxs_own_addresses_between_what_the_user_wrote() {
        let (_folder, files, path) = files(&DnsSettings::default());
        let path = path.join(HOSTS);
        let (a, b): (IpAddr, IpAddr) = ("10.0.0.2".parse().unwrap(), "fd00::2".parse().unwrap());
        let before = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("1.1.1.1 first\n{before}2.2.2.2 last\n")).unwrap();
        files.set(&id('a'), &id('1'), &[a, b], &host("")).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            text.starts_with("1.1.1.1 first\n127.0.0.1\tlocalhost\n") && text.ends_with("2.2.2.2 last\n"),
            "{text}"
        );
        assert!(text.contains("10.0.0.2\tweb\nfd00::2\tweb\n"), "{text}");
        files.forget(&id('1'), &host("")).unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            format!("1.1.1.1 first\n{before}2.2.2.2 last\n")
        );
        fs::write(&path, "only mine").unwrap();
        files.set(&id('a'), &id('1'), &[a], &host("")).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "only mine");
    }

    #[test]
    fn files_are_for_everybodys_eyes_and_go_with_their_sandbox() {
        let (_folder, files, path) = files(&DnsSettings::default());
        for name in [RESOLV_CONF, HOSTS, HOSTNAME] {
            assert_eq!(
                fs::metadata(path.join(name)).unwrap().permissions().mode() & 0o777,
                0o644
            );
        }
        assert_eq!(fs::read_to_string(path.join(HOSTNAME)).unwrap(), "web\n");
        files.remove(&id('a')).unwrap();
        files.remove(&id('a')).unwrap();
        assert!(!path.exists());
    }
}
