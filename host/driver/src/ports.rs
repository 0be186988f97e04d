//! Host ports in use: who published what, so that two endpoints never get the same and a port can be chosen.
//!
//! A reservation is held from the moment the step is recorded until whoever keeps it lets go: the operation while it runs, then the
//! controller for as long as the endpoint has the port. A failed operation drops its reservations, and the ports are free.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use jackfield_model::{Error, ErrorCode, Family, PortMapping, Result, Transport};

/// Ports that are chosen from when a driver asks for any: the dynamic range of RFC 6335, but for its first.
const CHOICE: std::ops::RangeInclusive<u16> = 49_153..=65_535;

/// One range that is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Taken {
    id: u64,
    owner: String,
    transport: Transport,
    address: IpAddr,
    first: u16,
    last: u16,
}

impl Taken {
    /// Whether the two cannot both be published. The unspecified address is every address of its family.
    fn conflicts(&self, other: &Self) -> bool {
        let same_address = Family::of(self.address) == Family::of(other.address)
            && (self.address == other.address || self.address.is_unspecified() || other.address.is_unspecified());
        self.owner != other.owner
            && self.transport == other.transport
            && same_address
            && self.first <= other.last
            && other.first <= self.last
    }
}

#[derive(Debug, Default)]
struct Ports {
    taken: Vec<Taken>,
    next_id: u64,
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
    id: u64,
    /// What is held; `host_port` is the chosen one.
    pub mapping: PortMapping,
}

impl PortBook {
    /// Reserves the mapping's host ports for an owner (an endpoint's id); `host_port` zero chooses them. An owner may hold a port
    /// twice: while its list of ports is programmed anew, the old one still stands.
    ///
    /// # Errors
    /// already-exists when another owner has one of them, exhausted when none can be chosen, invalid-argument for an impossible range.
    pub fn reserve(&self, owner: &str, mapping: &PortMapping) -> Result<PortReservation> {
        check(mapping)?;
        let mut ports = self.ports.lock().unwrap_or_else(PoisonError::into_inner);
        let host_port = if mapping.host_port == 0 {
            ports.choose(owner, mapping)?
        } else {
            mapping.host_port
        };
        let mapping = PortMapping {
            host_port,
            ..mapping.clone()
        };
        let id = ports.take(owner, &mapping)?;
        Ok(PortReservation {
            book: self.clone(),
            id,
            mapping,
        })
    }
}

impl Drop for PortReservation {
    fn drop(&mut self) {
        let mut ports = self.book.ports.lock().unwrap_or_else(PoisonError::into_inner);
        ports.taken.retain(|taken| taken.id != self.id);
    }
}

impl Ports {
    fn candidate(&self, owner: &str, mapping: &PortMapping, first: u16) -> Taken {
        let (transport, address) = (mapping.transport, mapping.host_address);
        Taken {
            id: self.next_id,
            owner: owner.to_owned(),
            transport,
            address,
            first,
            last: first + (mapping.count - 1),
        }
    }

    fn take(&mut self, owner: &str, mapping: &PortMapping) -> Result<u64> {
        let wanted = self.candidate(owner, mapping, mapping.host_port);
        if let Some(other) = self.taken.iter().find(|taken| taken.conflicts(&wanted)) {
            return Err(Error::new(
                ErrorCode::AlreadyExists,
                format!(
                    "host port {} is published for endpoint {} already: choose another, or 0 to have one chosen",
                    other.first.max(wanted.first),
                    other.owner
                ),
            ));
        }
        self.next_id += 1;
        let id = wanted.id;
        self.taken.push(wanted);
        Ok(id)
    }

    fn choose(&mut self, owner: &str, mapping: &PortMapping) -> Result<u16> {
        let last_first = CHOICE.end() - (mapping.count - 1);
        let begin = self.next_choice.clamp(*CHOICE.start(), last_first.max(*CHOICE.start()));
        // Another range of the same owner must not be chosen either: compared under a name that nobody has.
        let free = |first: &u16| {
            let wanted = Taken {
                owner: String::new(),
                ..self.candidate(owner, mapping, *first)
            };
            !self.taken.iter().any(|taken| taken.conflicts(&wanted))
        };
        let found = (begin..=last_first)
            .chain(*CHOICE.start()..begin.min(last_first))
            .find(free);
        let first = found.ok_or_else(|| {
            let message = format!(
                "no {} free host ports in a row between {} and {}",
                mapping.count,
                CHOICE.start(),
                CHOICE.end()
            );
            Error::new(ErrorCode::Exhausted, message)
        })?;
        self.next_choice = first.checked_add(mapping.count).unwrap_or(*CHOICE.start());
        Ok(first)
    }
}

