//! The conversation with the host: one request, one reply, on a stream socket, each a length (four bytes, big-endian) and that much JSON.
//!
//! With the first bytes of the request travel descriptors (SCM_RIGHTS): the caller's own network namespace, and the sandbox's where there is
//! one. The host takes neither on trust: the kernel says who the caller is (SO_PEERCRED) and to whom a namespace belongs.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Of this conversation. A host that does not know it says so.
pub const PROTOCOL: u32 = 1;
/// Longest message, in bytes: a GC that names some ten thousand attachments.
pub const LONGEST: usize = 4 << 20;
/// Bytes of the length.
pub const HEADER: usize = 4;
/// Most descriptors in one request.
pub const DESCRIPTORS: usize = 2;
/// Where the host listens, when nobody says.
pub const SOCKET: &str = "/run/jackfield/shim.sock";
/// The variable that says otherwise.
pub const SOCKET_VARIABLE: &str = "JACKFIELD_SHIM_SOCKET";

/// What a shim asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// [`PROTOCOL`].
    pub protocol: u32,
    /// Whether the second descriptor is there.
    pub sandbox: bool,
    /// What is asked.
    pub call: Call,
}

/// Whose words these are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// A CNI runtime's.
    Cni(CniCall),
    /// Podman's, by netavark.
    Netavark(NetavarkCall),
}

/// A CNI runtime's call, as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CniCall {
    /// CNI_COMMAND.
    pub verb: String,
    /// CNI_CONTAINERID.
    pub container: String,
    /// CNI_NETNS.
    pub netns: String,
    /// CNI_IFNAME.
    pub interface: String,
    /// CNI_ARGS.
    pub arguments: String,
    /// Standard input.
    pub config: String,
    /// What the file has that `ipam.resolvConf` names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolv_conf: Option<String>,
    /// The driver that the program's own name says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
}

/// Netavark's call, as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetavarkCall {
    /// `create`, `setup` or `teardown`.
    pub verb: String,
    /// The path of the sandbox's namespace.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub netns: String,
    /// Standard input.
    pub input: String,
    /// The driver that the program's own name says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
}

/// What the host answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// What the shim prints on its standard output; empty for nothing.
    pub output: String,
    /// It is an error in the runtime's own form, and the shim ends so.
    pub failed: bool,
}

impl Reply {
    /// Done, with these words.
    pub fn done(output: String) -> Self {
        Self { output, failed: false }
    }

    /// Refused, with these words.
    pub fn failed(output: String) -> Self {
        Self { output, failed: true }
    }
}

/// The length that comes before a message. None: no message is as long.
pub fn header(body: &[u8]) -> Option<[u8; HEADER]> {
    let length = u32::try_from(body.len()).ok()?;
    (body.len() <= LONGEST).then_some(length.to_be_bytes())
}

/// The length that a header says. None: no message is as long.
pub fn length(header: [u8; HEADER]) -> Option<usize> {
    let length = usize::try_from(u32::from_be_bytes(header)).ok()?;
    (length <= LONGEST).then_some(length)
}

/// The folder of tombstones of the host that listens there.
pub fn spool_of(socket: &Path) -> PathBuf {
    let mut path = socket.as_os_str().to_owned();
    path.push(".spool");
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_says_the_length_and_nothing_longer_than_is_allowed() {
        assert_eq!(length(header(b"four").unwrap()), Some(4));
        assert_eq!(length(u32::MAX.to_be_bytes()), None);
        assert_eq!(header(&vec![0; LONGEST + 1]), None);
    }

    #[test]
    fn a_request_of_an_older_shim_is_read() {
        let text = r#"{"protocol":1,"sandbox":true,"call":{"cni":{"verb":"ADD","container":"c","netns":"/n","interface":"eth0","arguments":"","config":"{}"}}}"#;
        let read: Request = serde_json::from_str(text).unwrap();
        let Call::Cni(call) = read.call else { unreachable!() };
        assert_eq!((call.driver, call.resolv_conf), (None, None));
    }
}
