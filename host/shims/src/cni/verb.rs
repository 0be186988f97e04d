//! What the environment says.

use jackfield_model::LinkName;

use super::{Failure, Version};
use crate::protocol::CniCall;

/// Longest CNI_CONTAINERID that is taken; the specification bounds it by nothing.
const LONGEST_ID: usize = 256;

/// One interface of one container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// CNI_CONTAINERID.
    pub container: String,
    /// CNI_IFNAME.
    pub interface: LinkName,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Attach.
    Add(Attachment),
    /// Detach.
    Del(Attachment),
    /// Look whether it is as it should be.
    Check(Attachment),
    /// Collect what is not valid any more.
    Gc,
    /// Say whether an ADD can be served.
    Status,
}

impl Verb {
    /// Reads it.
    ///
    /// # Errors
    /// Code 4 with the names of the variables that are missing or wrong.
    pub fn of(call: &CniCall) -> Result<Self, Failure> {
        match call.verb.as_str() {
            "ADD" => Ok(Self::Add(attachment(call, true)?)),
            "DEL" => Ok(Self::Del(attachment(call, false)?)),
            "CHECK" => Ok(Self::Check(attachment(call, true)?)),
            "GC" => Ok(Self::Gc),
            "STATUS" => Ok(Self::Status),
            "" => Err(Failure::environment("required env variables [CNI_COMMAND] missing")),
            other => Err(Failure::environment(format!(
                "CNI_COMMAND is \"{}\": expected ADD, DEL, CHECK, GC, STATUS or VERSION",
                crate::fields::shown(other).escape_default()
            ))),
        }
    }

    /// Whether a configuration of that version may ask for it.
    ///
    /// # Errors
    /// Code 1.
    pub fn check(&self, version: Version) -> Result<(), Failure> {
        let (name, since) = match self {
            Self::Add(_) | Self::Del(_) => return Ok(()),
            Self::Check(_) => ("CHECK", Version::V040),
            Self::Gc => ("GC", Version::V110),
            Self::Status => ("STATUS", Version::V110),
        };
        if version < since {
            return Err(Failure::too_old(name, since, version));
        }
        Ok(())
    }
}

fn attachment(call: &CniCall, with_namespace: bool) -> Result<Attachment, Failure> {
    let missing: Vec<&str> = [
        ("CNI_CONTAINERID", call.container.is_empty()),
        ("CNI_NETNS", with_namespace && call.netns.is_empty()),
        ("CNI_IFNAME", call.interface.is_empty()),
    ]
    .into_iter()
    .filter_map(|(name, missing)| missing.then_some(name))
    .collect();
    if !missing.is_empty() {
        return Err(Failure::environment(format!(
            "required env variables [{}] missing",
            missing.join(",")
        )));
    }
    Ok(Attachment {
        container: container(&call.container).map_err(Failure::environment)?,
        interface: call
            .interface
            .parse()
            .map_err(|e: jackfield_model::Error| Failure::environment(format!("CNI_IFNAME: {}", e.message)))?,
    })
}

/// A container's id: letters, digits, `_`, `.` and `-`, beginning with a letter or digit.
///
/// # Errors
/// With the variable's name.
pub fn container(text: &str) -> Result<String, String> {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    let begins = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    if begins && text.len() <= LONGEST_ID && text.bytes().all(good) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "CNI_CONTAINERID is \"{}\": expected 1 to {LONGEST_ID} letters, digits, '_', '.' or '-', beginning with a letter or digit",
        crate::fields::shown(text).escape_default()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(verb: &str, container: &str, netns: &str, interface: &str) -> CniCall {
        let [verb, container, netns, interface] = [verb, container, netns, interface].map(str::to_owned);
        CniCall {
            verb,
            container,
            netns,
            interface,
            ..CniCall::default()
        }
    }

    #[test]
    fn a_namespace_is_needed_to_attach_and_not_to_detach() {
        assert!(Verb::of(&call("ADD", "c1", "/run/netns/x", "eth0")).is_ok());
        assert!(Verb::of(&call("DEL", "c1", "", "eth0")).is_ok());
        assert_eq!(
            Verb::of(&call("ADD", "", "", "")).unwrap_err().message,
            "required env variables [CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME] missing"
        );
        assert!(Verb::of(&call("GC", "", "", "")).is_ok());
    }

    #[test]
    fn what_the_environment_has_wrong_is_code_4() {
        for (verb, container, interface) in [
            ("add", "c", "eth0"),
            ("", "c", "eth0"),
            ("ADD", "../x", "eth0"),
            ("ADD", "c", "a/b"),
            ("DEL", "-c", "eth0"),
        ] {
            assert_eq!(Verb::of(&call(verb, container, "/n", interface)).unwrap_err().code, 4);
        }
    }

    #[test]
    fn verbs_are_of_their_versions() {
        assert_eq!(Verb::Gc.check(Version::V100).unwrap_err().code, 1);
        assert!(Verb::Status.check(Version::V110).is_ok());
    }
}
