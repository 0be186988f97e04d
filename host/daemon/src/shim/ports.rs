//! Published ports of a container in several networks. Runtimes tell each of its interfaces all of them, and the host has each port but once.
//!
//! ```text
//!   first interface  --has--> its ports --leaves--> the next one that was told of them
//!   later ones: what is had already is left out, and kept in a label
//! ```

use jackfield_controller::{
    Controller,
    request::{EndpointInfo, RealmRef, SandboxInfo},
};
use jackfield_model::{HostPort, Options, PortMapping, Publish};

/// All that the runtime asked for, on an endpoint that does not have all of it.
const ASKED: &str = "jackfield.shim.ports";

/// What of these ports nobody else in the sandbox has; with the label to remember the rest by, where there is a rest.
pub fn not_had_yet(others: &[EndpointInfo], asked: &[Publish], labels: &mut Options) -> Vec<Publish> {
    let fresh: Vec<Publish> = asked.iter().filter(|one| !is_had(others, one)).cloned().collect();
    if fresh.len() < asked.len()
        && let Ok(text) = serde_json::to_string(asked)
    {
        labels.insert(ASKED.to_owned(), text);
    }
    fresh
}

/// The endpoints of a sandbox.
pub fn endpoints(controller: &Controller, realm: RealmRef, sandbox: &SandboxInfo) -> Vec<EndpointInfo> {
    let ids = sandbox.endpoints.iter();
    ids.filter_map(|id| controller.endpoint(realm, id.as_str()).ok())
        .collect()
}

/// Gives ports that nobody has any more to whoever was told of them. Going has succeeded by then, whatever comes of this.
/// `left` are the endpoints that stay.
pub fn pass_on(controller: &Controller, realm: RealmRef, left: &[EndpointInfo]) {
    for (place, heir) in left.iter().enumerate() {
        let others: Vec<EndpointInfo> = [&left[..place], &left[place + 1..]].concat();
        let asked = remembered(&heir.labels);
        let free: Vec<Publish> = asked.into_iter().filter(|one| !is_had(&others, one)).collect();
        if free.iter().all(|one| is_had(std::slice::from_ref(heir), one)) {
            continue;
        }
        match controller.set_ports(realm, heir.id.as_str(), &free) {
            // With what it has now, the next one has nothing to get.
            Ok(_) => return,
            Err(error) => {
                tracing::warn!(endpoint = heir.id.short(), %error, "ports of its container are not passed on to it")
            }
        }
    }
}

fn remembered(labels: &Options) -> Vec<Publish> {
    let asked = labels.get(ASKED).and_then(|text| serde_json::from_str(text).ok());
    asked.unwrap_or_default()
}

fn is_had(by: &[EndpointInfo], one: &Publish) -> bool {
    by.iter()
        .flat_map(|endpoint| &endpoint.ports)
        .any(|had| is_same(had, one))
}

/// Whether that is what was made of it.
fn is_same(had: &PortMapping, asked: &Publish) -> bool {
    let at_that_port = match asked.host_port() {
        HostPort::Any => true,
        HostPort::Given(port) => had.host_port == port,
        HostPort::Within(first, last) => (first..=last).contains(&had.host_port),
    };
    at_that_port && had.transport == asked.transport() && had.container_port == asked.container_port()
}

#[cfg(test)]
mod tests {
    use jackfield_model::Transport;

    use super::*;

    fn had(transport: Transport, container_port: u16, host_port: u16) -> PortMapping {
        PortMapping {
            transport,
            container_port,
            host_address: [0, 0, 0, 0].into(),
            host_port,
            count: 1,
        }
    }

    #[test]
    fn a_port_is_known_by_what_it_was_asked_as() {
        let cases = [
            ("8080:80", had(Transport::Tcp, 80, 8080), true),
            ("8080:80", had(Transport::Udp, 80, 8080), false),
            ("8080:80", had(Transport::Tcp, 80, 8081), false),
            ("8080:80", had(Transport::Tcp, 81, 8080), false),
            ("80", had(Transport::Tcp, 80, 49153), true),
        ];
        for (asked, had, same) in cases {
            assert_eq!(is_same(&had, &asked.parse().unwrap()), same, "{asked} {had:?}");
        }
    }

    #[test]
    fn what_is_left_out_is_remembered_and_what_is_no_list_is_nothing() {
        let asked: Vec<Publish> = vec!["8080:80".parse().unwrap()];
        let mut labels = Options::new();
        assert_eq!(not_had_yet(&[], &asked, &mut labels), asked);
        assert!(labels.is_empty());
        labels.insert(ASKED.to_owned(), serde_json::to_string(&asked).unwrap());
        assert_eq!(remembered(&labels), asked);
        labels.insert(ASKED.to_owned(), "8080".to_owned());
        assert_eq!(remembered(&labels), []);
    }
}
