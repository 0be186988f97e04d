//! The floor: a bare program that sends the messages of one join, made beforehand, over two blocking sockets. Nothing can be faster that has
//! the same effect; what the host adds to it is what the host costs.

use std::time::Instant;

use netlink_sys::Socket;

use crate::{
    crowd::Crowd,
    failure::{During, Result},
    figure::{Measured, Taken},
    guest::{self, Guest},
    place::Place,
    raw::{self, Batch},
    subject::Subject,
};

/// The sandbox that joins and leaves.
const MEASURED: Guest = Guest(0);

/// See the module.
pub struct Floor {
    what: Measured,
    every: usize,
    realm: Socket,
    sandbox: Socket,
    create: Batch,
    configure: Batch,
    settle: Batch,
    /// For the bridge's first port only.
    settle_bridge: Option<Batch>,
    delete: Batch,
    _others: Crowd,
    /// Keeps the namespaces.
    _place: Place,
}

impl Floor {
    /// Makes its realm and its messages.
    ///
    /// # Errors
    /// When namespaces or sockets cannot be made.
    pub fn new() -> Result<Self> {
        Self::beside(0, Measured::JoinFloor)
    }

    /// The same on a bridge that has so many ports already, each with a sandbox at its other end.
    ///
    /// # Errors
    /// When namespaces or sockets cannot be made.
    pub fn beside(others: u16, what: Measured) -> Result<Self> {
        let place = Place::new("floor")?;
        let sandbox = place.lab.within(&place.sandbox, raw::open);
        let fd = place
            .sandbox
            .fd()
            .ok_or("it has no descriptor")
            .during("take the sandbox")?;
        Ok(Self {
            what,
            every: if others == 0 { 1 } else { crate::nth::EVERY },
            realm: place.open_realm()?,
            sandbox: sandbox.during("enter a namespace")?.during("open a socket")?,
            create: MEASURED.create(fd),
            configure: MEASURED.configure(),
            settle: MEASURED.settle(),
            settle_bridge: (others == 0).then(guest::settle_bridge),
            delete: MEASURED.delete(),
            _others: Crowd::join(&place, 1..others + 1)?,
            _place: place,
        })
    }

    fn join(&self) -> Result<()> {
        guest::join(
            &self.realm,
            &self.sandbox,
            [&self.create, &self.configure, &self.settle],
        )?;
        self.settle_bridge
            .as_ref()
            .map_or(Ok(()), |settle| raw::ask(&self.realm, settle, "settle the bridge"))
    }

    fn leave(&self) -> Result<()> {
        raw::send(&self.realm, &self.delete, "delete the link")
    }
}

impl Subject for Floor {
    fn run_once(&mut self) -> Result<Taken> {
        let start = Instant::now();
        self.join()?;
        let took = start.elapsed();
        self.leave()?;
        Ok(vec![(self.what, took.into())])
    }

    fn every(&self) -> usize {
        self.every
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{guest::GROUP, place::BRIDGE};

    /// A floor that left something out would make everything else look slow.
    #[test]
    fn the_floor_connects_the_sandbox_and_leaves_nothing() {
        let floor = match Floor::new() {
            Ok(floor) => floor,
            Err(failure) => return eprintln!("skipped: {failure}"),
        };
        let lab = &floor._place.lab;
        let before = (lab.dump().unwrap(), lab.dump_of(&floor._place.sandbox).unwrap());
        floor.join().unwrap();
        let sandbox = lab.dump_of(&floor._place.sandbox).unwrap();
        let link = sandbox.links.iter().find(|l| l.name.as_str() == "eth0").unwrap();
        assert!(link.up && !link.address_generation, "{link:?}");
        let address = crate::place::ADDRESS.parse().unwrap();
        assert!(
            sandbox
                .addresses
                .iter()
                .any(|a| a.index == link.index && a.address == address)
        );
        let gateway = Some([10, 80, 0, 1].into());
        assert!(
            sandbox
                .routes
                .iter()
                .any(|r| r.route.gateway == gateway && r.route.link == Some(link.index))
        );
        let port = lab
            .dump()
            .unwrap()
            .links
            .into_iter()
            .find(|l| l.name.as_str() == "jf0")
            .unwrap();
        assert!(
            port.up && port.group == GROUP && port.controller.map(|c| c.get()) == Some(BRIDGE),
            "{port:?}"
        );
        floor.leave().unwrap();
        assert_eq!(
            (lab.dump().unwrap(), lab.dump_of(&floor._place.sandbox).unwrap()),
            before
        );
    }
}
