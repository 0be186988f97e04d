//! Forwarding databases of bridges and VXLANs.

use jackfield_kernel::{Make, Removal, plan::ForwardingEntry};
use jackfield_model::{Error, ErrorCode, Result};

use super::{
    Operation, attributes,
    table::{Entry, Origin},
};
use crate::{LinkId, grants::Want};

#[allow(missing_docs, clippy::missing_errors_doc)] // The WIT package is the documentation: see the module's head.
impl Operation {
    pub fn add_forwarding_entry(&mut self, link: LinkId, entry: ForwardingEntry) -> Result<()> {
        let run = self.call()?;
        let database = run.target(link)?;
        check_entry(&database, &entry)?;
        let make = Make::Forwarding {
            link: database.at,
            entry,
        };
        if run.plan.makes.contains(&make) {
            return Err(Error::new(
                ErrorCode::AlreadyExists,
                format!("link {} has that forwarding entry already", database.name),
            ));
        }
        run.step(&Want::Neighbour, make)
    }

    pub fn remove_forwarding_entry(&mut self, link: LinkId, entry: ForwardingEntry) -> Result<()> {
        let run = self.call()?;
        let database = run.target(link)?;
        check_entry(&database, &entry)?;
        let make = Make::Forwarding {
            link: database.at,
            entry: entry.clone(),
        };
        run.take_back(
            &database,
            "such forwarding entry",
            |m| *m == make,
            |run| {
                if database.origin == Origin::Parent {
                    // The kernel keeps no mark of who made an entry, so that one of the host's could not be told from ours.
                    run.allow(&Want::ChangeParent {
                        name: database.name.as_str(),
                        setting: "the forwarding database",
                    })?;
                }
                run.removal(
                    &Want::Neighbour,
                    Removal::Forwarding {
                        link: database.at,
                        entry,
                    },
                )
            },
        )
    }
}

fn check_entry(database: &Entry, entry: &ForwardingEntry) -> Result<()> {
    let vxlan = database.kind == "vxlan";
    if !vxlan && database.kind != "bridge" {
        return Err(Error::invalid(format!(
            "link {} is neither bridge nor vxlan: it has no forwarding database",
            database.name
        )));
    }
    if !vxlan && (entry.destination.is_some() || entry.vni.is_some() || entry.mac.is_none()) {
        return Err(Error::invalid(format!(
            "a forwarding entry of bridge {} has a MAC, and neither destination nor VXLAN number",
            database.name
        )));
    }
    if vxlan && entry.destination.is_none() {
        return Err(Error::invalid(format!(
            "a forwarding entry of vxlan {} needs a destination: the remote tunnel endpoint",
            database.name
        )));
    }
    entry.vni.map(attributes::check_vni).transpose()?;
    entry.vlan.map(attributes::check_vlan).transpose()?;
    Ok(())
}
