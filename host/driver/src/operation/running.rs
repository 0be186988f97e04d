//! What all calls of an operation share: its context, its links, its plan, and the one way to record a step.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use jackfield_kernel::{Ifindex, Kernel, LinkInfo, LinkQuery, Make, Namespace, Plan, Removal};
use jackfield_model::{Error, ErrorCode, IpNetwork, LinkName, Result};

use super::{
    deferred,
    table::{Entry, LinkTable, Origin},
};
use crate::{
    Context, LinkId, Outcome, Phase, PortReservation,
    grants::{Limits, Want, decide},
    state_view::StateView,
};

/// An operation that is not detached.
#[derive(Debug)]
pub(crate) struct Running {
    pub context: Context,
    /// Subnets of the network: the driver's to use without a grant.
    pub pools: Vec<IpNetwork>,
    pub links: LinkTable,
    pub plan: Plan,
    pub state: StateView,
    pub ports: Vec<PortReservation>,
    /// Addresses of the host that the network's ports are published on where none is asked for.
    pub host_bindings: Vec<IpAddr>,
    /// The link that the sandbox gets.
    pub interface: Option<Ifindex>,
    parents: BTreeMap<Ifindex, LinkName>,
    new_links: u32,
    /// Steps that one make stands for, beyond the first: the ports of a published range.
    pub extra_steps: u32,
    host_calls: u32,
}

impl Running {
    pub fn new(mut context: Context) -> Self {
        let own_links = std::mem::take(&mut context.own_links);
        let deferred = context.deferred.as_deref().filter(|_| context.phase == Phase::Join);
        let (plan, own_links) = deferred::begin(&context.realm, deferred, own_links);
        let pools = context
            .network
            .as_ref()
            .map(|network| network.pools.iter().map(|pool| pool.subnet).collect());
        Self {
            pools: pools.unwrap_or_default(),
            links: LinkTable::new(own_links),
            new_links: u32::try_from(plan.new_links().count()).unwrap_or(u32::MAX),
            plan,
            context,
            state: StateView::default(),
            ports: Vec::new(),
            host_bindings: Vec::new(),
            interface: None,
            parents: BTreeMap::new(),
            extra_steps: 0,
            host_calls: 0,
        }
    }

    pub fn finish(self) -> Outcome {
        let planned = self.context.phase == Phase::CreateEndpoint;
        let links = if self.context.phase.records() {
            self.links
                .iter()
                .filter(|entry| entry.origin == Origin::New)
                .filter_map(|entry| entry.to_own(planned))
                .collect()
        } else {
            Vec::new()
        };
        let (reads, writes) = self.state.finish();
        Outcome {
            plan: self.plan,
            reads,
            writes,
            links,
            parents: self.parents,
            host_bindings: self.host_bindings,
            ports: self.ports,
        }
    }

    pub fn limits(&self) -> &Limits {
        &self.context.grants.limits
    }

    /// Counts a call into the host.
    pub fn count_call(&mut self) -> Result<()> {
        self.host_calls = self.host_calls.saturating_add(1);
        let limit = self.limits().host_calls_per_operation;
        if self.host_calls > limit {
            Err(exhausted("calls into the host", limit, "host-calls-per-operation"))
        } else {
            Ok(())
        }
    }

    /// Whether steps may be recorded in this call at all.
    pub fn may_record(&self) -> Result<()> {
        let phase = self.context.phase;
        if phase.records() {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::InvalidState,
            format!(
                "{phase} cannot change the kernel: steps are recorded in create-network, create-endpoint, join and program"
            ),
        ))
    }

    /// Asks the grants, and leaves a record when they refuse.
    pub fn allow(&self, want: &Want<'_>) -> Result<()> {
        decide(&self.context.grants, want, &self.pools).map_err(|denial| {
            let (driver, phase) = (&self.context.driver, self.context.phase);
            let line = denial.line.as_deref().unwrap_or("none");
            tracing::warn!(target: "audit", %driver, %phase, wanted = %denial.wanted, line, "denied by grants");
            denial.into()
        })
    }

    /// The only way in which a driver's step gets into the plan: right phase, granted, within the limits.
    pub fn step(&mut self, want: &Want<'_>, make: Make) -> Result<()> {
        self.check_step(want)?;
        self.plan.makes.push(make);
        Ok(())
    }

    /// The same for a removal.
    pub fn removal(&mut self, want: &Want<'_>, removal: Removal) -> Result<()> {
        self.check_step(want)?;
        self.plan.removals.push(removal);
        Ok(())
    }

    /// Phase, grant and limit of one more step.
    pub fn check_step(&self, want: &Want<'_>) -> Result<()> {
        self.may_record()?;
        self.allow(want)?;
        let limit = self.limits().steps_per_operation;
        let steps = self.plan.makes.len() + self.plan.removals.len() + self.extra_steps as usize;
        if steps >= limit as usize {
            Err(exhausted("steps", limit, "steps-per-operation"))
        } else {
            Ok(())
        }
    }

    /// Room for so many more links.
    pub fn count_links(&mut self, count: u32) -> Result<()> {
        let limit = self.limits().links_per_operation;
        if self.new_links + count > limit {
            return Err(exhausted("links", limit, "links-per-operation"));
        }
        self.new_links += count;
        Ok(())
    }

    /// A link to take a step on. A link of the host is remembered with the plan.
    pub fn target(&mut self, link: LinkId) -> Result<Entry> {
        self.may_record()?;
        let entry = self.links.get(link)?.clone();
        if entry.origin == Origin::Parent {
            self.parents.insert(entry.at.index, entry.name.clone());
        }
        Ok(entry)
    }

    /// A link of this driver's whose setting changes: one of the host's is refused.
    pub fn own_target(&mut self, link: LinkId, setting: &str) -> Result<Entry> {
        let entry = self.target(link)?;
        if entry.origin == Origin::Parent {
            self.allow(&Want::ChangeParent {
                name: entry.name.as_str(),
                setting,
            })?;
        }
        Ok(entry)
    }

    pub fn kernel(&self) -> &Arc<dyn Kernel> {
        self.context.realm.kernel()
    }

    pub fn namespace(&self) -> &Namespace {
        self.context.realm.namespace()
    }

    /// What the kernel has of a link that is not new.
    ///
    /// # Errors
    /// not-found when it is gone, or another link has its index now.
    pub fn info(&self, entry: &Entry) -> Result<LinkInfo> {
        entry.in_realm()?;
        let info = self.kernel().link(self.namespace(), LinkQuery::Index(entry.at.index))?;
        let same = |info: &LinkInfo| match entry.origin {
            Origin::Parent | Origin::Lent => info.name == entry.name,
            Origin::New | Origin::Own => info.mac == entry.mac,
        };
        info.filter(same).ok_or_else(|| {
            Error::not_found(format!("link {} is gone", entry.name)).object(format!("link {}", entry.name))
        })
    }

    /// Takes out what fits, and says whether there was any.
    pub fn cancel(&mut self, fits: impl Fn(&Make) -> bool) -> bool {
        let before = self.plan.makes.len();
        self.plan.makes.retain(|make| !fits(make));
        self.plan.makes.len() < before
    }
}

fn exhausted(what: &str, limit: u32, key: &str) -> Error {
    Error::new(
        ErrorCode::Exhausted,
        format!("the operation has {limit} {what}, and more are not granted: {key} in the driver's limits raises it"),
    )
}
