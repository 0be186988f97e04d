//! What time brings: tombstones, sandboxes whose namespace is gone, and callers' realms that nobody is in or that are gone.

use std::{sync::Arc, time::Duration};

use jackfield_controller::Controller;
use tokio::time::{Instant, interval};

use super::Spool;

/// Between two looks for tombstones: a folder that is empty as a rule.
const TOMBSTONES: Duration = Duration::from_secs(1);
/// Between two looks for what is gone: some 50 µs for each adopted sandbox.
const GONE: Duration = Duration::from_secs(30);
/// How long a realm stays open with nobody in it: the next container of the same user is often not far.
const REST: Duration = Duration::from_secs(10);

/// For as long as the host runs.
pub(crate) async fn keep_house(controller: Controller, spool: Arc<Spool>) {
    let mut tick = interval(TOMBSTONES);
    let mut looked = Instant::now();
    loop {
        tick.tick().await;
        let (controller, spool) = (controller.clone(), spool.clone());
        let gone = looked.elapsed() >= GONE;
        let done = tokio::task::spawn_blocking(move || {
            spool.drain(&controller);
            if gone {
                collect(&controller);
            }
            let_realms_go(&controller);
        });
        if let Err(error) = done.await {
            tracing::error!("looking for what is gone failed: {error}");
        }
        if gone {
            looked = Instant::now();
        }
    }
}

fn collect(controller: &Controller) {
    for (realm, _) in controller.realms() {
        match controller.collect_gone(realm) {
            Ok(names) if names.is_empty() => {}
            Ok(names) => tracing::info!(sandboxes = names.join(", "), "collected: their namespaces are gone"),
            Err(error) => tracing::debug!(%error, "a realm was closed meanwhile"),
        }
    }
}

fn let_realms_go(controller: &Controller) {
    let closed = controller.close_idle_realms(REST);
    if closed > 0 {
        tracing::info!(closed, "callers' namespaces with nobody in them are let go");
    }
    if let Err(error) = controller.forget_dead_realms() {
        tracing::warn!(%error, "it is not known which callers' namespaces are gone");
    }
}
