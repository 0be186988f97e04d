//! What a service manager hands over and is told: the socket is there before the host and outlives it, and the word that it serves is true.

use std::{
    fs,
    os::{
        fd::OwnedFd,
        unix::net::{UnixDatagram, UnixListener},
    },
    process::{Child, Command},
    time::Duration,
};

use jackfield_lab::{Client, Host, HostOptions, Lab, LabError, Result, program};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

const PATIENCE: Duration = Duration::from_secs(20);

fn during<T, E: std::fmt::Display>(step: &str, result: std::result::Result<T, E>) -> Result<T> {
    result.map_err(|cause| LabError::new(step, cause))
}

/// The manager's end of sd_notify.
fn manager(lab: &Lab) -> Result<UnixDatagram> {
    let socket = during("listen as a manager", UnixDatagram::bind(lab.path("notify")))?;
    during("set a time-out", socket.set_read_timeout(Some(PATIENCE)))?;
    Ok(socket)
}

fn heard(manager: &UnixDatagram) -> Result<String> {
    let mut buffer = [0; 256];
    let length = during("hear from the host", manager.recv(&mut buffer))?;
    Ok(String::from_utf8_lossy(&buffer[..length]).trim().to_owned())
}

#[test]
fn the_manager_hears_when_the_host_serves_and_when_it_stops() -> Result<()> {
    let lab = Lab::new("systemd-notify")?;
    let manager = manager(&lab)?;
    let host = Host::start(
        &lab,
        HostOptions {
            environment: vec![("NOTIFY_SOCKET".to_owned(), lab.path("notify").display().to_string())],
            ..HostOptions::default()
        },
    )?;
    assert_eq!(heard(&manager)?, "READY=1");
    host.client()?.get("/v1/info")?.ok("info")?;
    host.stop()?;
    assert_eq!(heard(&manager)?, "STOPPING=1");
    lab.passed()
}

/// A host that is given that socket, as systemd does it: descriptor 3, and the number of the process that it is for.
fn activated(lab: &Lab, listener: &UnixListener) -> Result<Child> {
    // As standard input, since a program is started with no other descriptors.
    let passed: OwnedFd = during("pass a socket on", listener.try_clone())?.into();
    let script = "exec 3<&0 0</dev/null; export LISTEN_PID=$$ LISTEN_FDS=1; exec \"$0\" \"$@\"";
    let log = during("make the log", fs::File::create(lab.path("activated.log")))?;
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", script])
        .arg(program())
        .args(["serve", "--socket"])
        .arg(lab.socket());
    for (option, value) in [
        ("--run-dir", "run"),
        ("--state-dir", "state"),
        ("--grants", "grants.toml"),
    ] {
        command.args([option.as_ref(), lab.path(value).as_os_str()]);
    }
    command.stdin(passed).stderr(log);
    command.env("NOTIFY_SOCKET", lab.path("notify"));
    during("start a host", lab.within(lab.realm(), || command.spawn())?)
}

#[test]
fn a_socket_that_is_handed_over_serves_one_host_after_another() -> Result<()> {
    let lab = Lab::new("systemd-socket")?;
    during("write the grants", fs::write(lab.path("grants.toml"), ""))?;
    let manager = manager(&lab)?;
    let listener = during("listen", UnixListener::bind(lab.socket()))?;
    // Whoever comes before the host waits for it and is not refused.
    let mut early = Client::connect(&lab.socket())?;
    for _ in 0..2 {
        let mut host = activated(&lab, &listener)?;
        let pid = Pid::from_raw(i32::try_from(host.id()).unwrap_or(0));
        let said = heard(&manager)
            .inspect_err(|_| print!("{}", fs::read_to_string(lab.path("activated.log")).unwrap_or_default()));
        assert_eq!(said?, "READY=1");
        let info = early.get("/v1/info")?.ok("info")?;
        assert_eq!(info["pid"], host.id());
        during("stop the host", kill(pid, Signal::SIGTERM))?;
        assert_eq!(heard(&manager)?, "STOPPING=1");
        assert!(during("wait for the host", host.wait())?.success());
        assert!(lab.socket().exists(), "the socket is the manager's, not the host's");
        early = Client::connect(&lab.socket())?;
    }
    lab.passed()
}
