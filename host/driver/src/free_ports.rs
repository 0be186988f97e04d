//! Host ports that are free: no endpoint has them by the book, and no program of the realm has them open by the kernel.

use jackfield_kernel::{Kernel, Namespace, PortUse};
use jackfield_model::{Error, ErrorCode, HostPort, PortMapping, Result};

use crate::{PortBook, PortOwner, PortReservation};

/// Host ports that are tried when any will do and programs have them open.
const MOST_PASSED_OVER: usize = 64;

/// Where ports are looked for.
#[derive(Clone, Copy, Debug)]
pub struct FreePorts<'a> {
    /// Those that endpoints have.
    pub book: &'a PortBook,
    /// Knows those that programs have open.
    pub kernel: &'a dyn Kernel,
    /// The realm's.
    pub namespace: &'a Namespace,
}

impl FreePorts<'_> {
    /// Reserves the same host ports for all these mappings, which are one service on several addresses: all of them or none.
    ///
    /// # Errors
    /// As [`PortBook::reserve_same`]; already-exists too when a program has one of them open, exhausted when each that was tried is, and
    /// invalid-argument for an address that is none of the host's.
    pub fn reserve(
        &self,
        owner: &PortOwner,
        mappings: &[PortMapping],
        host_port: HostPort,
    ) -> Result<Vec<PortReservation>> {
        let may_choose = !matches!(host_port, HostPort::Given(_));
        // Held until one is found, so that the book does not choose them again.
        let mut passed_over = Vec::new();
        for _ in 0..MOST_PASSED_OVER {
            let reserved = self.book.reserve_same(owner, mappings, host_port)?;
            match self.refusal(&reserved)? {
                None => return Ok(reserved),
                Some(error) if error.code == ErrorCode::AlreadyExists && may_choose => passed_over.push(reserved),
                Some(refusal) => return Err(refusal),
            }
        }
        let message =
            format!("each of {MOST_PASSED_OVER} host ports that were tried is open in some program: name one");
        Err(Error::new(ErrorCode::Exhausted, message))
    }

    /// Why these ports cannot be published although no endpoint has them.
    fn refusal(&self, reserved: &[PortReservation]) -> Result<Option<Error>> {
        for PortReservation { mapping, .. } in reserved {
            match self.kernel.port_use(self.namespace, mapping)? {
                PortUse::Free => {}
                PortUse::Open { port, process } => return Ok(Some(is_open(port, process, mapping))),
                PortUse::NotHere => return Ok(Some(not_an_address(mapping))),
            }
        }
        Ok(None)
    }
}

fn is_open(port: u16, process: Option<(u32, String)>, mapping: &PortMapping) -> Error {
    let process = match process {
        Some((pid, name)) => format!("process {pid} ({})", name.escape_default()),
        None => "a process that cannot be seen from here".to_owned(),
    };
    let transport = mapping.transport;
    let message = format!(
        "host port {port}/{transport} is open in {process}: stop it, choose another port, or none to have one chosen"
    );
    Error::new(ErrorCode::AlreadyExists, message)
}

fn not_an_address(mapping: &PortMapping) -> Error {
    let address = mapping.host_address;
    let family = if address.is_ipv4() { "ipv4" } else { "ipv6" };
    Error::invalid(format!(
        "{address} is no address of this host: publish on one that is, or on all of them by naming none (where one is to come later, \
         net.{family}.ip_nonlocal_bind=1 lets it be published now)"
    ))
}
