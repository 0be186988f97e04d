//! Namespaces: who they are, how they are entered, kept and let go.

use std::{
    os::fd::OwnedFd,
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::{Bench, index, veth};
use crate::{Kernel, KernelError, LinkQuery, NamespaceSource, netns};

fn here() -> std::path::PathBuf {
    std::fs::read_link("/proc/thread-self/ns/net").unwrap()
}

#[test]
fn a_thread_is_back_after_a_closure_and_after_its_panic() {
    let Some(bench) = Bench::new() else { return };
    let home = here();
    let inside = netns::within(&bench.sandbox, here).unwrap();
    assert_ne!(inside, home);
    assert_eq!(here(), home);
    let panicked = catch_unwind(AssertUnwindSafe(|| netns::within(&bench.sandbox, || panic!("inside"))));
    assert!(panicked.is_err());
    assert_eq!(here(), home);
}

#[test]
fn ones_own_namespace_is_read_without_any_privilege() {
    let kernel = crate::Linux::new().unwrap();
    let own = kernel.open_namespace(&NamespaceSource::Own).unwrap();
    assert_eq!(netns::within(&own, here).unwrap(), here());
    let lo = kernel
        .link(&own, LinkQuery::Name(&"lo".parse().unwrap()))
        .unwrap()
        .unwrap();
    assert_eq!(lo.index.get(), 1);
}

#[test]
fn a_namespace_is_the_same_however_it_is_opened_and_another_is_not() {
    let Some(bench) = Bench::new() else { return };
    let (kernel, sandbox) = (&bench.kernel, &bench.sandbox);
    let copy = || sandbox.fd().unwrap().try_clone().unwrap();
    assert_eq!(kernel.adopt_namespace(copy()).unwrap(), *sandbox);
    assert_ne!(bench.realm, *sandbox);
    let own = kernel.open_namespace(&NamespaceSource::Own).unwrap();
    assert_eq!(
        kernel
            .open_namespace(&NamespaceSource::Pid(std::process::id()))
            .unwrap(),
        own
    );
    assert_eq!(
        kernel
            .open_namespace(&NamespaceSource::Path("/proc/self/ns/net".into()))
            .unwrap(),
        own
    );
}

#[test]
fn what_is_no_network_namespace_is_refused() {
    let Some(bench) = Bench::new() else { return };
    let open = |path: &str| bench.kernel.open_namespace(&NamespaceSource::Path(path.into()));
    for path in ["/etc/passwd", "/dev/null", "/", "/proc/self/ns/mnt"] {
        assert!(matches!(open(path), Err(KernelError::NotANamespace { .. })), "{path}");
    }
    assert!(matches!(open("/no/such/file"), Err(KernelError::NamespaceGone(_))));
    assert!(matches!(
        bench.kernel.open_namespace(&NamespaceSource::Pid(u32::MAX)),
        Err(KernelError::NamespaceGone(_))
    ));
    let file = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
    assert!(matches!(
        bench.kernel.adopt_namespace(file),
        Err(KernelError::NotANamespace { .. })
    ));
}

#[test]
fn our_own_namespaces_are_owned_by_us() {
    let Some(bench) = Bench::new() else { return };
    assert_eq!(
        bench.kernel.owner_uid(&bench.sandbox).unwrap(),
        nix::unistd::geteuid().as_raw()
    );
}

#[test]
fn a_pin_keeps_a_namespace_and_both_ways_are_idempotent() {
    let Some(bench) = Bench::new() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("netns/one");
    let (kernel, sandbox) = (&bench.kernel, &bench.sandbox);
    if let Err(error) = kernel.pin(sandbox, &path) {
        eprintln!("skipped: mounting needs root or a mount namespace of one's own (unshare -Urm): {error}");
        return;
    }
    kernel.pin(sandbox, &path).unwrap();
    assert!(
        kernel.pin(&bench.realm, &path).is_err(),
        "the file of another namespace is not taken"
    );
    assert_eq!(
        kernel.open_namespace(&NamespaceSource::Path(path.clone())).unwrap(),
        *sandbox
    );
    kernel.unpin(&path).unwrap();
    kernel.unpin(&path).unwrap();
    assert!(matches!(
        kernel.open_namespace(&NamespaceSource::Path(path.clone())),
        Err(KernelError::NamespaceGone(_))
    ));
    std::fs::write(&path, "a file of somebody's").unwrap();
    assert!(kernel.pin(sandbox, &path).is_err());
}

#[test]
fn a_forgotten_namespace_dies_and_takes_the_hosts_end_with_it() {
    let Some(bench) = Bench::new() else { return };
    let Bench { kernel, realm, sandbox } = bench;
    let create = crate::Request::CreateLink {
        link: Box::new(veth(1, "v0")),
        controller: None,
        group: 0,
        sandbox: Some(sandbox.clone()),
    };
    kernel.send(&realm, &[create]).unwrap().remove(0).unwrap();
    kernel.dump(&sandbox).unwrap();
    kernel.forget(&sandbox);
    drop(sandbox);
    // The kernel takes namespaces apart on a thread of its own; how long it may take is not known, so the test waits for it.
    let gone = || kernel.link(&realm, LinkQuery::Index(index(1))).unwrap().is_none();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !gone() {
        assert!(
            std::time::Instant::now() < deadline,
            "something keeps the namespace alive"
        );
        std::thread::yield_now();
    }
}

#[test]
fn a_marked_namespace_is_known_to_be_gone_and_a_mark_keeps_none_alive() {
    let Some(bench) = Bench::new() else { return };
    let Bench { kernel, sandbox, .. } = bench;
    let mark = kernel.mark(&sandbox).unwrap();
    assert_eq!(
        kernel.mark(&sandbox).unwrap(),
        mark,
        "a mark of an earlier host is as good"
    );
    assert!(kernel.lives(mark).unwrap());
    kernel.forget(&sandbox);
    drop(sandbox);
    // The kernel takes namespaces apart on a thread of its own.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while kernel.lives(mark).unwrap() {
        assert!(std::time::Instant::now() < deadline, "the mark outlives its namespace");
        std::thread::yield_now();
    }
}
