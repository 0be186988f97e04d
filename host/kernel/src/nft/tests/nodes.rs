//! Network namespaces for tests: made in a thread of their own, entered by closure.

use std::{
    fs::File,
    os::fd::AsRawFd,
    process::{Command, Output},
    thread,
};

use netlink_sys::{Socket, protocols::NETLINK_NETFILTER};
use nix::sched::{CloneFlags, setns, unshare};

use crate::{KernelError, Result, nft::Transport};

/// A network namespace, alive as long as this.
pub(super) struct Node(File);

impl Node {
    /// None, said on stderr, where this process may not make namespaces.
    pub(super) fn new() -> Option<Self> {
        let made = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).map(|()| File::open("/proc/thread-self/ns/net").unwrap())
        });
        match made.join().unwrap() {
            Ok(file) => Some(Self(file)),
            Err(errno) => {
                eprintln!(
                    "skipped: no network namespace can be made here ({errno}); run as root or under `unshare -rn`"
                );
                None
            }
        }
    }

    /// Runs in the namespace, in a thread that ends with it.
    pub(super) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let enter_and_work = || {
            setns(&self.0, CloneFlags::CLONE_NEWNET).unwrap();
            work()
        };
        thread::scope(|scope| scope.spawn(enter_and_work).join())
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// How other programs find it while this lives.
    pub(super) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }

    /// Runs a program there, and its failure is the test's.
    pub(super) fn sh(&self, line: &str) -> String {
        let output = self.run(|| Command::new("sh").args(["-ec", line]).output().unwrap());
        let Output { status, stdout, stderr } = output;
        assert!(status.success(), "{line}: {}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).unwrap()
    }

    pub(super) fn netfilter(&self) -> NetfilterSocket {
        let mut socket = self.run(|| Socket::new(NETLINK_NETFILTER).unwrap());
        socket.bind_auto().unwrap();
        socket.set_ext_ack(true).unwrap();
        socket.set_cap_ack(true).unwrap();
        NetfilterSocket(socket)
    }
}

/// Whether a program is there; if not, that is said on stderr.
pub(super) fn has_program(name: &str) -> bool {
    let found = Command::new(name).arg("-V").output().is_ok();
    if !found {
        eprintln!("skipped: the program `{name}` is not installed");
    }
    found
}

/// The plainest [`Transport`].
pub(super) struct NetfilterSocket(Socket);

impl Transport for NetfilterSocket {
    fn roundtrip(&mut self, request: &[u8]) -> Result<Vec<Vec<u8>>> {
        let failed = |cause| KernelError::System {
            operation: "ask",
            object: "nftables".into(),
            cause,
        };
        self.0.send(request, 0).map_err(failed)?;
        let mut answers = Vec::new();
        loop {
            let mut datagram = Vec::with_capacity(64 * 1024);
            match self.0.recv(&mut datagram, libc::MSG_DONTWAIT) {
                Ok(_) => answers.push(datagram),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(answers),
                Err(error) => return Err(failed(error)),
            }
        }
    }
}
