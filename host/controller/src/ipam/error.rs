//! Why a pool or an address cannot be had.

use std::net::IpAddr;

use jackfield_model::{Error, ErrorCode, Family, IpNetwork};

use super::{Reached, Usage};

/// Why a pool or an address cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IpamError {
    /// A subnet with host bits.
    #[error("{given} is an address inside a subnet, not a subnet: write {meant}")]
    HostBits {
        /// As given.
        given: IpNetwork,
        /// What was meant.
        meant: IpNetwork,
    },
    /// Two networks cannot have the same addresses.
    #[error("subnet {subnet} overlaps {other}, which another network of this realm has: choose one that does not")]
    PoolOverlap {
        /// As asked for.
        subnet: IpNetwork,
        /// In use.
        other: IpNetwork,
    },
    /// The realm reaches those addresses already.
    #[error(
        "subnet {subnet} overlaps {}, to which the host has a route by {}: choose another, or say that it may (--allow-overlap)",
        .route.subnet, .route.by
    )]
    RouteOverlap {
        /// As asked for.
        subnet: IpNetwork,
        /// What is reached already.
        route: Reached,
    },
    /// The configuration names none.
    #[error("there is no default pool for {}: name a subnet", family_name(*.family))]
    NoDefaultPool {
        /// Which family.
        family: Family,
    },
    /// All are taken, or overlap routes.
    #[error("none of the {subnets} default subnets for {} is free: name a subnet, or delete a network", family_name(*.family))]
    DefaultPoolsExhausted {
        /// Which family.
        family: Family,
        /// How many there are.
        subnets: u128,
    },
    /// A range that is not part of the subnet.
    #[error("range {range} is not inside the subnet {subnet}")]
    RangeOutside {
        /// As asked for.
        range: IpNetwork,
        /// The pool's.
        subnet: IpNetwork,
    },
    /// A gateway that nobody could reach.
    #[error("gateway {gateway} is not inside the subnet {subnet}")]
    GatewayOutside {
        /// As asked for.
        gateway: IpAddr,
        /// The pool's.
        subnet: IpNetwork,
    },
    /// An auxiliary address from elsewhere.
    #[error("auxiliary address {name}={address} is not inside the subnet {subnet}")]
    AuxiliaryOutside {
        /// The user's name for it.
        name: String,
        /// As asked for.
        address: IpAddr,
        /// The pool's.
        subnet: IpNetwork,
    },
    /// An address that no interface can have.
    #[error("{address} is the {what} address of {subnet} and cannot be given to anybody")]
    Unusable {
        /// As asked for.
        address: IpAddr,
        /// `network` or `broadcast`.
        what: &'static str,
        /// The pool's.
        subnet: IpNetwork,
    },
    /// An address asked for twice in one pool request.
    #[error("{address} is asked for twice in {subnet}: gateway and auxiliary addresses have to differ")]
    Twice {
        /// Which.
        address: IpAddr,
        /// The pool's.
        subnet: IpNetwork,
    },
    /// A static address from elsewhere.
    #[error("{address} is not in any subnet of this network ({})", subnets(.pools))]
    OutsidePools {
        /// As asked for.
        address: IpAddr,
        /// The network's.
        pools: Vec<IpNetwork>,
    },
    /// A static address that is the gateway's.
    #[error("{address} is the gateway of {subnet}: choose another address")]
    IsGateway {
        /// As asked for.
        address: IpAddr,
        /// The pool's.
        subnet: IpNetwork,
    },
    /// A static address that is set aside.
    #[error("{address} is set aside as \"{name}\" in {subnet}: choose another address")]
    IsAuxiliary {
        /// As asked for.
        address: IpAddr,
        /// Its name.
        name: String,
        /// The pool's.
        subnet: IpNetwork,
    },
    /// A part of a subnet in which endpoints find nothing.
    #[error("{part} has no address for an endpoint: {}", aside(*.set_aside))]
    NoRoom {
        /// The subnet or the range.
        part: IpNetwork,
        /// How many of its addresses gateway and auxiliary ones are.
        set_aside: u64,
    },
    /// A static address that is kept for somebody else.
    #[error("{address} is reserved for {name}: choose another address, or release it")]
    ReservedFor {
        /// As asked for.
        address: IpAddr,
        /// For whom.
        name: String,
    },
    /// One name, one address of each family.
    #[error(
        "{name} has {reserved} reserved already: release that first, or connect without asking for another address"
    )]
    HasReservation {
        /// Whose.
        name: String,
        /// Which.
        reserved: IpAddr,
    },
    /// A static address that somebody has.
    #[error("{address} is given to {} already: choose another address of {subnet}", .holder.as_deref().unwrap_or("another endpoint"))]
    Taken {
        /// As asked for.
        address: IpAddr,
        /// The pool's.
        subnet: IpNetwork,
        /// Who has it, where that is known.
        holder: Option<String>,
    },
    /// No address is left.
    #[error("no address is left: {}; disconnect an endpoint, or create a network with more addresses", usages(.pools))]
    Exhausted {
        /// The pools that were tried.
        pools: Vec<Usage>,
    },
}

fn family_name(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "IPv4",
        Family::Ipv6 => "IPv6",
    }
}

fn subnets(pools: &[IpNetwork]) -> String {
    if pools.is_empty() {
        return "it has none".into();
    }
    pools.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn aside(set_aside: u64) -> String {
    match set_aside {
        0 => "it holds nothing but network or broadcast addresses".into(),
        1 => "the only one is the gateway's or auxiliary".into(),
        n => format!("all {n} are the gateway's or auxiliary"),
    }
}

fn usages(pools: &[Usage]) -> String {
    pools.iter().map(usage).collect::<Vec<_>>().join("; ")
}

/// As `10.0.0.0/29 has 5 addresses for endpoints, all in use`.
fn usage(usage: &Usage) -> String {
    let part = usage.range.map_or_else(
        || usage.subnet.to_string(),
        |range| format!("the range {range} of {}", usage.subnet),
    );
    let fate = match (usage.capacity, usage.reserved) {
        (1, 0) => "which is in use".to_owned(),
        (2, 0) => "both in use".to_owned(),
        (_, 0) => "all in use".to_owned(),
        (_, reserved) => format!("{} in use and {reserved} reserved", usage.used),
    };
    let addresses = if usage.capacity == 1 { "address" } else { "addresses" };
    format!("{part} has {} {addresses} for endpoints, {fate}", usage.capacity)
}

impl From<IpamError> for Error {
    fn from(error: IpamError) -> Self {
        let code = match &error {
            IpamError::PoolOverlap { .. } | IpamError::RouteOverlap { .. } | IpamError::Taken { .. } => {
                ErrorCode::AlreadyExists
            }
            IpamError::IsGateway { .. } | IpamError::IsAuxiliary { .. } => ErrorCode::AlreadyExists,
            IpamError::ReservedFor { .. } | IpamError::HasReservation { .. } => ErrorCode::AlreadyExists,
            IpamError::DefaultPoolsExhausted { .. } | IpamError::Exhausted { .. } => ErrorCode::Exhausted,
            _ => ErrorCode::InvalidArgument,
        };
        Error::new(code, error.to_string()).caused_by(error)
    }
}
