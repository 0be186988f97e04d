//! Making and deleting links.

use jackfield_kernel::{
    Ifindex, LinkAt, LinkQuery, Make, Place, Removal,
    plan::{IpvlanMode, LinkKind, MacvlanMode, NewLink, VethPeer},
};
use jackfield_model::{Error, ErrorCode, LinkName, MacAddr, Options, Result};

use super::{
    Operation, attributes, names,
    running::Running,
    table::{Entry, Origin},
};
use crate::{LinkId, grants::Want};

/// Longest label, in bytes.
const MAX_LABEL: usize = 64;

#[allow(missing_docs, clippy::missing_errors_doc)] // The WIT package is the documentation: see the module's head.
impl Operation {
    pub fn create_bridge(&mut self, label: &str, name: Option<&str>, attributes: &Options) -> Result<LinkId> {
        let run = self.call()?;
        let name = name.map(|name| run.asked_name(name)).transpose()?;
        run.make_link(label, name, LinkKind::Bridge(attributes::bridge(attributes)?))
    }

    /// A bridge of the host by that name, to be used as the network's own: None where the host has no link of that name. It is never deleted, and
    /// what is changed on it goes back to what it was.
    ///
    /// # Errors
    /// invalid-argument for a link that is no bridge, denied without the grant.
    pub fn adopt_bridge(&mut self, name: &LinkName) -> Result<Option<LinkId>> {
        let run = self.call()?;
        run.may_record()?;
        run.allow(&Want::Adopt { name: name.as_str() })?;
        let Some(link) = run.host_link(LinkQuery::Name(name))? else {
            return Ok(None);
        };
        let entry = run.links.get_mut(link)?;
        if entry.kind != "bridge" {
            let kind = Some(entry.kind.as_str()).filter(|k| !k.is_empty()).unwrap_or("device");
            return Err(Error::invalid(format!(
                "the host has a link {name} already, and it is a {kind}: expected the name of a bridge, or one that no link has"
            )));
        }
        entry.adopted = true;
        Ok(Some(link))
    }

    /// The two ends, of which the second is labelled `label`-peer.
    pub fn create_veth(&mut self, label: &str, attributes: &Options) -> Result<(LinkId, LinkId)> {
        let run = self.call()?;
        attributes::none("veth", attributes)?;
        let peer_label = format!("{label}-peer");
        run.check_label(&peer_label)?;
        let index = run.context.realm.reserve_index();
        let at = LinkAt {
            place: Place::Realm,
            index,
        };
        let peer = VethPeer {
            at,
            name: names::derived(names::PEER, index)?,
            mac: MacAddr::random(),
            mtu: None,
        };
        let entry = run.entry(&peer_label, "veth", peer.at, peer.name.clone(), peer.mac);
        let link = run.make_link(label, None, LinkKind::Veth { peer })?;
        Ok((link, run.links.add(entry)))
    }

    pub fn create_macvlan(
        &mut self,
        label: &str,
        parent: LinkId,
        mode: MacvlanMode,
        attributes: &Options,
    ) -> Result<LinkId> {
        let run = self.call()?;
        attributes::none("macvlan", attributes)?;
        let parent = run.parent(parent)?;
        run.make_link(label, None, LinkKind::Macvlan { parent, mode })
    }

    pub fn create_ipvlan(
        &mut self,
        label: &str,
        parent: LinkId,
        mode: IpvlanMode,
        attributes: &Options,
    ) -> Result<LinkId> {
        let run = self.call()?;
        attributes::none("ipvlan", attributes)?;
        let parent = run.parent(parent)?;
        run.make_link(label, None, LinkKind::Ipvlan { parent, mode })
    }

    pub fn create_vlan(&mut self, label: &str, parent: LinkId, id: u16, attributes: &Options) -> Result<LinkId> {
        let run = self.call()?;
        attributes::none("vlan", attributes)?;
        let id = attributes::check_vlan(id)?;
        let parent = run.parent(parent)?;
        run.make_link(label, None, LinkKind::Vlan { parent, id })
    }

