//! Many sandboxes on one bridge, as a bare program puts them there.

use std::{fs::File, ops::Range, time::Duration};

use jackfield_kernel::Dump;
use netlink_sys::Socket;
use nix::sched::{CloneFlags, unshare};

use crate::{
    failure::{During, Result},
    guest::{self, Guest},
    place::Place,
    quiet, raw,
};

/// How long the kernel may take to take a thousand namespaces apart.
const PATIENCE: Duration = Duration::from_secs(60);

/// Their namespaces. Dropped, the kernel takes them and their links apart, some time later.
#[derive(Debug)]
pub struct Crowd {
    _namespaces: Vec<File>,
}

impl Crowd {
    /// Makes a namespace for each of these guests and has it join the place's bridge.
    ///
    /// # Errors
    /// With the step that failed.
    pub fn join(place: &Place, guests: Range<u16>) -> Result<Self> {
        let realm = place.open_realm()?;
        let all = || guests.map(|number| join(&realm, Guest(number))).collect::<Result<_>>();
        // The thread comes back from wherever the last guest was made.
        let made = place.lab.within(place.lab.realm(), all);
        Ok(Self {
            _namespaces: made.during("enter the realm")??,
        })
    }
}

/// Leaves the thread in the guest's namespace.
fn join(realm: &Socket, guest: Guest) -> Result<File> {
    unshare(CloneFlags::CLONE_NEWNET).during("make a namespace")?;
    let namespace = File::open("/proc/thread-self/ns/net").during("open a namespace")?;
    let sandbox = raw::open().during("open a socket")?;
    let batches = [&guest.create(&namespace), &guest.configure(), &guest.settle()];
    guest::join(realm, &sandbox, batches)?;
    Ok(namespace)
}

/// Until the kernel has taken apart all namespaces that were let go of before.
///
/// # Errors
/// As [`Witness::await_departures`].
pub fn await_departures() -> Result<()> {
    Witness::new()?.await_departures()
}

/// Sees that namespaces are gone. It has some of its own, which begin to go only when it is dropped.
#[derive(Debug)]
pub struct Witness {
    place: Place,
    before: Dump,
}

impl Witness {
    /// With a bridge of its own.
    ///
    /// # Errors
    /// When a realm cannot be made.
    pub fn new() -> Result<Self> {
        let place = Place::new("departures")?;
        let before = place.lab.dump().during("look at the realm")?;
        Ok(Self { place, before })
    }

    /// Until the kernel has taken apart all namespaces that were let go of before, and freed their memory, which is later than the end of
    /// their links. It does so in their order: so one more is made, let go of and waited for.
    ///
    /// # Errors
    /// When it takes longer than it ever should.
    pub fn await_departures(&self) -> Result<()> {
        drop(Crowd::join(&self.place, 0..1)?);
        quiet::until_as_before(&self.place.lab, &self.before, PATIENCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::BRIDGE;

    /// A floor beside fewer ports than it says would make the host look slow.
    #[test]
    fn each_guest_is_a_port_of_the_bridge_and_leaves_nothing() {
        let place = match Place::new("crowd") {
            Ok(place) => place,
            Err(failure) => return eprintln!("skipped: {failure}"),
        };
        let before = place.lab.dump().unwrap();
        let crowd = Crowd::join(&place, 0..3).unwrap();
        let dump = place.lab.dump().unwrap();
        let ports = dump
            .links
            .iter()
            .filter(|l| l.up && l.controller.map(|c| c.get()) == Some(BRIDGE));
        assert_eq!(ports.count(), 3, "{dump:?}");
        drop(crowd);
        quiet::until_as_before(&place.lab, &before, PATIENCE).unwrap();
    }
}
