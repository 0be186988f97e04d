//! Links that somebody else made for an endpoint, and that the host lends to the sandbox: what a driver has which is a process of its own and
//! makes its links itself.

use jackfield_kernel::{
    LinkAt, LinkQuery, Make, Place,
    plan::{LentLink, LinkSetting},
};
use jackfield_model::{Error, LinkName, Result};

use super::{
    Operation,
    interface::sandbox_routes,
    running::Running,
    table::{Entry, Origin},
};
use crate::{LinkId, Phase, SandboxInterface, grants::Want};

impl Operation {
    /// A link of the realm that is to be the sandbox's interface, and goes back to where it was afterwards. It is the driver's word that it was made
    /// for this endpoint.
    ///
    /// # Errors
    /// invalid-state outside of join, denied without the grant and for a link of the host's own, not-found for one that is not there.
    pub fn lend_link(&mut self, name: &LinkName) -> Result<LinkId> {
        let run = self.call()?;
        if run.context.phase != Phase::Join {
            let message = "a link is lent to a sandbox in a join, and in no other call";
            return Err(Error::new(jackfield_model::ErrorCode::InvalidState, message));
        }
        run.allow(&Want::Lend { name: name.as_str() })?;
        let found = run.host_link(LinkQuery::Name(name))?;
        let link = found.ok_or_else(|| {
            Error::not_found(format!(
                "there is no link {name} that could be lent to the sandbox: expected one that was made for the endpoint, in the network namespace of the host"
            ))
        })?;
        let entry = run.links.get_mut(link)?;
        (entry.origin, entry.of_endpoint) = (Origin::Lent, true);
        Ok(link)
    }
}

impl Running {
    /// Moves it in the plan, with what the sandbox gets on it.
    pub(super) fn lend(&mut self, entry: &Entry, interface: &SandboxInterface) -> Result<()> {
        let gone = || Error::not_found(format!("link {} is gone", entry.name));
        let mac = self.info(entry)?.mac.ok_or_else(gone)?;
        let home = LinkAt {
            place: Place::Sandbox,
            index: self.context.realm.reserve_index(),
        };
        let routes = sandbox_routes(home.index, interface)?;
        self.plan.makes.push(Make::Lend(LentLink {
            from: entry.at.index,
            was: entry.name.clone(),
            at: home,
            name: interface.name.clone(),
            mac,
            kind: entry.kind.clone(),
        }));
        if mac != interface.mac {
            self.plan.makes.push(Make::Set {
                link: home,
                to: LinkSetting::Mac(interface.mac),
                was: None,
            });
        }
        for known in self.links.iter_mut().filter(|known| known.at == entry.at) {
            known.at = home;
            known.name = interface.name.clone();
        }
        self.configure(home, &interface.addresses, routes);
        Ok(())
    }
}
