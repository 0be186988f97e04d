//! Machines, and what is said of them.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::Path,
};

use super::*;

/// A machine with these files; those that begin with `#!` can be run.
fn machine(root: &Path, files: &[(&str, &str)]) -> Machine {
    for (path, text) in files
        .iter()
        .chain(&[("/proc/sys/kernel/osrelease", "6.1.0-18-amd64\n")])
    {
        let path = root.join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        if text.starts_with("#!") {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
    Machine::below(root)
}

fn host(answers: bool) -> OwnHost {
    OwnHost {
        socket: "/run/jackfield/jackfield.sock".into(),
        answers: answers.then(|| ("0.1.0".to_owned(), "off".to_owned())),
        drivers: vec!["bridge".to_owned(), "acme".to_owned()],
    }
}

/// What is said of one subject on a machine with these files.
fn said(subject: &str, files: &[(&str, &str)], serving: bool) -> Vec<(State, String, String)> {
    let root = tempfile::tempdir().unwrap();
    let found = examine(&machine(root.path(), files), &host(serving), &[]);
    let of_subject = found.into_iter().filter(|finding| finding.subject == subject);
    of_subject
        .map(|f| (f.state, f.says, f.fix.unwrap_or_default()))
        .collect()
}

const PROGRAM: &str = "#!/bin/sh\n";

#[test]
fn a_machine_without_runtimes_is_told_of_itself_only() {
    let root = tempfile::tempdir().unwrap();
    let found = examine(&machine(root.path(), &[]), &host(true), &["vlan"]);
    let subjects: Vec<&str> = found.iter().map(|finding| finding.subject.as_str()).collect();
    assert_eq!(subjects, ["kernel", "kernel", "host", "host"]);
    assert_eq!(found[1].fix.as_deref(), Some("modprobe 8021q"));
    let old = [("/proc/sys/kernel/osrelease", "5.10.0")];
    assert_eq!(said("kernel", &[], true)[0].0, State::Well);
    let root = tempfile::tempdir().unwrap();
    machine(root.path(), &[]);
    fs::write(root.path().join("proc/sys/kernel/osrelease"), old[0].1).unwrap();
    assert_eq!(
        kernel::examine(&Machine::below(root.path()), &[])[0].state,
        State::Broken
    );
}

#[test]
fn a_host_that_does_not_serve_is_started_as_it_was_installed() {
    let unit = ("/lib/systemd/system/jackfield.service", "[Unit]");
    assert_eq!(said("host", &[unit], false)[0].2, "systemctl enable --now jackfield");
    assert_eq!(said("host", &[], false)[0].2, "jackfield serve");
    let switch = ("/proc/sys/net/ipv4/ip_forward", "0\n");
    let grants = ("/etc/jackfield/grants.toml", "");
    let serving = said("host", &[switch, grants], true);
    assert_eq!(serving[1].2, "jackfield serve --forwarding uplinks");
}

#[test]
fn docker_finds_sockets_that_answer_and_waits_for_dead_ones() {
    let root = tempfile::tempdir().unwrap();
    let machine = machine(root.path(), &[("/usr/bin/dockerd", PROGRAM)]);
    let folder = root.path().join("run/docker/plugins");
    assert_eq!(
        docker::examine(&machine, &host(true))[0].fix.as_deref(),
        Some("jackfield serve --docker-plugins /run/docker/plugins")
    );
    fs::create_dir_all(&folder).unwrap();
    let _living = UnixListener::bind(folder.join("acme.sock")).unwrap();
    drop(UnixListener::bind(folder.join("jackfield-bridge.sock")).unwrap());
    drop(UnixListener::bind(folder.join("others.sock")).unwrap());
    let found = docker::examine(&machine, &host(true));
    assert_eq!(
        found[0].fix.as_deref(),
        Some("rm /run/docker/plugins/jackfield-bridge.sock")
    );
    assert!(
        found[1]
            .says
            .starts_with("finds acme: docker network create --driver acme"),
        "{:?}",
        found[1]
    );
    assert_eq!(found.len(), 2, "what is not ours is not spoken of");
}

#[test]
fn podman_is_asked_by_the_backend_that_its_configuration_names() {
    let podman = ("/usr/bin/podman", PROGRAM);
    let netavark = ("/usr/lib/podman/netavark", PROGRAM);
    let cni = (
        "/etc/containers/containers.conf",
        "[network]\nnetwork_backend = \"cni\"\ncni_plugin_dirs = [\"/x/cni\"]\n",
    );
    for (files, state, says) in [
        (
            vec![podman, netavark],
            State::Broken,
            "ln -s /usr/lib/jackfield/jackfield-netavark /usr/lib/netavark/jackfield",
        ),
        (
            vec![podman, netavark, ("/usr/lib/netavark/acme", PROGRAM)],
            State::Well,
            "podman network create --driver acme",
        ),
        (
            vec![podman, netavark, ("/usr/lib/netavark/jackfield", "no program")],
            State::Broken,
            "jackfield-netavark",
        ),
        (
            vec![podman, netavark, cni],
            State::Broken,
            "ln -s /usr/lib/jackfield/jackfield-cni /x/cni/jackfield-cni",
        ),
        (
            vec![podman, netavark, cni, ("/x/cni/jackfield-cni", PROGRAM)],
            State::Well,
            "inspect --cni",
        ),
        (vec![podman], State::Broken, "jackfield-cni"),
    ] {
        let found = said("podman", &files, true);
        assert_eq!(found[0].0, state, "{files:?}");
        assert!(format!("{} {}", found[0].1, found[0].2).contains(says), "{found:?}");
    }
}

#[test]
fn containerd_needs_the_program_the_loopback_and_a_network_that_comes_first() {
    let containerd = ("/usr/bin/containerd", PROGRAM);
    let (ours, loopback) = (
        ("/opt/cni/bin/jackfield-cni", PROGRAM),
        ("/opt/cni/bin/loopback", PROGRAM),
    );
    let list = (
        "/etc/cni/net.d/10-blue.conflist",
        r#"{"plugins": [{"type": "jackfield-cni"}]}"#,
    );
    let other = ("/etc/cni/net.d/05-other.conf", r#"{"type": "bridge"}"#);
    let elsewhere = (
        "/etc/containerd/config.toml",
        "disabled_plugins = [\"cri\"]\n[plugins.\"io.containerd.grpc.v1.cri\".cni]\nbin_dir = \"/y\"\nconf_dir = \"/z\"\n",
    );
    for (files, state, words) in [
        (
            vec![containerd],
            State::Broken,
            "ln -s /usr/lib/jackfield/jackfield-cni /opt/cni/bin",
        ),
        (vec![containerd, ours], State::Broken, "loopback"),
        (
            vec![containerd, ours, loopback],
            State::Broken,
            "> /etc/cni/net.d/10-NAME.conflist",
        ),
        (vec![containerd, ours, loopback, list], State::Well, "10-blue.conflist"),
        (
            vec![containerd, ours, loopback, list, other],
            State::Note,
            "00-NAME.conflist",
        ),
        (
            vec![containerd, ours, loopback, list, elsewhere],
            State::Broken,
            "/y/jackfield-cni",
        ),
    ] {
        let found = said("containerd", &files, true);
        let last = found.last().unwrap();
        assert_eq!(last.0, state, "{files:?} {found:?}");
        assert!(format!("{} {}", last.1, last.2).contains(words), "{found:?}");
    }
    let found = said("containerd", &[containerd, elsewhere], true);
    assert!(found[0].1.contains("switched off"), "{found:?}");
}

#[test]
fn who_manages_links_is_told_to_leave_ours_alone() {
    let running = ("/run/NetworkManager/state", "");
    assert_eq!(said("NetworkManager", &[running], true)[0].0, State::Broken);
    let told = (
        "/etc/NetworkManager/conf.d/jackfield.conf",
        "[keyfile]\nunmanaged-devices+=interface-name:jf*\n",
    );
    assert_eq!(said("NetworkManager", &[running, told], true)[0].0, State::Well);
    let commented = (
        "/etc/NetworkManager/conf.d/x.conf",
        "#unmanaged-devices=interface-name:jf*\n",
    );
    assert_eq!(said("NetworkManager", &[running, commented], true)[0].0, State::Broken);
    let networkd = ("/run/systemd/netif/state", "");
    assert_eq!(said("systemd-networkd", &[networkd], true)[0].0, State::Broken);
}