/// A mapping's ranges must not be empty, begin at zero or run past the last port.
fn check(mapping: &PortMapping) -> Result<()> {
    let fits = |first: u16| u32::from(first) + u32::from(mapping.count) <= 65_536;
    if mapping.count == 0 || mapping.container_port == 0 || !fits(mapping.container_port) || !fits(mapping.host_port) {
        return Err(Error::invalid(format!(
            "{} ports from {} on the host to {} in the sandbox are impossible: expected at least one, none of them 0 or over 65535",
            mapping.count, mapping.host_port, mapping.container_port
        )));
    }
    if mapping.host_port == 0 && mapping.count > CHOICE.end() - CHOICE.start() + 1 {
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

    #[test]
    fn a_port_has_one_owner_until_it_is_let_go() {
        let book = PortBook::default();
        let held = book.reserve("a", &mapping("0.0.0.0", 8080, 10)).unwrap();
        for (address, port, count) in [("0.0.0.0", 8080, 1), ("10.0.0.1", 8089, 1), ("0.0.0.0", 8070, 11)] {
            let refused = book.reserve("b", &mapping(address, port, count)).unwrap_err();
            assert_eq!(refused.code, ErrorCode::AlreadyExists, "{address}:{port}");
        }
        assert!(
            book.reserve("b", &mapping("::", 8080, 1)).is_ok(),
            "the families are apart"
        );
        assert!(book.reserve("b", &mapping("0.0.0.0", 8090, 1)).is_ok(), "next to it");
        assert!(
            book.reserve("a", &mapping("0.0.0.0", 8080, 1)).is_ok(),
            "its owner programs it anew"
        );
        drop(held);
        assert!(book.reserve("b", &mapping("0.0.0.0", 8080, 1)).is_ok());
    }

    #[test]
    fn addresses_of_one_port_are_apart_unless_one_is_all_of_them() {
        let book = PortBook::default();
        let _one = book.reserve("a", &mapping("10.0.0.1", 80, 1)).unwrap();
        assert!(book.reserve("b", &mapping("10.0.0.2", 80, 1)).is_ok());
        assert!(book.reserve("b", &mapping("0.0.0.0", 80, 1)).is_err());
    }

    #[test]
    fn chosen_ports_differ_also_for_one_owner_and_run_out() {
        let book = PortBook::default();
        let first = book.reserve("a", &mapping("0.0.0.0", 0, 2)).unwrap();
        let second = book.reserve("a", &mapping("0.0.0.0", 0, 2)).unwrap();
        assert!(CHOICE.contains(&first.mapping.host_port));
        assert_eq!(second.mapping.host_port, first.mapping.host_port + 2);
        let rest = 65_535 - second.mapping.host_port - 1;
        let _rest = book.reserve("a", &mapping("0.0.0.0", 0, rest)).unwrap();
        assert_eq!(
            book.reserve("b", &mapping("0.0.0.0", 0, 1)).unwrap_err().code,
            ErrorCode::Exhausted
        );
        drop(first);
        assert!(book.reserve("b", &mapping("0.0.0.0", 0, 2)).is_ok());
    }

    #[test]
    fn impossible_ranges_are_refused() {
        let book = PortBook::default();
        for (host_port, count) in [(80, 0), (65_535, 2), (0, u16::MAX)] {
            assert_eq!(
                book.reserve("a", &mapping("0.0.0.0", host_port, count))
                    .unwrap_err()
                    .code,
                ErrorCode::InvalidArgument
            );
        }
        let zero = PortMapping {
            container_port: 0,
            ..mapping("0.0.0.0", 80, 1)
        };
        assert!(book.reserve("a", &zero).is_err());
    }
}
