//! Links that come: a network whose parent was missing is tried again. And links that have to forward, where the operator lets them.
//!
//! ```text
//!   nobody waits --a network does--> listen, retry once --a link comes, or messages were lost--> wait until it is quiet --> retry --+
//!        ^                             ^                                                                                           |
//!        +-------- nobody any more ----+--------------------------------- somebody still ------------------------------------------+
//! ```
//! Most hosts have no such network, and a join or leave is told to whoever listens in a dozen messages, each a wake-up in the middle of it:
//! so nobody listens for nothing.
//!
//! Nothing is read out of a message but that a link is there which is not the host's own: the controller looks for itself. So a lost message
//! costs one retry and no knowledge.

use std::time::Duration;

use jackfield_controller::{Controller, request::Forwarding};
use rtnetlink::{
    MulticastGroup, new_multicast_connection,
    packet_core::{NetlinkMessage, NetlinkPayload},
    packet_route::RouteNetlinkMessage,
};
use tokio::time::{sleep, timeout};

/// A link that comes is told several times within moments: made, named, set up.
const QUIET: Duration = Duration::from_millis(200);
/// Longest wait for quiet, where links come all the time.
const LONGEST: Duration = Duration::from_secs(2);
/// Pause before listening anew after that failed.
const PAUSE: Duration = Duration::from_secs(5);
/// Pause between two looks whether anybody waits. A link that comes meanwhile is found all the same, when listening begins.
const IDLE: Duration = Duration::from_secs(1);
/// The host's own links have indexes from here on (see `Realm::reserve_index`): nobody waits for those.
const OWN: u32 = 0x4000_0000;

/// Listens for as long as the host runs.
pub(super) async fn watch(controller: Controller) {
    loop {
        if !controller.has_waiting() {
            sleep(IDLE).await;
            settle_uplinks(controller.clone()).await;
        } else if let Err(error) = listen(&controller).await {
            tracing::warn!("cannot listen for links, networks that wait for one are not retried: {error}");
            sleep(PAUSE).await;
        }
    }
}

/// For as long as a network waits.
async fn listen(controller: &Controller) -> std::io::Result<()> {
    let (connection, _handle, mut messages) = new_multicast_connection(&[MulticastGroup::Link])?;
    let reader = tokio::spawn(connection);
    retry(controller.clone()).await;
    while controller.has_waiting() {
        match messages.recv().await {
            Ok((message, _)) if !matters(&message) => continue,
            Ok(_) => {}
            Err(closed) => return Err(std::io::Error::other(closed)),
        }
        let quiet = async { while let Ok(Ok(_)) = timeout(QUIET, messages.recv()).await {} };
        let _ = timeout(LONGEST, quiet).await;
        retry(controller.clone()).await;
        settle_uplinks(controller.clone()).await;
    }
    reader.abort();
    Ok(())
}

fn matters(message: &NetlinkMessage<RouteNetlinkMessage>) -> bool {
    match &message.payload {
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) => link.header.index < OWN,
        NetlinkPayload::Overrun(_) => true,
        _ => false,
    }
}

/// Looks which links have to forward. Default routes come and go with leases and advertisements, and asking for them costs less than being
/// told of every route of every join.
async fn settle_uplinks(controller: Controller) {
    if *controller.forwarding() == Forwarding::Off {
        return;
    }
    if let Err(error) = tokio::task::spawn_blocking(move || controller.settle_uplinks()).await {
        tracing::error!("looking which links have to forward failed: {error}");
    }
}

async fn retry(controller: Controller) {
    if let Err(error) = tokio::task::spawn_blocking(move || controller.retry_waiting()).await {
        tracing::error!("retrying what waits failed: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtnetlink::packet_route::link::LinkMessage;

    #[test]
    fn a_strangers_link_or_a_loss_matters_and_our_own_links_do_not() {
        let link = |index| {
            let mut link = LinkMessage::default();
            link.header.index = index;
            NetlinkMessage::from(RouteNetlinkMessage::NewLink(link))
        };
        assert!(matters(&link(7)));
        assert!(!matters(&link(OWN + 7)));
        let gone = NetlinkMessage::from(RouteNetlinkMessage::DelLink(LinkMessage::default()));
        assert!(!matters(&gone));
        let lost = NetlinkMessage::new(Default::default(), NetlinkPayload::Overrun(Vec::new()));
        assert!(matters(&lost));
    }
}
