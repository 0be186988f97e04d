//! Listening for changes of nf_tables in one namespace.

use std::{
    io::{self, Read},
    os::{fd::AsFd, unix::net::UnixStream},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use netlink_sys::Socket as Raw;
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{setsockopt, sockopt},
};

use super::system;
use crate::{FirewallWatch, KernelError, Result, nft};

/// NFNLGRP_NFTABLES of linux/netfilter/nfnetlink.h.
const GROUP: u32 = 7;
/// Room for what is told and not read yet: a large ruleset loaded at once is some megabytes of messages.
const ROOM: usize = 8 << 20;
const LARGEST: usize = 64 << 10;

/// The socket that is told, and what ends the watch.
pub(super) struct Watch {
    socket: Raw,
    until: UnixStream,
    /// The host's own socket in the namespace, whose changes are no news; zero while there is none.
    own_port: Arc<AtomicU32>,
}

/// What ended a wait.
enum Woken {
    /// The kernel told of changes.
    Told,
    /// Somebody wants it looked at.
    Asked,
    /// The watch is over.
    Over,
}

impl Watch {
    /// To be called in the namespace.
    pub(super) fn open(until: UnixStream, own_port: Arc<AtomicU32>) -> io::Result<Self> {
        let mut socket = Raw::new(libc::NETLINK_NETFILTER as isize)?;
        socket.bind_auto()?;
        // Without it the host would wake up for each of its own changes, in the middle of them.
        let _cheaper = system::hear_no_more_of(&socket, own_port.load(Ordering::Relaxed));
        if setsockopt(&socket, sockopt::RcvBufForce, &ROOM).is_err() {
            setsockopt(&socket, sockopt::RcvBuf, &ROOM)?;
        }
        socket.add_membership(GROUP)?;
        Ok(Self {
            socket,
            until,
            own_port,
        })
    }

    /// Waits for something to read, or for being asked to look.
    fn wait(&mut self) -> io::Result<Woken> {
        let mut either = [
            PollFd::new(self.socket.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.until.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut either, PollTimeout::NONE) {
            Err(nix::errno::Errno::EINTR) => return Ok(Woken::Told),
            Err(errno) => return Err(errno.into()),
            Ok(_) if either[1].revents().is_none_or(|events| events.is_empty()) => return Ok(Woken::Told),
            Ok(_) => {}
        }
        match self.until.read(&mut [0; 64])? {
            0 => Ok(Woken::Over),
            _ => Ok(Woken::Asked),
        }
    }

    /// Whether what is queued concerns the host. What was lost, or cannot be read, may.
    fn read(&self) -> io::Result<bool> {
        let mut concerned = false;
        loop {
            let mut datagram = Vec::with_capacity(LARGEST);
            match self.socket.recv(&mut datagram, libc::MSG_DONTWAIT) {
                Ok(_) => {
                    let own = self.own_port.load(Ordering::Relaxed);
                    concerned |= nft::concerns(&datagram, own).unwrap_or(true);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(concerned),
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => concerned = true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl FirewallWatch for Watch {
    fn next(&mut self) -> Result<bool> {
        let failed = |cause| KernelError::System {
            operation: "watch",
            object: "nf_tables".to_owned(),
            cause,
        };
        loop {
            match self.wait().map_err(failed)? {
                Woken::Over => return Ok(false),
                Woken::Asked => return Ok(true),
                Woken::Told if self.read().map_err(failed)? => return Ok(true),
                Woken::Told => {}
            }
        }
    }
}
