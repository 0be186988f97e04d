//! Ports that programs have open.

use jackfield_model::{PortMapping, Transport};

use super::{Simulated, state::State};
use crate::{Namespace, NamespaceId, PortUse};

impl Simulated {
    /// A program opens a port on all addresses of the namespace, and keeps it.
    pub fn open_port(&self, namespace: &Namespace, transport: Transport, port: u16) {
        self.state().open_ports.insert((namespace.id(), transport, port));
    }
}

impl State {
    /// A simulated program has no process, and every address is the namespace's.
    pub(super) fn port_use(&self, namespace: NamespaceId, mapping: &PortMapping) -> PortUse {
        let mut ports = (0..mapping.count).map_while(|n| mapping.host_port.checked_add(n));
        let taken = ports.find(|port| self.open_ports.contains(&(namespace, mapping.transport, *port)));
        taken.map_or(PortUse::Free, |port| PortUse::Open { port, process: None })
    }
}
