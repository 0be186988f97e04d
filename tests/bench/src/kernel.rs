//! The kernel crate: a plan compiled, journalled, applied and committed, as the host does it for each join.

use std::{sync::Arc, time::Instant};

use jackfield_kernel::{
    Kernel, LinkAt, Make, Place as Side, Plan, Realm, SandboxAt,
    journal::Journal,
    plan::{LinkKind, LinkSetting, NewLink, Route, VethPeer},
};
use jackfield_model::{MacAddr, OperationId};

use crate::{
    failure::{During, Result},
    figure::{Measured, Taken},
    place::{ADDRESS, BRIDGE, Place, index},
    subject::Subject,
};

/// See the module.
pub struct KernelCrate {
    // Before the place: its reaper ends first.
    realm: Arc<Realm>,
    sandbox: SandboxAt,
    _place: Place,
}

impl KernelCrate {
    /// Opens a realm of its own.
    ///
    /// # Errors
    /// When the realm or its journal cannot be had.
    pub fn new() -> Result<Self> {
        let place = Place::new("kernel")?;
        let kernel: Arc<dyn Kernel> = place.lab.kernel().clone();
        let folder = place.lab.path("journal");
        std::fs::create_dir_all(&folder).during("make a folder for the journal")?;
        let (journal, _) = Journal::open(&folder).during("open a journal")?;
        let realm = Realm::open(kernel, place.lab.realm().clone(), Arc::new(journal)).during("open the realm")?;
        // As the host makes its sandboxes, which stay open.
        let sandbox = SandboxAt {
            namespace: realm.make_sandbox().during("make a sandbox")?,
            source: None,
        };
        Ok(Self {
            realm,
            sandbox,
            _place: place,
        })
    }

    /// What the built-in bridge records for an endpoint.
    fn plan(&self) -> Result<Plan> {
        let near = LinkAt {
            place: Side::Realm,
            index: self.realm.reserve_index(),
        };
        let far = LinkAt {
            place: Side::Sandbox,
            index: self.realm.reserve_index(),
        };
        let peer = VethPeer {
            at: far,
            name: "eth0".parse().during("name a link")?,
            mac: MacAddr::random(),
            mtu: Some(1500),
        };
        let link = NewLink {
            at: near,
            name: "jf0".parse().during("name a link")?,
            mac: MacAddr::random(),
            mtu: Some(1500),
            kind: LinkKind::Veth { peer },
        };
        let set = |link, to| Make::Set { link, to, was: None };
        let gateway = [10, 80, 0, 1].into();
        let everywhere = "0.0.0.0/0".parse().during("read a subnet")?;
        let makes = vec![
            Make::Link(link),
            set(near, LinkSetting::Controller(Some(index(BRIDGE)?))),
            set(near, LinkSetting::Up(true)),
            Make::Address {
                link: far,
                address: ADDRESS.parse().during("read an address")?,
            },
            set(far, LinkSetting::Up(true)),
            Make::Route {
                place: Side::Sandbox,
                route: Route::via(everywhere, gateway, far.index),
            },
        ];
        Ok(Plan {
            makes,
            removals: Vec::new(),
        })
    }
}

impl Subject for KernelCrate {
    fn run_once(&mut self) -> Result<Taken> {
        let (operation, plan) = (OperationId::random(), self.plan()?);
        let start = Instant::now();
        let applied = self
            .realm
            .apply(&operation, &plan, Some(&self.sandbox))
            .during("apply the plan")?;
        applied.commit(Vec::new()).during("commit")?;
        let took = start.elapsed();
        let kept = Some(&self.sandbox.namespace);
        self.realm
            .release_from(&operation, Vec::new(), kept)
            .during("release")?;
        if !self.realm.quiesce() {
            return Err("links are left over").during("wait for the reaper");
        }
        Ok(vec![(Measured::JoinKernel, took.into())])
    }
}
