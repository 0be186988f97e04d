//! Taking something down while the host is down: it hears of it when it is back, or finds out by itself.
//!
//! ```text
//!   tombstone --written--> done
//!             --cannot be written--> the sandbox's namespace is gone: the host finds out by itself --> done
//!                                    there is no folder of a host: nothing was ever made ----------> done
//!                                    else ---------------------------------------------------------> the runtime has to try again
//! ```

use std::path::Path;

use crate::{
    call::Down,
    pass::{OWN, open_sandbox},
    protocol::spool_of,
    spool::{self, Inode, Tombstone},
};

/// What is to be taken down.
#[derive(Clone, Copy, Debug)]
pub struct Attachment<'a> {
    /// The configuration's name, or Podman's name of the network.
    pub network: &'a str,
    /// The container's id.
    pub container: &'a str,
    /// The interface.
    pub interface: &'a str,
}

/// Leaves word of it.
///
/// # Errors
/// In a sentence, when it would be lost.
pub fn bury(socket: &Path, attachment: Attachment<'_>, netns: &str, down: &Down) -> Result<(), String> {
    let folder = spool_of(socket);
    let leave = |realm| {
        let tombstone = Tombstone {
            network: attachment.network.to_owned(),
            container: attachment.container.to_owned(),
            interface: attachment.interface.to_owned(),
            realm,
        };
        spool::leave(&folder, &tombstone)
    };
    match Inode::of(Path::new(OWN)).and_then(leave) {
        Ok(()) => Ok(()),
        Err(_) if open_sandbox(netns).is_none() => Ok(()),
        Err(_) if socket.parent().is_some_and(|folder| !folder.exists()) => Ok(()),
        Err(cause) => Err(format!(
            "{down}; and the word for it cannot be left in {}: {cause}",
            folder.display()
        )),
    }
}
