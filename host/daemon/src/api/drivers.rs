//! `/v1/drivers`

use axum::extract::State;
use jackfield_controller::{Controller, request::Done};
use jackfield_driver::Identity;
use jackfield_model::{Error, Options, Result};
use jackfield_wasm::{Change, Inspection};

use super::{
    Host,
    answer::{Answer, changed, found, made},
    body::Component,
    path::Ref,
};
use crate::{drivers::DriverAdmin, wire::Driver};

pub(super) async fn list(State(host): State<Host>) -> Answer {
    let call = |controller: &Controller, drivers: &dyn DriverAdmin| {
        drivers
            .list()
            .into_iter()
            .map(|it| describe(controller, drivers, it))
            .collect::<Result<Vec<_>>>()
    };
    found(&host.with_drivers(call).await?)
}

pub(super) async fn show(State(host): State<Host>, Ref(name): Ref) -> Answer {
    found(
        &host
            .with_drivers(move |controller, drivers| describe(controller, drivers, drivers.inspect(&name)?))
            .await?,
    )
}

pub(super) async fn load(State(host): State<Host>, Component(bytes): Component) -> Answer {
    let call = move |controller: &Controller, drivers: &dyn DriverAdmin| {
        let change = drivers.load(&bytes)?;
        announce(controller, drivers, "load", change)
    };
    let loaded = host.with_drivers(call).await?;
    host.drivers_changed();
    made::<_, Driver>(loaded)
}

pub(super) async fn upgrade(State(host): State<Host>, Ref(name): Ref, Component(bytes): Component) -> Answer {
    let call = move |controller: &Controller, drivers: &dyn DriverAdmin| {
        let change = drivers.upgrade(&name, &bytes)?;
        announce(controller, drivers, "upgrade", change)
    };
    found(&host.with_drivers(call).await?.into_inner())
}

pub(super) async fn rollback(State(host): State<Host>, Ref(name): Ref) -> Answer {
    let call = move |controller: &Controller, drivers: &dyn DriverAdmin| {
        let change = drivers.rollback(&name)?;
        announce(controller, drivers, "rollback", change)
    };
    found(&host.with_drivers(call).await?.into_inner())
}

pub(super) async fn unload(State(host): State<Host>, Ref(name): Ref) -> Answer {
    let call = move |controller: &Controller, drivers: &dyn DriverAdmin| {
        let identity = drivers.inspect(&name)?.identity;
        drivers.unload(&name, &|| controller.networks_of_driver(&name))?;
        emit(controller, "unload", &identity);
        Ok(Done::Done(()))
    };
    let unloaded = host.with_drivers(call).await?;
    host.drivers_changed();
    changed(&unloaded)
}

/// Tells whoever listens, and describes the driver as it is now.
fn announce(controller: &Controller, drivers: &dyn DriverAdmin, action: &str, change: Change) -> Result<Done<Driver>> {
    let driver = describe(controller, drivers, drivers.inspect(&change.identity().name)?)?;
    Ok(match change {
        Change::Done(identity) => {
            emit(controller, action, &identity);
            Done::Done(driver)
        }
        Change::AlreadySo(_) => Done::AlreadySo(driver),
    })
}

fn emit(controller: &Controller, action: &str, identity: &Identity) {
    let attributes = Options::from([("version".to_owned(), identity.version.clone())]);
    controller.emit("driver", action, &identity.name, Some(&identity.name), attributes);
}

fn describe(controller: &Controller, drivers: &dyn DriverAdmin, inspection: Inspection) -> Result<Driver> {
    let networks = controller.networks_of_driver(&inspection.identity.name);
    let plugin = drivers.plugin(&inspection.identity.name);
    Driver::new(inspection, plugin, networks)
        .map_err(|e| Error::internal("the driver's grants cannot be shown").caused_by(e))
}
