//! `/v1/sandboxes`

use axum::extract::State;
use jackfield_controller::request::RealmRef;

use super::{
    Host,
    answer::{Answer, changed, found, list as listed, made},
    body::Json,
    path::Ref,
};
use crate::wire::{CreateSandbox, Sandbox};

pub(super) async fn list(State(host): State<Host>) -> Answer {
    listed::<_, Sandbox>(host.call(|controller| controller.sandboxes(RealmRef::Own)).await?)
}

pub(super) async fn create(State(host): State<Host>, Json(body): Json<CreateSandbox>) -> Answer {
    let request = body.try_into()?;
    made::<_, Sandbox>(
        host.call(|controller| controller.create_sandbox(RealmRef::Own, request))
            .await?,
    )
}

pub(super) async fn show(State(host): State<Host>, Ref(sandbox): Ref) -> Answer {
    let info = host
        .call(move |controller| controller.sandbox(RealmRef::Own, &sandbox))
        .await?;
    found(&Sandbox::from(info))
}

pub(super) async fn delete(State(host): State<Host>, Ref(sandbox): Ref) -> Answer {
    changed(
        &host
            .call(move |controller| controller.delete_sandbox(RealmRef::Own, &sandbox))
            .await?,
    )
}
