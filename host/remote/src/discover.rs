//! Finding a plugin by its name, in Docker's folders and in Docker's order (moby's `pkg/plugins/discovery.go`).

use std::{collections::BTreeSet, fs, io, os::unix::fs::FileTypeExt, path::PathBuf};

use jackfield_model::{Error, Result};
use serde::Deserialize;

use crate::Address;

/// Most bytes of a `.spec` or `.json` file.
const LONGEST_FILE: u64 = 64 << 10;
/// The names that sockets of our own begin with: the host does not call itself.
const OWN: &str = "jackfield-";

/// Where plugins are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folders {
    /// Sockets: `NAME.sock`, or `NAME/NAME.sock`.
    pub sockets: Vec<PathBuf>,
    /// Files that say where: `NAME.spec`, an address, or `NAME.json`, with `Name` and `Addr`; or the same in a folder `NAME`.
    pub specs: Vec<PathBuf>,
}

impl Folders {
    /// Docker's.
    pub fn standard() -> Self {
        Self {
            sockets: vec!["/run/docker/plugins".into()],
            specs: vec!["/etc/docker/plugins".into(), "/usr/lib/docker/plugins".into()],
        }
    }

    /// One folder that is both.
    pub fn only(folder: PathBuf) -> Self {
        Self {
            sockets: vec![folder.clone()],
            specs: vec![folder],
        }
    }

    /// Where the plugin of that name listens; None where there is none.
    ///
    /// # Errors
    /// invalid-argument for a file that does not say where.
    pub fn find(&self, name: &str) -> Result<Option<Address>> {
        if !is_name(name) || name.starts_with(OWN) {
            return Ok(None);
        }
        if let Some(socket) = self.socket(name) {
            return Ok(Some(Address::Unix(socket)));
        }
        for path in candidates(&self.specs, name, &["spec", "json"]) {
            let text = match read(&path) {
                Ok(Some(text)) => text,
                Ok(None) => continue,
                Err(cause) => {
                    return Err(
                        Error::invalid(format!("the plugin file {} cannot be read", path.display())).caused_by(cause),
                    );
                }
            };
            let json = path.extension().is_some_and(|e| e == "json");
            let address = if json { from_json(&text) } else { Address::parse(&text) };
            return address
                .map(Some)
                .map_err(|e| e.object(format!("plugin file {}", path.display())));
        }
        Ok(None)
    }

    /// The names of all plugins that can be found.
    pub fn names(&self) -> BTreeSet<String> {
        let folders = self.sockets.iter().chain(&self.specs);
        let files = folders
            .filter_map(|folder| fs::read_dir(folder).ok())
            .flatten()
            .flatten();
        let stems = files.filter_map(|file| PathBuf::from(file.file_name()).file_stem()?.to_str().map(str::to_owned));
        stems.filter(|name| matches!(self.find(name), Ok(Some(_)))).collect()
    }

    fn socket(&self, name: &str) -> Option<PathBuf> {
        let is_socket = |path: &PathBuf| fs::metadata(path).is_ok_and(|found| found.file_type().is_socket());
        candidates(&self.sockets, name, &["sock"]).find(is_socket)
    }
}

/// A name is one component of a path, and no option.
fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    name.len() <= 128 && name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(plain)
}

fn candidates<'a>(folders: &'a [PathBuf], name: &'a str, endings: &'a [&str]) -> impl Iterator<Item = PathBuf> + 'a {
    folders.iter().flat_map(move |folder| {
        endings.iter().flat_map(move |ending| {
            let file = format!("{name}.{ending}");
            [folder.join(&file), folder.join(name).join(&file)]
        })
    })
}

fn read(path: &PathBuf) -> io::Result<Option<String>> {
    match fs::metadata(path) {
        Ok(found) if found.len() > LONGEST_FILE => Err(io::ErrorKind::FileTooLarge.into()),
        Ok(_) => fs::read_to_string(path).map(Some),
        Err(cause) if matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(cause) => Err(cause),
    }
}

fn from_json(text: &str) -> Result<Address> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct File {
        addr: String,
    }
    let file: File = serde_json::from_str(text).map_err(|cause| {
        Error::invalid("the file does not say where the plugin listens: expected {\"Name\": ..., \"Addr\": ...}")
            .caused_by(cause)
    })?;
    Address::parse(&file.addr)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_socket_goes_before_a_file_and_a_folder_of_its_own_counts() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        for made in ["nested", "named"] {
            fs::create_dir(at(made)).unwrap();
        }
        let _sockets =
            ["both.sock", "nested/nested.sock", "jackfield-bridge.sock"].map(|s| UnixListener::bind(at(s)).unwrap());
        fs::write(at("both.spec"), "tcp://127.0.0.1:1").unwrap();
        fs::write(at("spec.spec"), "tcp://127.0.0.1:2\n").unwrap();
        fs::write(
            at("named/named.json"),
            r#"{"Name": "named", "Addr": "unix:///x.sock", "TLSConfig": null}"#,
        )
        .unwrap();
        fs::write(at("plain.sock"), "").unwrap();
        fs::write(at("bad.json"), "{}").unwrap();
        let folders = Folders::only(folder.path().to_owned());
        let found = |name: &str| folders.find(name).unwrap().map(|address| address.to_string());
        assert_eq!(found("both"), Some(format!("unix://{}", at("both.sock").display())));
        assert_eq!(
            found("nested"),
            Some(format!("unix://{}", at("nested/nested.sock").display()))
        );
        assert_eq!(found("spec").as_deref(), Some("tcp://127.0.0.1:2"));
        assert_eq!(found("named").as_deref(), Some("unix:///x.sock"));
        for none in ["plain", "missing", "", "../both", "jackfield-bridge", ".hidden"] {
            assert_eq!(found(none), None, "{none}");
        }
        assert!(folders.find("bad").is_err());
        assert_eq!(Vec::from_iter(folders.names()), ["both", "named", "nested", "spec"]);
    }
}
