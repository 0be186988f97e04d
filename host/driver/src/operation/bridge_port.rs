//! Ports of bridges: which bridge, and with what settings.

use jackfield_kernel::{
    Ifindex, Make,
    plan::{BridgePortAttributes, LinkSetting},
};
use jackfield_model::{Error, ErrorCode, Options, Result};

use super::{
    Operation, attributes,
    running::Running,
    table::{Entry, Origin},
};
use crate::{LinkId, grants::Want};

#[allow(missing_docs, clippy::missing_errors_doc)] // The WIT package is the documentation: see the module's head.
impl Operation {
    pub fn set_controller(&mut self, link: LinkId, controller: Option<LinkId>) -> Result<()> {
        let run = self.call()?;
        let port = run.own_target(link, "the controller")?;
        let bridge = controller.map(|bridge| run.target(bridge)).transpose()?;
        if let Some(bridge) = &bridge {
            check_port(&port, bridge)?;
        }
        run.set(
            &port,
            LinkSetting::Controller(bridge.as_ref().map(|bridge| bridge.at.index)),
        )?;
        match bridge {
            None => run.forget_port(&port),
            Some(bridge) if bridge.ports_isolated => run.isolate(&port)?,
            Some(_) => {}
        }
        Ok(())
    }

    pub fn set_bridge_port(&mut self, link: LinkId, attributes: &Options) -> Result<()> {
        let run = self.call()?;
        let wanted = attributes::bridge_port(attributes)?;
        let port = run.own_target(link, "the bridge port")?;
        if !run.is_port(&port)? {
            return Err(Error::new(
                ErrorCode::InvalidState,
                format!("link {} is no port of a bridge: set its controller first", port.name),
            ));
        }
        run.set_port(&port, wanted)
    }

    pub fn isolate_ports(&mut self, link: LinkId) -> Result<()> {
        let run = self.call()?;
        run.check_step(&Want::Firewall { verb: "isolate" })?;
        run.isolate_ports(link)
    }
}

impl Running {
    /// No traffic between the ports of a bridge, those that it has and those that it gets.
    pub(super) fn isolate_ports(&mut self, link: LinkId) -> Result<()> {
        let bridge = self.own_target(link, "the isolation")?;
        if bridge.kind != "bridge" {
            return Err(Error::invalid(format!(
                "link {} is a {}, and only a bridge has ports to isolate",
                bridge.name, bridge.kind
            )));
        }
        if bridge.origin != Origin::New {
            // Ports that joined before would stay as they are.
            return Err(Error::new(
                ErrorCode::InvalidState,
                format!("ports of bridge {} can be isolated only where it is made", bridge.name),
            ));
        }
        self.links.get_mut(link)?.ports_isolated = true;
        for port in self.ports_of(bridge.at.index) {
            self.isolate(&port)?;
        }
        Ok(())
    }

    fn isolate(&mut self, port: &Entry) -> Result<()> {
        self.set_port(
            port,
            BridgePortAttributes {
                isolated: Some(true),
                ..BridgePortAttributes::default()
            },
        )
    }

    /// What is not given stays as this plan has it already.
    fn set_port(&mut self, port: &Entry, wanted: BridgePortAttributes) -> Result<()> {
        let earlier = self.plan.makes.iter().find_map(|make| match make {
            Make::Set {
                link,
                to: LinkSetting::BridgePort(earlier),
                ..
            } if *link == port.at => Some(*earlier),
            _ => None,
        });
        self.set(
            port,
            LinkSetting::BridgePort(merge(earlier.unwrap_or_default(), wanted)),
        )
    }

    fn forget_port(&mut self, port: &Entry) {
        self.cancel(|make| matches!(make, Make::Set { link, to: LinkSetting::BridgePort(_), .. } if *link == port.at));
    }

    fn is_port(&self, entry: &Entry) -> Result<bool> {
        let planned = self.plan.makes.iter().find_map(|make| match make {
            Make::Set {
                link,
                to: LinkSetting::Controller(controller),
                ..
            } if *link == entry.at => Some(controller.is_some()),
            _ => None,
        });
        match planned {
            Some(planned) => Ok(planned),
            None if entry.origin == Origin::New => Ok(false),
            None => Ok(self.info(entry)?.controller.is_some()),
        }
    }

    /// The links that this plan makes ports of that bridge.
    fn ports_of(&self, bridge: Ifindex) -> Vec<Entry> {
        let port = |make: &Make| match make {
            Make::Set {
                link,
                to: LinkSetting::Controller(Some(controller)),
                ..
            } if *controller == bridge => Some(link.index),
            _ => None,
        };
        self.plan
            .makes
            .iter()
            .filter_map(port)
            .filter_map(|index| self.links.by_index(index))
            .cloned()
            .collect()
    }
}

fn check_port(port: &Entry, bridge: &Entry) -> Result<()> {
    port.in_realm()?;
    bridge.in_realm()?;
    if bridge.kind != "bridge" {
        return Err(Error::invalid(format!(
            "link {} is no bridge, so that {} cannot be its port",
            bridge.name, port.name
        )));
    }
    if port.kind == "bridge" {
        return Err(Error::invalid(format!(
            "{} is a bridge, and a bridge cannot be a port of another",
            port.name
        )));
    }
    Ok(())
}

/// The later word counts.
fn merge(earlier: BridgePortAttributes, later: BridgePortAttributes) -> BridgePortAttributes {
    BridgePortAttributes {
        isolated: later.isolated.or(earlier.isolated),
        hairpin: later.hairpin.or(earlier.hairpin),
        learning: later.learning.or(earlier.learning),
        neigh_suppress: later.neigh_suppress.or(earlier.neigh_suppress),
        flood: later.flood.or(earlier.flood),
        mcast_flood: later.mcast_flood.or(earlier.mcast_flood),
    }
}

/// Of what the port has, that which is about to change.
pub(super) fn before(now: BridgePortAttributes, new: BridgePortAttributes) -> BridgePortAttributes {
    BridgePortAttributes {
        isolated: new.isolated.and(now.isolated),
        hairpin: new.hairpin.and(now.hairpin),
        learning: new.learning.and(now.learning),
        neigh_suppress: new.neigh_suppress.and(now.neigh_suppress),
        flood: new.flood.and(now.flood),
        mcast_flood: new.mcast_flood.and(now.mcast_flood),
    }
}
