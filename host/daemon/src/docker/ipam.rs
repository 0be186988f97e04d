//! Docker's calls about addresses: pools that are leased to Docker, which makes the networks.
//!
//! A pool's id is its subnet: no two are alike, and Docker gets the same again when it starts again.

use std::net::IpAddr;

use jackfield_controller::request::{Done, LeasePool, RealmRef};
use jackfield_model::{Error, ErrorCode, Family, IpNetwork, Options, Result, parse_subnet};
use serde_json::json;

use super::{
    Plugin,
    fields::{Fields, address},
    options,
    reply::{Reply, Undo},
};

const OWN: RealmRef = RealmRef::Own;
/// What networks of one host have their pools from, and what those of a swarm have. Here it is all one.
const SPACES: [&str; 2] = ["jackfield-local", "jackfield-global"];
/// What begins a pool's id.
const PREFIX: &str = "jackfield/";

/// `IpamDriver.GetCapabilities`. Asked for again at dockerd's start is what makes up for what was missed.
pub fn capabilities(_plugin: &Plugin) -> Result<Reply> {
    Ok(Reply::of(
        json!({ "RequiresMACAddress": false, "RequiresRequestReplay": true }),
    ))
}

/// `IpamDriver.GetDefaultAddressSpaces`
pub fn address_spaces(_plugin: &Plugin) -> Result<Reply> {
    let [local, global] = SPACES;
    Ok(Reply::of(
        json!({ "LocalDefaultAddressSpace": local, "GlobalDefaultAddressSpace": global }),
    ))
}

/// `IpamDriver.RequestPool`
pub fn request_pool(plugin: &Plugin, request: Fields<'_>) -> Result<Reply> {
    let space = request.text("AddressSpace")?;
    if !SPACES.contains(&space) {
        return Err(Error::invalid(format!(
            "there is no address space \"{}\": expected {} or {}",
            space.escape_default(),
            SPACES[0],
            SPACES[1]
        )));
    }
    let given = request
        .object("Options")?
        .map_or_else(|| Ok(Options::new()), options::texts)?;
    options::refuse_unknown(&given, "jackfield's addresses")?;
    let asked = asked(plugin, &request)?;
    let done = plugin.controller.lease_pool(OWN, &asked)?;
    let new = matches!(done, Done::Done(_));
    let subnet = done.into_inner();
    let answer = json!({ "PoolID": format!("{PREFIX}{subnet}"), "Pool": subnet.to_string(), "Data": {} });
    Ok(Reply::of(answer).undone_by(new.then_some(Undo::Pool(subnet))))
}

fn asked(plugin: &Plugin, request: &Fields<'_>) -> Result<LeasePool> {
    let subnet = request.parsed("Pool", parse_subnet)?;
    let range = request.parsed("SubPool", parse_subnet)?;
    let family = if request.flag("V6")? {
        Family::Ipv6
    } else {
        Family::Ipv4
    };
    if let Some(subnet) = subnet.filter(|subnet| Family::of(subnet.ip()) != family) {
        return Err(Error::invalid(format!("{subnet} is of the other family than V6 says")));
    }
    if subnet.is_none() && range.is_some() {
        return Err(Error::invalid(
            "a part of a subnet is asked for, and no subnet: give it too (--subnet)",
        ));
    }
    Ok(LeasePool {
        owner: plugin.name.clone(),
        subnet,
        range,
        family,
    })
}

/// `IpamDriver.ReleasePool`
pub fn release_pool(plugin: &Plugin, request: Fields<'_>) -> Result<Reply> {
    let pool = request.required("PoolID", pool)?;
    plugin.controller.return_pool(OWN, pool)?;
    Ok(Reply::empty())
}

/// `IpamDriver.RequestAddress`
pub fn request_address(plugin: &Plugin, request: Fields<'_>) -> Result<Reply> {
    let pool = request.required("PoolID", pool)?;
    let asked = request.parsed("Address", address)?;
    let done = plugin.controller.lease_address(OWN, pool, asked)?;
    let new = matches!(done, Done::Done(_));
    let given = done.into_inner();
    let answer = json!({ "Address": given.to_string(), "Data": {} });
    Ok(Reply::of(answer).undone_by(new.then(|| Undo::Address(given.ip()))))
}

/// `IpamDriver.ReleaseAddress`
pub fn release_address(plugin: &Plugin, request: Fields<'_>) -> Result<Reply> {
    let pool = request.required("PoolID", pool)?;
    let address: IpAddr = request.required("Address", address)?;
    if !pool.contains(address) {
        return Err(Error::new(
            ErrorCode::InvalidArgument,
            format!("{address} is not of pool {pool}"),
        ));
    }
    plugin.controller.return_address(OWN, address)?;
    Ok(Reply::empty())
}

fn pool(id: &str) -> Result<IpNetwork> {
    let unknown = || Error::invalid(format!("\"{}\" is no pool of jackfield's", id.escape_default()));
    parse_subnet(id.strip_prefix(PREFIX).ok_or_else(unknown)?)
}
