//! What Docker's own bridge does where it is the reference: the same packets are sent, and the same names asked for, on a host of ours and on
//! one of Docker 20.10. What they answer is the same, but for what is listed as different, with the reason.
//!
//! It needs dockerd, docker and iptables, and root, since dockerd does: without them it says so and does nothing.

// A scenario whose own values are wrong is to fail.
#![allow(clippy::unwrap_used)]

mod differences;
mod dockerd;
mod dockers;
mod names;
mod ours;
mod packets;
mod plan;
mod scene;

use std::path::Path;

use jackfield_lab::Result;

use differences::{Difference, NAMES, PACKETS, unexplained};
use scene::{Answers, Scene};

/// Why it cannot run here.
fn missing() -> Option<&'static str> {
    let there = |program: &str| {
        let folders = [
            "/usr/bin",
            "/usr/sbin",
            "/usr/local/bin",
            "/usr/local/sbin",
            "/bin",
            "/sbin",
        ];
        folders.iter().any(|folder| Path::new(folder).join(program).exists())
    };
    let programs = ["dockerd", "docker", "iptables", "unshare", "ldd", "tar"];
    let absent = programs.into_iter().find(|program| !there(program));
    absent.or_else(|| jackfield_lab::private::mapped().then_some("root"))
}

/// Asks both at the same time.
fn compare(name: &str, ask: fn(&Scene<'_>) -> Result<Answers>, differences: &[Difference]) -> Result<()> {
    if let Some(missing) = missing() {
        println!("skipped: this machine has no {missing}, which Docker needs");
        return Ok(());
    }
    let (ours, dockers) = std::thread::scope(|scope| {
        let ours = scope.spawn(|| ours::on_ours(name, ask));
        let dockers = dockers::on_dockers(name, ask);
        (ours.join().unwrap(), dockers)
    });
    let (ours, dockers) = (ours?, dockers?);
    for ((what, ours), (_, dockers)) in ours.iter().zip(&dockers) {
        println!("{what}: {ours} | {dockers}");
    }
    let unexplained = unexplained(&ours, &dockers, differences);
    assert!(unexplained.is_empty(), "{}", unexplained.join("\n"));
    Ok(())
}

#[test]
fn packets_arrive_where_they_do_with_dockers_bridge() -> Result<()> {
    compare("docker-packets", packets::ask, PACKETS)
}

#[test]
fn names_are_answered_as_docker_answers_them() -> Result<()> {
    compare("docker-names", names::ask, NAMES)
}
