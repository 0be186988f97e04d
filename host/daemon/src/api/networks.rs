//! `/v1/networks`

use axum::extract::State;
use jackfield_controller::request::RealmRef;

use super::{
    Host,
    answer::{Answer, changed, found, list as listed, made},
    body::Json,
    path::{Ref, RefAndAddress},
};
use crate::wire::{Connect, CreateNetwork, Disconnect, Endpoint, Network, Pruned};

pub(super) async fn list(State(host): State<Host>) -> Answer {
    listed::<_, Network>(host.call(|controller| controller.networks(RealmRef::Own)).await?)
}

pub(super) async fn create(State(host): State<Host>, Json(body): Json<CreateNetwork>) -> Answer {
    made::<_, Network>(
        host.call(|controller| controller.create_network(RealmRef::Own, body.into()))
            .await?,
    )
}

pub(super) async fn show(State(host): State<Host>, Ref(network): Ref) -> Answer {
    let info = host
        .call(move |controller| controller.network(RealmRef::Own, &network))
        .await?;
    found(&Network::from(info))
}

pub(super) async fn delete(State(host): State<Host>, Ref(network): Ref) -> Answer {
    changed(
        &host
            .call(move |controller| controller.delete_network(RealmRef::Own, &network))
            .await?,
    )
}

pub(super) async fn release_address(
    State(host): State<Host>,
    RefAndAddress(network, address): RefAndAddress,
) -> Answer {
    changed(
        &host
            .call(move |controller| controller.release_address(RealmRef::Own, &network, address))
            .await?,
    )
}

pub(super) async fn prune(State(host): State<Host>) -> Answer {
    let networks = host.call(|controller| controller.prune_networks(RealmRef::Own)).await?;
    found(&Pruned { networks })
}

pub(super) async fn connect(State(host): State<Host>, Ref(network): Ref, Json(body): Json<Connect>) -> Answer {
    let (sandbox, endpoint, join) = body.into_parts();
    let done = host
        .call(move |controller| controller.connect(RealmRef::Own, &network, &sandbox, endpoint, join))
        .await?;
    made::<_, Endpoint>(done)
}

pub(super) async fn disconnect(State(host): State<Host>, Ref(network): Ref, Json(body): Json<Disconnect>) -> Answer {
    changed(
        &host
            .call(move |controller| controller.disconnect(RealmRef::Own, &network, &body.sandbox))
            .await?,
    )
}
