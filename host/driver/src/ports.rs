//! Host ports in use: who published what, so that two endpoints never get the same and a port can be chosen.
//!
//! A reservation is held from the moment the step is recorded until whoever keeps it lets go: the operation while it runs, then the
//! controller for as long as the endpoint has the port. A failed operation drops its reservations, and the ports are free.
//!
//! ```text
//!   (protocol, host address) --> ranges by their first port, none of which overlap
//! ```
//! A range conflicts with one of the same address, and with one of all addresses (the unspecified one): so a look at it costs two
//! look-ups in a tree however many ports are published, and one for each address in use where all addresses are wanted. Only the
//! ports that endpoints have are in here; those that programs of the realm have open, the kernel knows.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    ops::RangeInclusive,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jackfield_model::{Error, ErrorCode, Family, HostPort, PortMapping, Result, Transport};

/// Ports that are chosen from when any will do: the dynamic range of RFC 6335, but for its first. That Linux takes local ports of its own
/// connections from an overlapping range does no harm: their replies belong to a tracked connection, and are never looked up as a
/// published port.
const CHOICE: RangeInclusive<u16> = 49_153..=65_535;

/// Whose ports they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortOwner {
    /// The endpoint's id.
    pub id: String,
    /// What a refusal calls it: `endpoint web of network blue`.
    pub name: String,
}

/// One range that is taken.
#[derive(Debug)]
struct Taken {
    last: u16,
    owner: PortOwner,
    /// Its owner may hold just this range several times: as the host reserved it, and as his driver publishes it.
    holders: u32,
}

/// The ranges of one protocol and address, by their first port.
type Ranges = BTreeMap<u16, Taken>;

#[derive(Debug, Default)]
struct Ports {
    taken: BTreeMap<(Transport, IpAddr), Ranges>,
    /// Where the next choice begins, so that a port just let go of is not given out again at once.
    next_choice: u16,
}

/// The published ports of one realm. Cheap to clone; clones are the same book.
#[derive(Clone, Debug, Default)]
pub struct PortBook {
    ports: Arc<Mutex<Ports>>,
}

/// Ports held until this is dropped.
#[derive(Debug)]
pub struct PortReservation {
    book: PortBook,
    /// What is held; `host_port` is the chosen one.
    pub mapping: PortMapping,
}

impl PortBook {
    /// Reserves the mapping's host ports for their owner; `host_port` zero chooses them. What an owner holds already he may reserve again
    /// as it is.
    ///
    /// # Errors
    /// As [`PortBook::reserve_same`].
    pub fn reserve(&self, owner: &PortOwner, mapping: &PortMapping) -> Result<PortReservation> {
        let host_port = match mapping.host_port {
            0 => HostPort::Any,
            first => HostPort::Given(first),
        };
        let mut reservations = self.reserve_same(owner, std::slice::from_ref(mapping), host_port)?;
        reservations
            .pop()
            .ok_or_else(|| Error::internal("a reservation of one port came to none"))
    }

    /// Reserves the same host ports for all these mappings, which are one service on several addresses: all of them or none.
    ///
    /// # Errors
    /// already-exists when another owner has one of them, exhausted when none can be chosen, invalid-argument for an impossible range.
    pub fn reserve_same(
        &self,
        owner: &PortOwner,
        mappings: &[PortMapping],
        host_port: HostPort,
    ) -> Result<Vec<PortReservation>> {
        mappings.iter().try_for_each(|mapping| check(mapping, host_port))?;
        let mut ports = self.lock();
        let first = match host_port {
            HostPort::Given(first) => first,
            HostPort::Any => ports.choose(mappings)?,
            HostPort::Within(first, last) => ports.choose_within(mappings, first..=last)?,
        };
        let mappings: Vec<_> = mappings.iter().map(|mapping| at(mapping, first)).collect();
        mappings
            .iter()
            .try_for_each(|mapping| ports.refuse_taken(owner, mapping))?;
        Ok(mappings
            .into_iter()
            .map(|mapping| {
                ports.take(owner, &mapping);
                let book = self.clone();
                PortReservation { book, mapping }
            })
            .collect())
    }

    fn lock(&self) -> MutexGuard<'_, Ports> {
        // The book is whole between any two statements that could panic.
        self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PortReservation {
    fn drop(&mut self) {
        self.book.lock().release(&self.mapping);
    }
}

fn at(mapping: &PortMapping, host_port: u16) -> PortMapping {
    PortMapping {
        host_port,
        ..mapping.clone()
    }
}

fn last_port(mapping: &PortMapping) -> u16 {
    mapping.host_port.saturating_add(mapping.count - 1)
}

impl Ports {
    /// A range that the mapping cannot stand beside.
    fn overlapping(&self, mapping: &PortMapping) -> Option<(&(Transport, IpAddr), u16, &Taken)> {
        let address = mapping.host_address;
        if !address.is_unspecified() {
            let all = match Family::of(address) {
                Family::Ipv4 => IpAddr::from([0; 4]),
                Family::Ipv6 => IpAddr::from([0; 16]),
            };
            let there = |address| self.taken.get_key_value(&(mapping.transport, address));
            return [address, all]
                .into_iter()
                .filter_map(there)
                .find_map(|r| overlap(r, mapping));
        }
        let same_family = |(transport, there): &(Transport, IpAddr)| {
            *transport == mapping.transport && Family::of(*there) == Family::of(address)
        };
        let mut ranges = self.taken.iter().filter(|(key, _)| same_family(key));
        ranges.find_map(|ranges| overlap(ranges, mapping))
    }

