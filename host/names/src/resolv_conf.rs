//! The host's own resolv.conf: who is asked when neither sandbox nor network says so. Read again when it changes.

use std::{
    fs,
    net::IpAddr,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// Servers that are looked at; the C library reads three.
const SERVERS: usize = 8;

/// What a resolv.conf says, as far as anybody here wants to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolvConf {
    /// `nameserver`
    pub servers: Vec<IpAddr>,
    /// `search`, or `domain`: the last one counts, as resolv.conf(5) says.
    pub search: Vec<String>,
}

impl ResolvConf {
    /// Reads the text. Lines that it does not understand are left alone, as the C library does.
    pub fn parse(text: &str) -> Self {
        let mut conf = Self::default();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                // An address with a zone belongs to a link of the host's: no sandbox has that link.
                Some("nameserver") if conf.servers.len() < SERVERS => {
                    conf.servers.extend(words.next().and_then(|w| w.parse::<IpAddr>().ok()));
                }
                Some("search" | "domain") => conf.search = words.map(str::to_owned).collect(),
                _ => {}
            }
        }
        conf
    }
}

/// The file, and what it said when it was read last.
#[derive(Debug)]
pub struct HostConf {
    path: PathBuf,
    read: Mutex<(Option<Stamp>, Arc<ResolvConf>)>,
}

/// What changes with a file's content: which file it is, and when it was written. A bind mount or a link that now leads elsewhere shows too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    changed: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        Some(Self {
            device: found.dev(),
            inode: found.ino(),
            length: found.len(),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }
}

impl HostConf {
    /// The file at that path, which need not be there.
    pub fn at(path: PathBuf) -> Self {
        Self {
            path,
            read: Mutex::default(),
        }
    }

    /// What it says now. Looking costs a microsecond; it is read when it is another than before.
    pub fn current(&self) -> Arc<ResolvConf> {
        let now = Stamp::of(&self.path);
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.0 != now || now.is_none() {
            let text = fs::read_to_string(&self.path).unwrap_or_default();
            *read = (now, Arc::new(ResolvConf::parse(&text)));
        }
        read.1.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_the_c_library_reads_it() {
        let text = "# no\nnameserver 192.0.2.1\nnameserver fe80::1%eth0\n nameserver  2001:db8::1 x\nsearch a b\nsearch c.d\noptions ndots:5\nnameserver";
        let conf = ResolvConf::parse(text);
        assert_eq!(
            conf.servers,
            ["192.0.2.1".parse::<IpAddr>().unwrap(), "2001:db8::1".parse().unwrap()]
        );
        assert_eq!(conf.search, ["c.d"]);
        assert_eq!(
            ResolvConf::parse(&"nameserver 1.1.1.1\n".repeat(100)).servers.len(),
            SERVERS
        );
    }

    #[test]
    fn a_change_is_seen_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("resolv.conf");
        let conf = HostConf::at(path.clone());
        assert!(conf.current().servers.is_empty());
        fs::write(&path, "nameserver 192.0.2.1").unwrap();
        assert_eq!(conf.current().servers.len(), 1);
        let other = folder.path().join("other");
        fs::write(&other, "nameserver 192.0.2.2").unwrap();
        fs::rename(&other, &path).unwrap();
        assert_eq!(conf.current().servers, ["192.0.2.2".parse::<IpAddr>().unwrap()]);
        fs::remove_file(&path).unwrap();
        assert!(conf.current().servers.is_empty());
    }
}
