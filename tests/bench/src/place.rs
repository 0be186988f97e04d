//! A realm with a bridge and an empty sandbox, for the subjects that speak to the kernel themselves.

use jackfield_kernel::{
    Ifindex, LinkAt, Namespace, Place as Side, Request,
    plan::{BridgeAttributes, LinkKind, LinkSetting, NewLink},
};
use jackfield_lab::Lab;
use jackfield_model::{IpNetwork, MacAddr};
use netlink_sys::Socket;

use crate::{
    failure::{During, Result},
    raw,
};

/// The bridge's index; far from the kernel's own and the host's.
pub const BRIDGE: u32 = 5000;
/// The bridge's address, and that of the sandbox.
pub const GATEWAY: &str = "10.80.0.1/16";
pub const ADDRESS: &str = "10.80.0.2/16";

/// One realm and one sandbox, used again for each run.
#[derive(Debug)]
pub struct Place {
    /// Namespaces and folders.
    pub lab: Lab,
    /// The sandbox, with nothing in it but its loopback.
    pub sandbox: Namespace,
}

impl Place {
    /// Makes it.
    ///
    /// # Errors
    /// When namespaces cannot be made.
    pub fn new(name: &str) -> Result<Self> {
        let lab = Lab::new(name).during("make a realm")?;
        // Nobody looks into a benchmark's realm afterwards.
        lab.passed().during("let go of the realm")?;
        let sandbox = lab.namespace("sandbox").during("make a sandbox")?;
        let place = Self { lab, sandbox };
        place.make_bridge()?;
        Ok(place)
    }

    /// A bare socket of the realm.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open_realm(&self) -> Result<Socket> {
        let opened = self.lab.within(self.lab.realm(), raw::open);
        opened.during("enter the realm")?.during("open a socket")
    }

    fn make_bridge(&self) -> Result<()> {
        let index = index(BRIDGE)?;
        let link = NewLink {
            at: LinkAt {
                place: Side::Realm,
                index,
            },
            name: "br0".parse().during("name the bridge")?,
            mac: MacAddr::random(),
            mtu: None,
            kind: LinkKind::Bridge(BridgeAttributes::default()),
        };
        let create = Request::CreateLink {
            link: Box::new(link),
            controller: None,
            group: 0,
            sandbox: None,
        };
        let address: IpNetwork = GATEWAY.parse().during("read the gateway's address")?;
        let requests = [
            create,
            Request::SetLink {
                index,
                setting: LinkSetting::AddressGeneration(false),
            },
            Request::AddAddress { index, address },
            Request::SetLink {
                index,
                setting: LinkSetting::Up(true),
            },
        ];
        self.lab.send(self.lab.realm(), &requests).during("make a bridge")
    }
}

/// The index of that number.
pub fn index(number: u32) -> Result<Ifindex> {
    Ifindex::new(number).ok_or("zero is no index").during("choose an index")
}