    pub fn create_vxlan(
        &mut self,
        label: &str,
        vni: u32,
        parent: Option<LinkId>,
        attributes: &Options,
    ) -> Result<LinkId> {
        let run = self.call()?;
        let mut vxlan = attributes::vxlan(vni, attributes)?;
        vxlan.parent = parent.map(|parent| run.parent(parent)).transpose()?;
        run.make_link(label, None, LinkKind::Vxlan(vxlan))
    }

    pub fn create_dummy(&mut self, label: &str, attributes: &Options) -> Result<LinkId> {
        let run = self.call()?;
        attributes::none("dummy", attributes)?;
        run.make_link(label, None, LinkKind::Dummy)
    }

    pub fn create_tap(&mut self, label: &str, attributes: &Options) -> Result<LinkId> {
        let run = self.call()?;
        let tap = attributes::tap(attributes)?;
        run.make_link(label, None, LinkKind::Tap(tap))
    }

    pub fn delete_link(&mut self, link: LinkId) -> Result<()> {
        let run = self.call()?;
        let entry = run.own_target(link, "deletion")?;
        if entry.origin == Origin::New {
            let ends = run.ends(entry.at.index);
            // Both ends of a pair go, so nothing may stand on either.
            let entries: Vec<Entry> = ends
                .iter()
                .filter_map(|end| run.links.by_index(*end).cloned())
                .collect();
            entries.iter().try_for_each(|end| run.check_no_child(end))?;
            run.unmake_link(&ends);
            return Ok(());
        }
        run.check_no_child(&entry)?;
        let mac = entry
            .mac
            .ok_or_else(|| Error::internal(format!("link {} has no MAC", entry.name)))?;
        run.removal(&Want::Own, Removal::Link { link: entry.at, mac })?;
        run.mark_gone(&[entry.at.index]);
        Ok(())
    }
}

impl Running {
    /// Records a new link in the realm, unless phase, grant, label or limits forbid it.
    fn make_link(&mut self, label: &str, name: Option<LinkName>, kind: LinkKind) -> Result<LinkId> {
        self.check_step(&Want::MakeLink { kind: kind.name() })?;
        self.check_label(label)?;
        self.count_links(if matches!(kind, LinkKind::Veth { .. }) { 2 } else { 1 })?;
        let index = self.context.realm.reserve_index();
        let name = name.map_or_else(|| names::derived(names::letter(&kind), index), Ok)?;
        let at = LinkAt {
            place: Place::Realm,
            index,
        };
        let entry = self.entry(label, kind.name(), at, name.clone(), MacAddr::random());
        let mac = entry.mac.unwrap_or_else(MacAddr::random);
        self.step(
            &Want::MakeLink { kind: kind.name() },
            Make::Link(NewLink {
                at,
                name,
                mac,
                mtu: None,
                kind,
            }),
        )?;
        Ok(self.links.add(entry))
    }

    fn entry(&self, label: &str, kind: &str, at: LinkAt, name: LinkName, mac: MacAddr) -> Entry {
        Entry {
            label: label.to_owned(),
            of_endpoint: self.context.phase.of_endpoint(),
            at,
            name,
            kind: kind.to_owned(),
            mac: Some(mac),
            mtu: None,
            ports_isolated: false,
            routed: Vec::new(),
            origin: Origin::New,
            adopted: false,
            gone: false,
        }
    }

    fn asked_name(&self, name: &str) -> Result<LinkName> {
        self.may_record()?;
        let name: LinkName = name.parse()?;
        self.allow(&Want::Name { name: name.as_str() })?;
        if self.links.iter().any(|entry| entry.name == name) {
            return Err(Error::new(
                ErrorCode::AlreadyExists,
                format!("there is a link {name} already"),
            ));
        }
        Ok(name)
    }

    /// A label is the driver's word for a link, unique within the network or endpoint.
    fn check_label(&self, label: &str) -> Result<()> {
        if label.is_empty() || label.len() > MAX_LABEL || label.chars().any(char::is_control) {
            let shown = attributes::shown(label);
            return Err(Error::invalid(format!(
                "\"{shown}\" cannot label a link: expected 1 to {MAX_LABEL} bytes without control characters"
            )));
        }
        let of_endpoint = self.context.phase.of_endpoint();
        let taken =
            |entry: &Entry| entry.origin != Origin::Parent && entry.of_endpoint == of_endpoint && entry.label == label;
        if self.links.iter().any(taken) {
            return Err(Error::new(
                ErrorCode::AlreadyExists,
                format!("there is a link labelled \"{}\" already", attributes::shown(label)),
            ));
        }
        Ok(())
    }

