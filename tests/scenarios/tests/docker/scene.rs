//! A host of either kind with its containers, and an outside host that knows the way to them.

use std::{
    net::IpAddr,
    path::PathBuf,
    time::{Duration, Instant},
};

use jackfield_kernel::{Kernel, Namespace, Request, plan::Route};
use jackfield_lab::{Lab, LabError, Result};

pub const HOST: [&str; 2] = ["198.51.100.1", "fd00:51::1"];
pub const OUTSIDE: [&str; 2] = ["198.51.100.2", "fd00:51::2"];

/// Questions in words, each with its answer.
pub type Answers = Vec<(String, String)>;

/// A container: where it is, and what it got.
pub struct Member {
    pub name: &'static str,
    pub namespace: Namespace,
    pub addresses: Vec<IpAddr>,
    /// The file that is its /etc/resolv.conf.
    pub resolv_conf: PathBuf,
}

pub struct Scene<'a> {
    pub lab: &'a Lab,
    pub outside: &'a Namespace,
    pub members: Vec<Member>,
}

impl Member {
    pub fn address(&self, ipv6: bool) -> IpAddr {
        *self.addresses.iter().find(|a| a.is_ipv6() == ipv6).unwrap()
    }
}

impl Scene<'_> {
    pub fn member(&self, name: &str) -> &Member {
        self.members.iter().find(|m| m.name == name).unwrap()
    }
}

pub fn host(ipv6: bool) -> IpAddr {
    HOST[usize::from(ipv6)].parse().unwrap()
}

pub fn outside(ipv6: bool) -> IpAddr {
    OUTSIDE[usize::from(ipv6)].parse().unwrap()
}

/// A lab with its outside host, prepared in the same way for either. The outside host has routes to the containers by way of the host, so
/// that what does not arrive was stopped; and it is the host's DNS server.
pub fn prepare(name: &str) -> Result<(Lab, Namespace)> {
    let lab = Lab::new(name)?;
    let outside = lab.uplink("up0", "outside")?;
    let ends = |here: &str, there: &str, length: u8| {
        (
            format!("{here}/{length}").parse().unwrap(),
            format!("{there}/{length}").parse().unwrap(),
        )
    };
    lab.address_uplink(
        &outside,
        &[ends(HOST[0], OUTSIDE[0], 24), ends(HOST[1], OUTSIDE[1], 64)],
    )?;
    let index = |namespace, name: &str| {
        let links = lab.dump_of(namespace)?.links;
        Result::Ok(links.iter().find(|link| link.name.as_str() == name).unwrap().index)
    };
    let (near, cable) = (index(lab.realm(), "up0")?, index(&outside, "eth0")?);
    // A router asks for neighbours from its link-local address: without one, what it forwards is lost as soon as it has to ask.
    let link_local = Request::AddAddress {
        index: near,
        address: "fe80::1/64".parse().unwrap(),
    };
    lab.send(lab.realm(), &[link_local])?;
    let back = ["10.90.0.0/16", "fd00:90::/32"].map(|to| to.parse().unwrap());
    let routes =
        back.map(|to: jackfield_model::IpNetwork| Request::AddRoute(Route::via(to, host(to.is_ipv6()), cable)));
    lab.send(&outside, &routes)?;
    let servers = format!("nameserver {}\n", OUTSIDE[0]);
    std::fs::write(lab.path("resolv.conf"), servers).map_err(|e| LabError::new("write resolv.conf", e))?;
    Ok((lab, outside))
}

/// Waits until the addresses are no longer tentative: what is asked is who may reach whom, not how soon.
pub fn settle(lab: &Lab, members: &[Member]) -> Result<()> {
    let ipv6 = |addresses: &[IpAddr]| {
        let ipv6 = addresses.iter().filter_map(|a| match a {
            IpAddr::V6(a) if !a.is_unicast_link_local() => Some(*a),
            _ => None,
        });
        ipv6.collect::<Vec<_>>()
    };
    let wait = |namespace: &Namespace, addresses: &[IpAddr]| {
        let deadline = Instant::now() + Duration::from_secs(10);
        let there = || lab.kernel().await_addresses(namespace, &ipv6(addresses));
        while !there().map_err(|e| LabError::new("wait for addresses", e))? {
            assert!(Instant::now() < deadline, "{addresses:?} stay tentative");
        }
        Ok(())
    };
    let of_host: Vec<IpAddr> = lab.dump()?.addresses.iter().map(|a| a.address.ip()).collect();
    wait(lab.realm(), &of_host)?;
    members.iter().try_for_each(|m| wait(&m.namespace, &m.addresses))
}
