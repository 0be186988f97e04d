//! Two kernels side by side, a realm and a sandbox in each.

use std::{collections::BTreeSet, net::IpAddr};

use jackfield_kernel::{
    AddressInfo, Dump, Kernel, Linux, Namespace, Place, Request, Result, RouteInfo, RouteLookup, Simulated,
};
use jackfield_model::IpNetwork;
use nix::errno::Errno;

use crate::universe::{LOOKED_UP, Step};

/// When contents are compared; answers always are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Look {
    AfterEach,
    AtTheEnd,
    /// Where there is so much that a dump takes seconds.
    Never,
}

/// What a request was answered with: nothing, or an error and its number.
type Outcome = std::result::Result<(), Option<Errno>>;

/// The real kernel and the simulated one.
pub struct Both {
    linux: Linux,
}

/// One kernel with its two namespaces, gone when this is.
struct Side<'a> {
    kernel: &'a dyn Kernel,
    realm: Namespace,
    sandbox: Namespace,
}

impl Both {
    /// None, with the reason printed, where this process may not make namespaces.
    pub fn new() -> Option<Self> {
        let linux = Linux::new().and_then(|linux| linux.create_namespace().map(|probe| (linux, probe)));
        match linux {
            Ok((linux, probe)) => {
                linux.forget(&probe);
                Some(Self { linux })
            }
            Err(error) => {
                eprintln!(
                    "skipped: the real kernel cannot be asked: {error} (run as root, or in a user namespace of its own)"
                );
                None
            }
        }
    }

    /// Runs the steps on both.
    ///
    /// # Errors
    /// The first difference, in words.
    pub fn compare(&self, steps: &[Step], look: Look) -> std::result::Result<(), String> {
        let simulated = Simulated::new();
        let (real, simulated) = (Side::new(&self.linux), Side::new(&simulated));
        for (number, step) in steps.iter().enumerate() {
            let (expected, found) = (real.run(step), simulated.run(step));
            if expected != found {
                return Err(format!(
                    "step {number}, {step:?}: the kernel answers {expected:?}, the simulated one {found:?}"
                ));
            }
            if look == Look::AfterEach {
                same_contents(&real, &simulated)
                    .map_err(|difference| format!("after step {number}, {step:?}: {difference}"))?;
            }
        }
        if look == Look::Never {
            return Ok(());
        }
        same_contents(&real, &simulated).map_err(|difference| format!("at the end: {difference}"))?;
        same_ways(&real, &simulated)
    }
}

impl<'a> Side<'a> {
    fn new(kernel: &'a dyn Kernel) -> Self {
        Self {
            kernel,
            realm: kernel.create_namespace().unwrap(),
            sandbox: kernel.create_namespace().unwrap(),
        }
    }

    fn namespace(&self, place: Place) -> &Namespace {
        if place == Place::Realm {
            &self.realm
        } else {
            &self.sandbox
        }
    }

    fn run(&self, step: &Step) -> Outcome {
        let mut request = step.request.clone();
        if let Request::CreateLink {
            sandbox: Some(sandbox), ..
        } = &mut request
        {
            *sandbox = self.sandbox.clone();
        }
        if let Request::MoveLink { to, .. } = &mut request {
            *to = self.sandbox.clone();
        }
        let mut answers = self.kernel.send(self.namespace(step.place), &[request]).unwrap();
        assert_eq!(answers.len(), 1, "one answer a request");
        outcome(answers.remove(0))
    }
}

impl Drop for Side<'_> {
    fn drop(&mut self) {
        self.kernel.forget(&self.realm);
        self.kernel.forget(&self.sandbox);
    }
}

fn outcome(answer: Result<()>) -> Outcome {
    answer.map_err(|error| error.errno())
}

fn same_contents(real: &Side<'_>, simulated: &Side<'_>) -> std::result::Result<(), String> {
    for place in [Place::Realm, Place::Sandbox] {
        let mut expected = comparable(real.kernel.dump(real.namespace(place)).unwrap());
        let found = comparable(simulated.kernel.dump(simulated.namespace(place)).unwrap());
        // The real kernel has keys that no plan writes.
        expected.sysctls.retain(|key, _| found.sysctls.contains_key(key));
        if expected != found {
            return Err(format!("the {place:?} differs:\n{}", difference(&expected, &found)));
        }
    }
    Ok(())
}

fn same_ways(real: &Side<'_>, simulated: &Side<'_>) -> std::result::Result<(), String> {
    for place in [Place::Realm, Place::Sandbox] {
        for destination in LOOKED_UP.iter().map(|text| text.parse::<IpAddr>().unwrap()) {
            let expected = real.kernel.lookup_route(real.namespace(place), destination).unwrap();
            let found = simulated
                .kernel
                .lookup_route(simulated.namespace(place), destination)
                .unwrap();
            // Which source IPv6 chooses depends on link-local addresses too.
            let compared = |way: &Option<RouteLookup>| {
                let ipv4 = |source: &IpAddr| source.is_ipv4();
                way.as_ref().map(|w| (w.link, w.gateway, w.source.filter(ipv4)))
            };
            if compared(&expected) != compared(&found) {
                return Err(format!(
                    "to {destination} from the {place:?}: the kernel goes {expected:?}, the simulated one {found:?}"
                ));
            }
        }
    }
    Ok(())
}

/// A dump without what the simulated kernel leaves out: link-local addresses, which come when a link has carrier, and their routes.
fn comparable(mut dump: Dump) -> Dump {
    let link_local =
        |network: &IpNetwork| matches!(network.ip(), IpAddr::V6(v6) if v6.is_unicast_link_local() || v6.is_multicast());
    dump.addresses
        .retain(|AddressInfo { address, .. }| !link_local(address));
    dump.routes
        .retain(|RouteInfo { route, .. }| !link_local(&route.destination));
    dump
}

/// Only the lines that one of the two has.
fn difference(expected: &Dump, found: &Dump) -> String {
    let lines = |dump: &Dump| -> BTreeSet<String> {
        let mut lines = BTreeSet::new();
        lines.extend(dump.links.iter().map(|l| format!("{l:?}")));
        lines.extend(dump.addresses.iter().map(|l| format!("{l:?}")));
        lines.extend(dump.routes.iter().map(|l| format!("{l:?}")));
        lines.extend(dump.rules.iter().map(|l| format!("{l:?}")));
        lines.extend(dump.neighbours.iter().map(|l| format!("{l:?}")));
        lines.extend(dump.forwarding.iter().map(|l| format!("{l:?}")));
        lines.extend(dump.firewall.iter().cloned());
        lines.extend(dump.sysctls.iter().map(|l| format!("{l:?}")));
        lines
    };
    let (expected, found) = (lines(expected), lines(found));
    let only = |who: &str, these: &BTreeSet<String>, those: &BTreeSet<String>| {
        these
            .difference(those)
            .map(|line| format!("  only the {who}: {line}\n"))
            .collect::<String>()
    };
    let text = only("kernel", &expected, &found) + &only("simulated one", &found, &expected);
    if text.is_empty() {
        "the same lines, in another order or number".to_owned()
    } else {
        text
    }
}

/// Steps, one a line, as short as they can be told.
pub fn listed(steps: &[Step]) -> String {
    let line = |(number, Step { place, request }): (usize, &Step)| format!("  {number}: {place:?} {request:?}\n");
    steps.iter().enumerate().map(line).collect()
}
