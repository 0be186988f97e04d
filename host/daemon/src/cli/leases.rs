//! Which addresses of a network are whose, and giving up those that are reserved.

use std::net::IpAddr;

use super::{Outcome, Session, output::table};
use crate::{
    client::segment,
    wire::{Change, Endpoint, Lease, Network, Sandbox},
};

/// Who has which address. A reserved one says for whom.
pub(super) fn table_of(network: &Network, endpoints: &[Endpoint], sandboxes: &[Sandbox]) -> String {
    let row = |lease: &Lease| {
        let endpoint = endpoints.iter().find(|it| Some(&it.id) == lease.endpoint.as_ref());
        let named = endpoint.map(|it| {
            it.name
                .as_ref()
                .map_or_else(|| it.id.short().to_owned(), ToString::to_string)
        });
        let sandbox = sandboxes.iter().find(|it| Some(&it.id) == lease.sandbox.as_ref());
        [
            lease.address.to_string(),
            named
                .or_else(|| lease.service.as_ref().map(|name| format!("service {name}")))
                .unwrap_or_else(|| "-".to_owned()),
            sandbox.map_or_else(|| "-".to_owned(), |it| it.name.to_string()),
            lease
                .reserved_for
                .as_ref()
                .map_or_else(|| "-".to_owned(), ToString::to_string),
        ]
    };
    let rows: Vec<_> = network.pools.iter().flat_map(|pool| &pool.leases).map(row).collect();
    if rows.is_empty() {
        return String::new();
    }
    format!("\n{}", table(["ADDRESS", "ENDPOINT", "SANDBOX", "RESERVED FOR"], rows))
}

pub(super) async fn release(session: &mut Session, network: &str, addresses: &[IpAddr]) -> Outcome {
    let mut released = Vec::new();
    for address in addresses {
        let path = format!("/v1/networks/{}/reservations/{address}", segment(network));
        let change: Change = session.client.delete(&path).await?;
        released.extend(change.changed.then_some(*address));
    }
    session.output.show(&released, |released| {
        released.iter().map(|address| format!("{address}\n")).collect()
    })
}
