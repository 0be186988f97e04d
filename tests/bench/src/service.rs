//! A service that follows its endpoints: one more comes, behind none or two hundred others. It is one change of the firewall, journalled, whose
//! size does not depend on them. What the endpoint itself costs is a join, and measured there.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Instant,
};

use jackfield_kernel::{Kernel, Make, Plan, Realm, journal::Journal, plan::FirewallRule};
use jackfield_model::OperationId;

use crate::{
    failure::{During, Result},
    figure::{Measured, Taken},
    place::Place,
    subject::Subject,
};

/// The service's own address.
const VIRTUAL: Ipv4Addr = Ipv4Addr::new(10, 80, 255, 254);
/// The first endpoint's.
const FIRST: Ipv4Addr = Ipv4Addr::new(10, 80, 0, 2);

/// See the module.
pub struct Service {
    // Before the place: its reaper ends first.
    realm: Arc<Realm>,
    operation: OperationId,
    endpoints: u32,
    what: Measured,
    _place: Place,
}

impl Service {
    /// A service with so many endpoints, in a realm of its own.
    ///
    /// # Errors
    /// When the realm or its journal cannot be had.
    pub fn of(name: &str, endpoints: u32, what: Measured) -> Result<Self> {
        let place = Place::new(name)?;
        let kernel: Arc<dyn Kernel> = place.lab.kernel().clone();
        let folder = place.lab.path("journal");
        std::fs::create_dir_all(&folder).during("make a folder for the journal")?;
        let (journal, _) = Journal::open(&folder).during("open a journal")?;
        let realm = Realm::open(kernel, place.lab.realm().clone(), Arc::new(journal)).during("open the realm")?;
        let operation = OperationId::random();
        let applied = realm.apply(&operation, &spread(endpoints), None);
        let applied = applied.during("make the service")?;
        applied.commit(Vec::new()).during("commit")?;
        Ok(Self {
            realm,
            operation,
            endpoints,
            what,
            _place: place,
        })
    }
}

/// The firewall's part of a service of so many endpoints.
fn spread(endpoints: u32) -> Plan {
    let address = |n: u32| IpAddr::from(Ipv4Addr::from(u32::from(FIRST) + n));
    let rule = FirewallRule::Spread {
        address: VIRTUAL.into(),
        side: false,
        targets: (0..endpoints).map(address).collect(),
    };
    Plan {
        makes: vec![Make::Firewall(rule)],
        removals: Vec::new(),
    }
}

impl Subject for Service {
    fn run_once(&mut self) -> Result<Taken> {
        let (more, before) = (spread(self.endpoints + 1), spread(self.endpoints));
        let start = Instant::now();
        let came = self.realm.amend(&self.operation, &more, Vec::new());
        let took = start.elapsed();
        came.during("let an endpoint come")?;
        let went = self.realm.amend(&self.operation, &before, Vec::new());
        went.during("let it go")?;
        Ok(vec![(self.what, took.into())])
    }
}
