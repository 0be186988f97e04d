//! `/v1/endpoints`, and `/v1/networks/{network}/endpoints`

use axum::extract::State;
use jackfield_controller::request::RealmRef;

use super::{
    Host,
    answer::{Answer, changed, found, list as listed, made},
    body::Json,
    path::Ref,
};
use crate::wire::{CreateEndpoint, Endpoint, Join, Ports};

pub(super) async fn list(State(host): State<Host>) -> Answer {
    listed::<_, Endpoint>(host.call(|controller| controller.endpoints(RealmRef::Own)).await?)
}

pub(super) async fn create(State(host): State<Host>, Ref(network): Ref, Json(body): Json<CreateEndpoint>) -> Answer {
    let done = host
        .call(move |controller| controller.create_endpoint(RealmRef::Own, &network, body.into()))
        .await?;
    made::<_, Endpoint>(done)
}

pub(super) async fn show(State(host): State<Host>, Ref(endpoint): Ref) -> Answer {
    let info = host
        .call(move |controller| controller.endpoint(RealmRef::Own, &endpoint))
        .await?;
    found(&Endpoint::from(info))
}

pub(super) async fn delete(State(host): State<Host>, Ref(endpoint): Ref) -> Answer {
    changed(
        &host
            .call(move |controller| controller.delete_endpoint(RealmRef::Own, &endpoint))
            .await?,
    )
}

pub(super) async fn join(State(host): State<Host>, Ref(endpoint): Ref, Json(body): Json<Join>) -> Answer {
    let (sandbox, join) = body.into_parts();
    let done = host
        .call(move |controller| controller.join(RealmRef::Own, &endpoint, &sandbox, join))
        .await?;
    found(&Endpoint::from(done.into_inner()))
}

pub(super) async fn ports(State(host): State<Host>, Ref(endpoint): Ref, Json(body): Json<Ports>) -> Answer {
    let done = host
        .call(move |controller| controller.set_ports(RealmRef::Own, &endpoint, &body.publish))
        .await?;
    found(&Endpoint::from(done.into_inner()))
}

pub(super) async fn leave(State(host): State<Host>, Ref(endpoint): Ref) -> Answer {
    changed(
        &host
            .call(move |controller| controller.leave(RealmRef::Own, &endpoint))
            .await?,
    )
}
