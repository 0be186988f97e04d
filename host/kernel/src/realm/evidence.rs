//! What a takedown is decided on, read from the kernel and the journal only when it is asked for.

use std::{cell::OnceCell, net::IpAddr};

use jackfield_model::{IpNetwork, OperationId};

use super::{core::Core, tally::Shared};
use nix::errno::Errno;

use crate::{
    Dump, LinkAt, LinkInfo, LinkQuery, Namespace, NamespaceId, PROTOCOL, Place, Result,
    journal::{Entry, Phase},
    plan::SysctlKey,
    takedown::{Evidence, Object},
};

/// Evidence about one operation.
pub struct FromKernel<'a> {
    core: &'a Core,
    shared: &'a Shared,
    operation: &'a OperationId,
    /// None when it is gone: then nothing is in it.
    sandbox: Option<&'a Namespace>,
    sandbox_id: Option<NamespaceId>,
    realm_dump: OnceCell<Dump>,
    sandbox_dump: OnceCell<Dump>,
}

impl<'a> FromKernel<'a> {
    /// About an operation in the realm and, where it is still there, in its sandbox.
    pub fn new(
        core: &'a Core,
        shared: &'a Shared,
        operation: &'a OperationId,
        entry: &Entry,
        sandbox: Option<&'a Namespace>,
    ) -> Self {
        let sandbox_id = entry.sandbox.as_ref().map(|s| s.id);
        let (realm_dump, sandbox_dump) = Default::default();
        Self {
            core,
            shared,
            operation,
            sandbox,
            sandbox_id,
            realm_dump,
            sandbox_dump,
        }
    }

    fn namespace(&self, place: Place) -> Option<&Namespace> {
        match place {
            Place::Realm => Some(&self.core.namespace),
            Place::Sandbox => self.sandbox,
        }
    }

    /// Slow, but read at most once, and only where nobody can know any more what the kernel answered.
    fn dump(&self, place: Place) -> Result<Option<&Dump>> {
        let Some(namespace) = self.namespace(place) else {
            return Ok(None);
        };
        let cell = if place == Place::Realm {
            &self.realm_dump
        } else {
            &self.sandbox_dump
        };
        if cell.get().is_none() {
            let dump = self.core.kernel.dump(namespace)?;
            return Ok(Some(cell.get_or_init(|| dump)));
        }
        Ok(cell.get())
    }

    fn is_of_this_namespace(&self, place: Place, entry: &Entry) -> bool {
        match place {
            Place::Realm => entry.realm == self.core.namespace.id(),
            Place::Sandbox => self.sandbox_id.is_some() && entry.sandbox.as_ref().map(|s| s.id) == self.sandbox_id,
        }
    }
}

impl Evidence for FromKernel<'_> {
    fn realm(&self) -> &Namespace {
        &self.core.namespace
    }

    fn link(&self, at: LinkAt) -> Result<Option<LinkInfo>> {
        match self.namespace(at.place) {
            Some(namespace) => self.core.kernel.link(namespace, LinkQuery::Index(at.index)),
            None => Ok(None),
        }
    }

    fn sysctl(&self, at: LinkAt, key: &SysctlKey) -> Result<Option<String>> {
        let Some(namespace) = self.namespace(at.place) else {
            return Ok(None);
        };
        match self.core.kernel.sysctl(namespace, at.index, key) {
            // It went with its link, as an uplink of a rootless runtime does that ends.
            Err(error) if error.errno() == Some(Errno::ENODEV) => Ok(None),
            other => other,
        }
    }

    fn is_our_address(&self, at: LinkAt, address: IpNetwork) -> Result<bool> {
        let ours = |d: &Dump| {
            d.addresses
                .iter()
                .any(|a| a.index == at.index && a.address == address && a.protocol == PROTOCOL)
        };
        Ok(self.dump(at.place)?.is_some_and(ours))
    }

    fn is_our_neighbour(&self, at: LinkAt, address: IpAddr, proxy: bool) -> Result<bool> {
        let ours = |d: &Dump| {
            let mut neighbours = d
                .neighbours
                .iter()
                .filter(|n| n.index == at.index && n.address == address);
            neighbours.any(|n| n.mac.is_none() == proxy && n.protocol == PROTOCOL)
        };
        Ok(self.dump(at.place)?.is_some_and(ours))
    }

    fn is_anothers(&self, object: &Object<'_>) -> bool {
        self.core.journal.any_other(self.operation, |id, entry| {
            let stands = match entry.phase {
                Phase::Begun => self.shared.applied.contains(id),
                Phase::Committed => true,
                Phase::Releasing => false,
            };
            stands
                && self.is_of_this_namespace(object.place(), entry)
                && entry
                    .plan
                    .makes
                    .iter()
                    .filter_map(Object::made)
                    .any(|made| made.is(object))
        })
    }
}