    /// A link that another is to stand on: one of the driver's own, or of the host's that it was granted.
    fn parent(&mut self, link: LinkId) -> Result<Ifindex> {
        let entry = self.target(link)?;
        entry.in_realm()?;
        Ok(entry.at.index)
    }

    /// A link on which another of the plan stands can neither go nor leave for the sandbox.
    pub(super) fn check_no_child(&self, entry: &Entry) -> Result<()> {
        let stands_on = |make: &&Make| matches!(make, Make::Link(new) if parent_of(&new.kind) == Some(entry.at.index));
        match self.plan.makes.iter().find(stands_on) {
            Some(Make::Link(child)) => Err(Error::new(
                ErrorCode::InUse,
                format!("link {} stands on link {}", child.name, entry.name),
            )),
            _ => Ok(()),
        }
    }

    /// The ends of a link of this plan: two of a pair, else itself.
    fn ends(&self, index: Ifindex) -> Vec<Ifindex> {
        let ends = self.plan.makes.iter().find_map(|make| match make {
            Make::Link(new) => Some(ends_of(new)).filter(|ends| ends.contains(&index)),
            _ => None,
        });
        ends.unwrap_or_else(|| vec![index])
    }

    /// Takes a link of this plan out of it again, with all that was recorded on its ends.
    fn unmake_link(&mut self, ends: &[Ifindex]) {
        let names: Vec<LinkName> = ends
            .iter()
            .filter_map(|end| Some(self.links.by_index(*end)?.name.clone()))
            .collect();
        self.plan.makes.retain(|make| !concerns(make, ends, &names));
        self.mark_gone(ends);
    }

    fn mark_gone(&mut self, indexes: &[Ifindex]) {
        for entry in self.links.iter_mut().filter(|entry| indexes.contains(&entry.at.index)) {
            entry.gone = true;
        }
    }
}

fn parent_of(kind: &LinkKind) -> Option<Ifindex> {
    match kind {
        LinkKind::Macvlan { parent, .. } | LinkKind::Ipvlan { parent, .. } | LinkKind::Vlan { parent, .. } => {
            Some(*parent)
        }
        LinkKind::Vxlan(vxlan) => vxlan.parent,
        LinkKind::Bridge(_) | LinkKind::Veth { .. } | LinkKind::Dummy | LinkKind::Tap(_) => None,
    }
}

fn ends_of(new: &NewLink) -> Vec<Ifindex> {
    match &new.kind {
        LinkKind::Veth { peer } => vec![new.at.index, peer.at.index],
        _ => vec![new.at.index],
    }
}

/// Whether a step is on one of these links, or names one.
fn concerns(make: &Make, indexes: &[Ifindex], names: &[LinkName]) -> bool {
    use jackfield_kernel::plan::LinkSetting::Controller;
    match make {
        Make::Link(new) => ends_of(new).iter().any(|end| indexes.contains(end)),
        Make::Lend(lent) => indexes.contains(&lent.at.index),
        Make::Set { link, to, .. } => {
            indexes.contains(&link.index) || matches!(to, Controller(Some(controller)) if indexes.contains(controller))
        }
        Make::Address { link, .. }
        | Make::Neighbour { link, .. }
        | Make::ProxyNeighbour { link, .. }
        | Make::Forwarding { link, .. }
        | Make::Sysctl { link, .. }
        | Make::Bandwidth { link, .. } => indexes.contains(&link.index),
        Make::Route { route, .. } => route.link.is_some_and(|link| indexes.contains(&link)),
        Make::Rule(rule) => [&rule.iif, &rule.oif]
            .into_iter()
            .flatten()
            .any(|link| names.contains(link)),
        Make::Firewall(rule) => rule.links().into_iter().any(|link| names.contains(link)),
        Make::Resolver { .. } => false,
    }
}