    fn refuse_taken(&self, owner: &PortOwner, mapping: &PortMapping) -> Result<()> {
        let Some(((_, address), first, taken)) = self.overlapping(mapping) else {
            return Ok(());
        };
        let same = *address == mapping.host_address && first == mapping.host_port && taken.last == last_port(mapping);
        if same && taken.owner.id == owner.id {
            return Ok(());
        }
        let message = format!(
            "host port {}/{} is published for {} already: choose another, or none to have one chosen",
            first.max(mapping.host_port),
            mapping.transport,
            taken.owner.name
        );
        Err(Error::new(ErrorCode::AlreadyExists, message))
    }

    fn take(&mut self, owner: &PortOwner, mapping: &PortMapping) {
        let ranges = self.taken.entry((mapping.transport, mapping.host_address)).or_default();
        let taken = ranges.entry(mapping.host_port).or_insert_with(|| Taken {
            last: last_port(mapping),
            owner: owner.clone(),
            holders: 0,
        });
        taken.holders += 1;
    }

    fn release(&mut self, mapping: &PortMapping) {
        let key = (mapping.transport, mapping.host_address);
        let Some(ranges) = self.taken.get_mut(&key) else { return };
        if let Some(taken) = ranges.get_mut(&mapping.host_port) {
            taken.holders -= 1;
            if taken.holders == 0 {
                ranges.remove(&mapping.host_port);
            }
        }
        if ranges.is_empty() {
            self.taken.remove(&key);
        }
    }

    /// Goes on where the last choice ended, and begins anew at the end.
    fn choose(&mut self, mappings: &[PortMapping]) -> Result<u16> {
        let begin = self.next_choice.clamp(*CHOICE.start(), *CHOICE.end());
        let first = self
            .free_in(mappings, begin..=*CHOICE.end())
            .or_else(|| self.free_in(mappings, CHOICE))
            .ok_or_else(|| none_free(mappings, CHOICE))?;
        let count = mappings.first().map_or(1, |mapping| mapping.count);
        self.next_choice = first.checked_add(count).unwrap_or(*CHOICE.start());
        Ok(first)
    }

    fn choose_within(&self, mappings: &[PortMapping], range: RangeInclusive<u16>) -> Result<u16> {
        self.free_in(mappings, range.clone())
            .ok_or_else(|| none_free(mappings, range))
    }

    /// The lowest first port in the range that suits all mappings. Also what their owner has already is stepped over.
    fn free_in(&self, mappings: &[PortMapping], range: RangeInclusive<u16>) -> Option<u16> {
        let (mut first, end) = range.into_inner();
        loop {
            let fits = |mapping: &PortMapping| u32::from(first) + u32::from(mapping.count) <= u32::from(end) + 1;
            if !mappings.iter().all(fits) {
                return None;
            }
            let mut taken = mappings
                .iter()
                .filter_map(|m| Some(self.overlapping(&at(m, first))?.2.last));
            match taken.next() {
                None => return Some(first),
                Some(last) => first = last.checked_add(1)?,
            }
        }
    }
}

/// Ranges of one address do not overlap, so only the last one that begins in time can reach into the mapping's.
fn overlap<'a>(
    (key, ranges): (&'a (Transport, IpAddr), &'a Ranges),
    mapping: &PortMapping,
) -> Option<(&'a (Transport, IpAddr), u16, &'a Taken)> {
    let (first, taken) = ranges.range(..=last_port(mapping)).next_back()?;
    (taken.last >= mapping.host_port).then_some((key, *first, taken))
}

fn none_free(mappings: &[PortMapping], range: RangeInclusive<u16>) -> Error {
    let message = format!(
        "no {} free host ports in a row between {} and {}",
        mappings.first().map_or(1, |mapping| mapping.count),
        range.start(),
        range.end()
    );
    Error::new(ErrorCode::Exhausted, message)
}

