//! Who asks, and for which namespaces. Every decision about that stands here.
//!
//! The kernel says who the caller is (SO_PEERCRED) and who made the user namespace that owns a network namespace. Root, and the user that the
//! host runs as, may name any; others only what is theirs, and never the host's own network.

use std::os::fd::OwnedFd;

use jackfield_controller::{Controller, request::RealmRef};
use jackfield_kernel::{Namespace, NamespaceId};
use jackfield_model::{Error, ErrorCode, Result};

/// A caller who may do what he asks for.
#[derive(Debug)]
pub struct Caller {
    /// His network namespace, as a realm.
    pub realm: RealmRef,
    /// Its identity.
    pub namespace: NamespaceId,
    /// The sandbox's namespace, if he sent one.
    pub sandbox: Option<OwnedFd>,
}

/// How somebody stands to a namespace.
#[derive(Clone, Copy, Debug)]
struct Standing {
    caller: u32,
    host: u32,
    /// Who owns the namespace.
    owner: u32,
    /// It is the host's own network.
    own: bool,
}

/// Root, and the user that the host runs as.
pub fn is_trusted(caller: u32, host: u32) -> bool {
    caller == 0 || caller == host
}

impl Standing {
    fn decide(self) -> Result<(), &'static str> {
        match self {
            Self { caller, host, .. } if is_trusted(caller, host) => Ok(()),
            Self { own: true, .. } => {
                Err("the host's own network is root's: call from a network namespace of your own")
            }
            Self { caller, owner, .. } if caller == owner => Ok(()),
            _ => Err("it belongs to another user"),
        }
    }
}

impl Caller {
    /// Finds out; a namespace that was not seen before becomes a realm.
    ///
    /// # Errors
    /// invalid-argument where a descriptor is missing, or is no network namespace, though a trusted caller's sandbox may be anything yet;
    /// denied where it is not his.
    pub fn admit(controller: &Controller, uid: u32, mut descriptors: Vec<OwnedFd>, with_sandbox: bool) -> Result<Self> {
        let expected = if with_sandbox { 2 } else { 1 };
        if descriptors.len() != expected {
            return Err(Error::invalid(format!(
                "{} descriptors came with the request: expected {expected}",
                descriptors.len()
            )));
        }
        let sandbox = if with_sandbox { descriptors.pop() } else { None };
        let own = controller.own_realm();
        let kernel = own.kernel();
        let host = nix::unistd::geteuid().as_raw();
        let trusted = is_trusted(uid, host);
        let decide = |namespace: &Namespace, what: &str| -> Result<()> {
            // Whoever is trusted anyway is not asked for more.
            let owner = if trusted { 0 } else { kernel.owner_uid(namespace)? };
            let own = namespace.id() == own.id();
            let standing = Standing {
                caller: uid,
                host,
                owner,
                own,
            };
            standing
                .decide()
                .map_err(|why| Error::new(ErrorCode::Denied, format!("uid {uid} may not use {what}: {why}")))
        };
        // To look into it costs as much as all else here; whoever uses it finds out what it is.
        if let Some(sandbox) = sandbox.as_ref().filter(|_| !trusted) {
            let fd = sandbox
                .try_clone()
                .map_err(|e| Error::new(ErrorCode::Exhausted, "the host has no descriptors left").caused_by(e))?;
            decide(&kernel.adopt_namespace(fd)?, "the sandbox's network namespace")?;
        }
        let fd = descriptors
            .pop()
            .ok_or_else(|| Error::invalid("no descriptor came with the request"))?;
        let namespace = kernel.adopt_namespace(fd)?;
        decide(&namespace, "the network namespace that it calls from")?;
        let id = namespace.id();
        Ok(Self {
            realm: controller.open_realm(namespace)?,
            namespace: id,
            sandbox,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_may_use_what_is_theirs_and_root_everything() {
        let root = 0;
        for (caller, host, owner, own, allowed) in [
            (root, root, 1000, false, true),
            (root, root, root, true, true),
            (1000, root, 1000, false, true),
            (1000, root, 1001, false, false),
            (1000, root, root, false, false),
            (1000, root, 1000, true, false),
            (1000, 1000, 7, true, true),
        ] {
            let standing = Standing {
                caller,
                host,
                owner,
                own,
            };
            assert_eq!(standing.decide().is_ok(), allowed, "{standing:?}");
        }
    }
}
