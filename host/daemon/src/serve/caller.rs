//! Who may speak to the host: root, and the user that it runs as. The kernel says who it is (SO_PEERCRED), as of the moment he connected.

use jackfield_model::{Error, ErrorCode};
use tokio::net::UnixStream;

/// Lets the caller in, or says why not.
pub(super) fn admit(stream: &UnixStream) -> Result<(), Error> {
    let unknown = |cause| Error::new(ErrorCode::Denied, "the kernel does not say who you are").caused_by(cause);
    let caller = stream.peer_cred().map_err(unknown)?.uid();
    decide(caller, nix::unistd::geteuid().as_raw())
}

fn decide(caller: u32, own: u32) -> Result<(), Error> {
    if caller == 0 || caller == own {
        return Ok(());
    }
    let who = if own == 0 {
        "root".to_owned()
    } else {
        format!("root and uid {own}")
    };
    Err(Error::new(
        ErrorCode::Denied,
        format!("uid {caller} may not use this host: it serves {who}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_the_hosts_own_user_come_in() {
        for (caller, own, admitted) in [
            (0, 0, true),
            (0, 1000, true),
            (1000, 1000, true),
            (1000, 0, false),
            (1001, 1000, false),
        ] {
            assert_eq!(decide(caller, own).is_ok(), admitted, "{caller} to {own}");
        }
        let refusal = decide(1001, 1000).unwrap_err();
        assert_eq!(
            refusal.message,
            "uid 1001 may not use this host: it serves root and uid 1000"
        );
    }
}
