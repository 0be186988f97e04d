//! What the component exports: the vendor's driver behind the generated traits.

use std::marker::PhantomData;

use super::{
    bindings::{
        exports::jackfield::driver::driver as d,
        jackfield::driver::{specs as s, types as t},
    },
    convert::{FromWit, ToWit, list},
    ports_bindings::exports::jackfield::driver::external_connectivity as ports,
};
use crate::{
    Cidr, Driver, EndpointReply, EndpointSpec, Error, Family, JoinReply, JoinSpec, NetworkSpec, PublishesPorts, Result,
};

/// A driver as the generated macros take it.
#[derive(Debug)]
pub struct Exported<D>(PhantomData<D>);

fn done<T>(result: Result<T>) -> Result<T, t::Error> {
    result.map_err(Error::to_wit)
}

impl<D: Driver> d::Guest for Exported<D> {
    fn config(options: t::Options) -> Result<s::Capabilities, t::Error> {
        done(D::config(&options).map(ToWit::to_wit))
    }

    fn create_network(spec: s::NetworkSpec) -> Result<(), t::Error> {
        done(D::create_network(&NetworkSpec::from_wit(spec)))
    }

    fn delete_network(network: t::NetworkId) -> Result<(), t::Error> {
        done(D::delete_network(&network))
    }

    fn create_endpoint(network: s::NetworkSpec, spec: s::EndpointSpec) -> Result<s::EndpointReply, t::Error> {
        done(D::create_endpoint(&NetworkSpec::from_wit(network), &EndpointSpec::from_wit(spec)).map(endpoint_reply))
    }

    fn delete_endpoint(network: t::NetworkId, endpoint: t::EndpointId) -> Result<(), t::Error> {
        done(D::delete_endpoint(&network, &endpoint))
    }

    fn join(spec: s::JoinSpec) -> Result<d::JoinReply, t::Error> {
        done(D::join(&JoinSpec::from_wit(spec)).map(join_reply))
    }

    fn leave(network: t::NetworkId, endpoint: t::EndpointId) -> Result<(), t::Error> {
        done(D::leave(&network, &endpoint))
    }
}

impl<D: PublishesPorts> ports::Guest for Exported<D> {
    fn program(network: t::NetworkId, endpoint: t::EndpointId, ports: Vec<t::PortMapping>) -> Result<(), t::Error> {
        done(D::program(&network, &endpoint, &list(ports)))
    }

    fn revoke(network: t::NetworkId, endpoint: t::EndpointId) -> Result<(), t::Error> {
        done(D::revoke(&network, &endpoint))
    }
}

fn endpoint_reply(reply: EndpointReply) -> s::EndpointReply {
    s::EndpointReply {
        mac: reply.mac.map(ToWit::to_wit),
        addresses: reply.addresses.into_iter().map(Cidr::to_wit).collect(),
    }
}

fn join_reply(reply: JoinReply) -> d::JoinReply {
    d::JoinReply {
        gateway_ipv4: reply.gateway_of(Family::Ipv4).map(ToWit::to_wit),
        gateway_ipv6: reply.gateway_of(Family::Ipv6).map(ToWit::to_wit),
        routes: reply.routes.into_iter().map(ToWit::to_wit).collect(),
        interface: reply.interface.map(|(link, name_prefix)| d::SandboxInterface {
            link: link.handle,
            name_prefix,
        }),
    }
}
