//! The network's bridge: made, or one of the host's adopted.
//!
//! Naming a bridge that the host has is the user's word to use it, as with Docker. It is adopted as it stands: its MTU, its addresses and
//! its ports stay, the network's gateways and ports come and go, and with the network goes all that was changed on it. It is never deleted.
//! What is behind it and has an address of the network's is guarded as on a bridge of its own; what else goes by it is left alone.

use jackfield_driver::{Gateway, LinkId, Operation};
use jackfield_model::{Error, ErrorCode, Family, NetworkSpec, Options, Result};

use super::options::{GatewayMode, MTU_IPV6, NetworkOptions};

/// The label of the bridge itself.
const LABEL: &str = "bridge";
/// What a link has whose MTU nobody sets.
const ETHERNET: u32 = 1500;

/// The network's bridge.
#[derive(Clone, Copy, Debug)]
pub struct Bridge {
    /// Its handle.
    pub link: LinkId,
    /// It is the host's.
    pub adopted: bool,
}

impl Bridge {
    /// Adopts the bridge that the options name, or makes one.
    ///
    /// # Errors
    /// invalid-argument where an adopted bridge cannot be what the network wants.
    pub fn create(op: &mut Operation, spec: &NetworkSpec, options: &NetworkOptions) -> Result<Self> {
        if let Some(name) = &options.bridge
            && let Some(link) = op.adopt_bridge(name)?
        {
            refuse_for_adopted(name.as_str(), spec, options)?;
            return Ok(Self { link, adopted: true });
        }
        let name = options
            .bridge
            .as_ref()
            .map_or_else(|| format!("br-{}", spec.id.short()), ToString::to_string);
        let link = op.create_bridge(LABEL, Some(&name), &attributes(options))?;
        if let Some(mtu) = options
            .mtu
            .map_or_else(|| inherited_mtu(op, spec), |mtu| Ok(Some(mtu)))?
        {
            op.set_mtu(link, mtu)?;
        }
        Ok(Self { link, adopted: false })
    }

    /// That of a network that stands.
    ///
    /// # Errors
    /// not-found when it is gone.
    pub fn find(op: &mut Operation, options: &NetworkOptions) -> Result<Self> {
        match (op.find_own(LABEL), &options.bridge) {
            (Ok(link), _) => Ok(Self { link, adopted: false }),
            (Err(_), Some(name)) => {
                let gone = || {
                    Error::not_found(format!(
                        "the host's bridge {name}, which the network is laid on, is gone"
                    ))
                };
                let link = op.adopt_bridge(name)?.ok_or_else(gone)?;
                Ok(Self { link, adopted: true })
            }
            (Err(error), None) => Err(error),
        }
    }
}

fn attributes(options: &NetworkOptions) -> Options {
    let Some(vlan) = options.vlan else {
        return Options::new();
    };
    Options::from([
        ("vlan_filtering".to_owned(), "1".to_owned()),
        ("vlan_default_pvid".to_owned(), vlan.to_string()),
    ])
}

/// What only a bridge of the network's own can be.
fn refuse_for_adopted(name: &str, spec: &NetworkSpec, options: &NetworkOptions) -> Result<()> {
    let refuse = |what: &str, why: &str| {
        Err(Error::invalid(format!(
            "{what} needs a bridge of its own: {name} is the host's, and {why}; leave out option bridge, or name a bridge that is not there"
        )))
    };
    if spec.internal {
        return refuse("an internal network", "others on it may lead outside");
    }
    if options.vlan.is_some() {
        return refuse("a network with option vlan", "its VLANs are its owner's to set");
    }
    if options.icc == Some(false) {
        return refuse("a network with option icc=false", "its other ports stay as they are");
    }
    let routed = Some(GatewayMode::Open(Gateway::Routed));
    if options.mode_ipv4 == routed || options.mode_ipv6 == routed {
        return refuse(
            "a network in gateway mode routed",
            "what it routes is its owner's to say",
        );
    }
    Ok(())
}

/// The MTU of the link that the default route goes by: what is larger would have to be cut up there. None where that is the usual one anyway.
fn inherited_mtu(op: &mut Operation, spec: &NetworkSpec) -> Result<Option<u32>> {
    let mut least = None;
    for family in [Family::Ipv4, Family::Ipv6] {
        if spec.pools.iter().any(|p| Family::of(p.subnet.ip()) == family) {
            let mtu = default_route_mtu(op, family)?;
            least = [least, mtu].into_iter().flatten().min();
        }
    }
    let ipv6 = spec.pools.iter().any(|p| p.subnet.is_ipv6());
    let usable = |mtu: u32| mtu.clamp(if ipv6 { MTU_IPV6 } else { 68 }, 65_535);
    Ok(least.map(usable).filter(|mtu| *mtu != ETHERNET))
}

fn default_route_mtu(op: &mut Operation, family: Family) -> Result<Option<u32>> {
    // Addresses that nobody has a route of its own to: reserved (RFC 1112, section 4), and for discarding (RFC 6666).
    let nowhere = match family {
        Family::Ipv4 => std::net::Ipv4Addr::new(240, 0, 0, 1).into(),
        Family::Ipv6 => std::net::Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 1).into(),
    };
    match op.lookup_route(nowhere) {
        Ok((Some(link), ..)) => op.link_mtu(link).map(Some),
        Ok(_) => Ok(None),
        Err(e) if e.code == ErrorCode::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}
