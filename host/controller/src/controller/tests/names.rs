//! A sandbox's resolver comes and goes with it, and one that is refused is told.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use jackfield_kernel::{Kernel, NamespaceSource};
use jackfield_model::{
    DnsName, DnsSettings, EndpointId, Error, ErrorCode, Member, NetworkId, Result, SandboxId, VirtualService,
};

use super::fixture::*;
use crate::{
    names::{NameService, ResolverRequest},
    request::*,
};

/// A name service without sockets.
#[derive(Debug, Default)]
pub struct Names {
    open: Mutex<BTreeSet<SandboxId>>,
    refuses: AtomicBool,
}

impl NameService for Names {
    fn open(&self, request: ResolverRequest) -> Result<u16> {
        if self.refuses.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorCode::Unavailable, "told to refuse"));
        }
        self.open.lock().unwrap().insert(request.sandbox);
        Ok(request.port.unwrap_or(61053))
    }

    fn close(&self, sandbox: &SandboxId) {
        self.open.lock().unwrap().remove(sandbox);
    }

    fn joined(&self, _member: Member) {}

    fn left(&self, _endpoint: &EndpointId) {}

    fn service_stands(&self, _service: VirtualService) {}

    fn service_gone(&self, _network: &NetworkId, _name: &DnsName) {}

    fn write_files(&self, sandbox: &SandboxId, _hostname: &DnsName, _settings: &DnsSettings) -> Result<PathBuf> {
        Ok(PathBuf::from("/nowhere").join(sandbox.as_str()))
    }

    fn remove_files(&self, _sandbox: &SandboxId) {}
}

/// What leads the sandbox's questions to its resolver.
fn way(host: &Fixture) -> usize {
    let info = host.controller().sandbox(OWN, "box").unwrap();
    let source = NamespaceSource::Path(info.path.unwrap());
    let namespace = host.kernel.open_namespace(&source).unwrap();
    let dump = host.kernel.dump(&namespace).unwrap();
    dump.firewall.len()
}

fn records(host: &Fixture) -> usize {
    let own = host.own.id();
    host.controller().inner.journal.operations(own).len()
}

#[test]
fn a_resolver_comes_with_its_sandbox_and_goes_with_it() {
    let mut host = Fixture::new();
    host.network("plain", "bridge");
    let before = records(&host);
    host.controller().create_sandbox(OWN, sandbox("box")).unwrap();
    assert!(way(&host) > 0 && host.names.open.lock().unwrap().len() == 1);
    assert_eq!(records(&host), before + 1);
    host.restart();
    assert!(way(&host) > 0, "a restart leaves it as it is");
    host.controller().delete_sandbox(OWN, "box").unwrap();
    assert!(host.names.open.lock().unwrap().is_empty());
    assert_eq!(records(&host), before, "nothing of it is on record");
}

#[test]
fn a_sandbox_without_names_has_no_resolver() {
    let host = Fixture::new();
    let mut request = sandbox("box");
    request.dns.off = true;
    host.controller().create_sandbox(OWN, request).unwrap();
    assert!(way(&host) == 0 && host.names.open.lock().unwrap().is_empty());
}

#[test]
fn a_resolver_that_is_refused_is_told_and_the_next_endpoint_tries_again() {
    let host = Fixture::new();
    host.network("plain", "bridge");
    host.names.refuses.store(true, Ordering::Relaxed);
    host.controller().create_sandbox(OWN, sandbox("box")).unwrap();
    let told = host.events.lock().unwrap().clone();
    let failed: Vec<_> = told.iter().filter(|e| e.action == "names-failed").collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].attributes["error"], "told to refuse");
    host.names.refuses.store(false, Ordering::Relaxed);
    let endpoint = CreateEndpoint::default();
    host.controller()
        .connect(OWN, "plain", "box", endpoint, Join::default())
        .unwrap();
    assert!(way(&host) > 0);
}
