//! Which request is whose work.

use super::{Answer, link::Spot, state::State};
use crate::{NamespaceId, PROTOCOL, Request};

impl State {
    /// Does one request in a namespace that is there.
    pub(super) fn answer(&mut self, space: NamespaceId, request: &Request) -> Answer {
        match request {
            Request::CreateLink {
                link,
                controller,
                group,
                sandbox,
            } => self.create_link(space, link, *controller, *group, sandbox.as_ref().map(|s| s.id())),
            Request::MoveLink {
                index,
                to,
                name,
                new_index,
            } => self.move_link(Spot { space, index: *index }, to.id(), name, *new_index),
            Request::SetLink { index, setting } => self.set_link(space, *index, setting),
            Request::Retire { index, group } => self.retire(space, *index, *group),
            Request::DeleteLink { index } => self.delete_link(space, *index),
            Request::DeleteGroup { group } => self.delete_group(space, *group),
            other => self.answer_within(space, other),
        }
    }

    /// Does one that stays within its namespace.
    fn answer_within(&mut self, space: NamespaceId, request: &Request) -> Answer {
        let space = self.within(space)?;
        match request {
            Request::SetAlias { index, alias } => space.set_alias(*index, alias),
            Request::RenameLink { index, name } => space.rename(*index, name),
            Request::Settle { index } => space.link(*index).map(drop),
            Request::AddAddress { index, address } => space.add_address(*index, *address, PROTOCOL),
            Request::DeleteAddress { index, address } => space.delete_address(*index, *address),
            Request::AddNeighbour { index, address, mac } => space.add_neighbour(*index, *address, *mac, PROTOCOL),
            Request::DeleteNeighbour { index, address } => space.delete_neighbour(*index, *address),
            Request::AddProxyNeighbour { index, address } => space.add_proxy(*index, *address, PROTOCOL),
            Request::DeleteProxyNeighbour { index, address } => space.delete_proxy(*index, *address),
            Request::AddForwarding { index, entry } => space.add_forwarding(*index, entry),
            Request::DeleteForwarding { index, entry } => space.delete_forwarding(*index, entry),
            Request::AddRoute(route) => space.add_route(route, PROTOCOL),
            Request::DeleteRoute(route) => space.delete_route(route, PROTOCOL),
            Request::AddRule(rule) => space.add_rule(rule, PROTOCOL),
            Request::DeleteRule(rule) => space.delete_rule(rule, PROTOCOL),
            Request::WriteSysctl { index, key, value } => space.write_sysctl(*index, key, value),
            Request::SetBandwidth { index, ingress, egress } => space.set_bandwidth(*index, *ingress, *egress),
            Request::Firewall(changes) => space.change_firewall(changes),
            Request::AddResolver { port } => space.add_resolver(*port),
            Request::DeleteResolver => space.delete_resolver(),
            Request::FlushConntrack { .. } | Request::FlushPorts(_) => Ok(()),
            // Those that reach beyond the namespace were answered before.
            Request::CreateLink { .. }
            | Request::MoveLink { .. }
            | Request::SetLink { .. }
            | Request::Retire { .. }
            | Request::DeleteLink { .. }
            | Request::DeleteGroup { .. } => Ok(()),
        }
    }
}
