//! Against the kernel that the tests run on, each in namespaces of its own. Without the privilege to make one they say so and do nothing.

mod bandwidth;
mod errors;
mod firewall;
mod links;
mod namespaces;
mod netfilter;
mod round_trips;
mod routes;
mod table;

use std::fmt::Write;

use jackfield_model::{IpNetwork, LinkName, MacAddr};
use nix::errno::Errno;

use crate::{
    Dump, Kernel, Linux, Namespace, Request, netns,
    plan::{BridgeAttributes, Ifindex, LinkAt, LinkKind, NewLink, Place, VethPeer},
};

/// A kernel, a namespace that serves as realm, and one that serves as sandbox.
struct Bench {
    kernel: Linux,
    realm: Namespace,
    sandbox: Namespace,
}

impl Bench {
    /// None, and the reason printed, where namespaces cannot be made.
    fn new() -> Option<Self> {
        let kernel = Linux::new().unwrap();
        match kernel.create_namespace() {
            Ok(realm) if netns::within(&realm, || ()).is_err() => {
                eprintln!("skipped: leaving one's network namespace and coming back needs to own it (unshare -Urn)");
                None
            }
            Ok(realm) => {
                let sandbox = kernel.create_namespace().unwrap();
                Some(Self { kernel, realm, sandbox })
            }
            Err(error) if error.errno() == Some(Errno::EPERM) => {
                eprintln!("skipped: making a network namespace needs root or a user namespace (unshare -Ur)");
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Sends to the realm and expects every request to be done.
    fn realm(&self, requests: &[Request]) {
        self.all_done(&self.realm, requests);
    }

    /// Sends to the sandbox and expects every request to be done.
    fn sandbox(&self, requests: &[Request]) {
        self.all_done(&self.sandbox, requests);
    }

    fn all_done(&self, namespace: &Namespace, requests: &[Request]) {
        for (request, answer) in requests.iter().zip(self.kernel.send(namespace, requests).unwrap()) {
            answer.unwrap_or_else(|error| panic!("{request:?}: {error}"));
        }
    }

    /// The errors of a batch, request by request.
    fn errors(&self, requests: &[Request]) -> Vec<Option<Errno>> {
        let answers = self.kernel.send(&self.realm, requests).unwrap();
        answers
            .into_iter()
            .map(|a| a.err().map(|e| e.errno().expect("an error of the kernel")))
            .collect()
    }

    fn dump(&self) -> (Dump, Dump) {
        (
            self.kernel.dump(&self.realm).unwrap(),
            self.kernel.dump(&self.sandbox).unwrap(),
        )
    }

    /// Making a link whose other end or place is the sandbox.
    fn create(&self, link: NewLink) -> Request {
        Request::CreateLink {
            link: Box::new(link),
            controller: None,
            group: 0,
            sandbox: Some(self.sandbox.clone()),
        }
    }
}

fn index(number: u32) -> Ifindex {
    Ifindex::new(0x4000_0000 + number).unwrap()
}

fn name(text: &str) -> LinkName {
    text.parse().unwrap()
}

fn mac(last: u8) -> MacAddr {
    MacAddr::new([2, 0, 0, 0, 0, last]).unwrap()
}

fn net(text: &str) -> IpNetwork {
    text.parse().unwrap()
}

fn ip(text: &str) -> std::net::IpAddr {
    text.parse().unwrap()
}

/// A link in the realm; its MAC ends as its index does.
fn link(number: u8, called: &str, kind: LinkKind) -> NewLink {
    let at = LinkAt {
        place: Place::Realm,
        index: index(number.into()),
    };
    NewLink {
        at,
        name: name(called),
        mac: mac(number),
        mtu: None,
        kind,
    }
}

/// A link that every kernel has which can run the host at all.
fn bridge(number: u8, called: &str) -> NewLink {
    link(number, called, LinkKind::Bridge(BridgeAttributes::default()))
}

/// A veth whose peer is `eth0` in the sandbox, with the next index.
fn veth(number: u8, called: &str) -> NewLink {
    let at = LinkAt {
        place: Place::Sandbox,
        index: index(u32::from(number) + 1),
    };
    link(
        number,
        called,
        LinkKind::Veth {
            peer: VethPeer {
                at,
                name: name("eth0"),
                mac: mac(number + 1),
                mtu: None,
            },
        },
    )
}

fn up(number: u8) -> Request {
    Request::SetLink {
        index: index(number.into()),
        setting: crate::plan::LinkSetting::Up(true),
    }
}

/// Two dumps as text, so that a failure shows the lines that differ.
fn differences(before: &Dump, after: &Dump) -> String {
    let lines = |dump: &Dump| format!("{dump:#?}").lines().map(str::to_owned).collect::<Vec<_>>();
    let (before, after) = (lines(before), lines(after));
    let mut text = String::new();
    for line in after.iter().filter(|l| !before.contains(l)) {
        writeln!(text, "+{line}").unwrap();
    }
    for line in before.iter().filter(|l| !after.contains(l)) {
        writeln!(text, "-{line}").unwrap();
    }
    text
}