/// A mapping's ranges must not be empty, begin at zero or run past the last port.
fn check(mapping: &PortMapping, host_port: HostPort) -> Result<()> {
    let fits = |first: u16| u32::from(first) + u32::from(mapping.count) <= 65_536;
    let first = match host_port {
        HostPort::Any => 0,
        HostPort::Given(first) | HostPort::Within(first, _) => first,
    };
    if mapping.count == 0 || mapping.container_port == 0 || !fits(mapping.container_port) || !fits(first) {
        return Err(Error::invalid(format!(
            "{} ports from {first} on the host to {} in the sandbox are impossible: expected at least one, none of them 0 or over 65535",
            mapping.count, mapping.container_port
        )));
    }
    if host_port == HostPort::Any && mapping.count > CHOICE.end() - CHOICE.start() + 1 {
        return Err(Error::invalid(format!(
            "{} ports are more than there are to choose from",
            mapping.count
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(address: &str, host_port: u16, count: u16) -> PortMapping {
        PortMapping {
            transport: Transport::Tcp,
            container_port: 80,
            host_address: address.parse().unwrap(),
            host_port,
            count,
        }
    }

    fn owner(id: &str) -> PortOwner {
        PortOwner {
            id: id.to_owned(),
            name: format!("endpoint {id} of network blue"),
        }
    }

    fn reserve(book: &PortBook, id: &str, address: &str, port: u16, count: u16) -> Result<PortReservation> {
        book.reserve(&owner(id), &mapping(address, port, count))
    }

    #[test]
    fn a_port_has_one_owner_until_it_is_let_go() {
        let book = PortBook::default();
        let held = reserve(&book, "a", "0.0.0.0", 8080, 10).unwrap();
        for (address, port, count) in [
            ("0.0.0.0", 8080, 1),
            ("10.0.0.1", 8089, 1),
            ("0.0.0.0", 8070, 11),
            ("0.0.0.0", 8000, 1000),
        ] {
            for id in ["a", "b"] {
                let refused = reserve(&book, id, address, port, count).unwrap_err();
                assert_eq!(refused.code, ErrorCode::AlreadyExists, "{address}:{port}");
                assert!(refused.message.contains("endpoint a of network blue"), "{refused}");
            }
        }
        let _other_family = reserve(&book, "b", "::", 8080, 1).unwrap();
        let _next_to_it = reserve(&book, "b", "0.0.0.0", 8090, 1).unwrap();
        let again = reserve(&book, "a", "0.0.0.0", 8080, 10).unwrap();
        drop(held);
        assert!(reserve(&book, "b", "0.0.0.0", 8080, 1).is_err(), "held once more");
        drop(again);
        assert!(reserve(&book, "b", "0.0.0.0", 8080, 1).is_ok());
    }

    #[test]
    fn addresses_of_one_port_are_apart_unless_one_is_all_of_them() {
        let book = PortBook::default();
        let _one = reserve(&book, "a", "10.0.0.1", 80, 1).unwrap();
        assert!(reserve(&book, "b", "10.0.0.2", 80, 1).is_ok());
        assert!(reserve(&book, "b", "0.0.0.0", 80, 1).is_err());
        assert!(reserve(&book, "b", "::", 80, 1).is_ok());
    }

    #[test]
    fn chosen_ports_differ_also_for_one_owner_and_run_out() {
        let book = PortBook::default();
        let first = reserve(&book, "a", "0.0.0.0", 0, 2).unwrap();
        let second = reserve(&book, "a", "0.0.0.0", 0, 2).unwrap();
        assert!(CHOICE.contains(&first.mapping.host_port));
        assert_eq!(second.mapping.host_port, first.mapping.host_port + 2);
        let rest = 65_535 - second.mapping.host_port - 1;
        let _rest = reserve(&book, "a", "0.0.0.0", 0, rest).unwrap();
        assert_eq!(
            reserve(&book, "b", "0.0.0.0", 0, 1).unwrap_err().code,
            ErrorCode::Exhausted
        );
        drop(first);
        assert!(reserve(&book, "b", "0.0.0.0", 0, 2).is_ok());
    }

    #[test]
    fn one_service_has_the_same_port_on_all_its_addresses() {
        let book = PortBook::default();
        let both = [mapping("0.0.0.0", 0, 1), mapping("::", 0, 1)];
        let _taken = reserve(&book, "a", "::", 8000, 1).unwrap();
        let got = book
            .reserve_same(&owner("b"), &both, HostPort::Within(8000, 8001))
            .unwrap();
        assert!(got.iter().all(|r| r.mapping.host_port == 8001));
        let none = book
            .reserve_same(&owner("b"), &both, HostPort::Within(8000, 8001))
            .unwrap_err();
        assert_eq!(none.message, "no 1 free host ports in a row between 8000 and 8001");
        assert!(book.reserve_same(&owner("c"), &both, HostPort::Given(8000)).is_err());
        assert!(reserve(&book, "c", "0.0.0.0", 8000, 1).is_ok(), "all of them or none");
    }

    #[test]
    fn impossible_ranges_are_refused() {
        let book = PortBook::default();
        for (host_port, count) in [(80, 0), (65_535, 2), (0, u16::MAX)] {
            let refused = reserve(&book, "a", "0.0.0.0", host_port, count).unwrap_err();
            assert_eq!(refused.code, ErrorCode::InvalidArgument);
        }
        let zero = PortMapping {
            container_port: 0,
            ..mapping("0.0.0.0", 80, 1)
        };
        assert!(book.reserve(&owner("a"), &zero).is_err());
    }
}
