//! The sockets in Docker's plugin folder come and go with the drivers and with the host.

use std::{os::unix::net::UnixListener, path::PathBuf};

use jackfield_lab::{Host, HostOptions, Lab, Result, component};

fn there(lab: &Lab) -> Vec<String> {
    let mut names = lab.files("plugins");
    names.sort();
    names
        .iter()
        .filter_map(|n| PathBuf::from(n).file_name()?.to_str().map(String::from))
        .collect()
}

fn options(lab: &Lab) -> HostOptions {
    HostOptions {
        grants: component::GRANTS.to_owned(),
        arguments: vec!["--docker-plugins".to_owned(), lab.path("plugins").display().to_string()],
        ..HostOptions::default()
    }
}

#[test]
fn a_socket_is_there_as_long_as_its_driver_and_the_host() -> Result<()> {
    let lab = Lab::new("docker-sockets")?;
    std::fs::create_dir_all(lab.path("plugins")).unwrap();
    drop(UnixListener::bind(lab.path("plugins/others.sock")).unwrap());
    let own = [
        "jackfield-bridge.sock",
        "jackfield-null.sock",
        "jackfield.sock",
        "others.sock",
    ];
    let mut host = Host::start(&lab, options(&lab))?;
    let mut client = host.client()?;
    assert_eq!(there(&lab), own);
    client
        .component("POST", "/v1/drivers", &component::read("ptp")?)?
        .ok("load")?;
    client
        .component("POST", "/v1/drivers", &component::read("macvlan")?)?
        .ok("load")?;
    let all = [&own[..1], &["jackfield-macvlan.sock"], &own[1..], &["ptp.sock"]].concat();
    assert_eq!(there(&lab), all);
    host.kill()?;
    assert_eq!(there(&lab), all, "dead, and known to be its own");
    host.restart(options(&lab))?;
    let mut client = host.client()?;
    assert_eq!(there(&lab), all);
    client.delete("/v1/drivers/ptp")?.ok("unload")?;
    assert_eq!(there(&lab), all[..all.len() - 1]);
    host.kill()?;
    // The next host does not serve Docker there any more: but what the last one left is not its business.
    host.restart(options(&lab))?;
    host.stop()?;
    assert_eq!(there(&lab), ["others.sock"]);
    lab.passed()
}

#[test]
fn a_socket_that_another_plugin_answers_on_is_left_to_it() -> Result<()> {
    let lab = Lab::new("docker-sockets-taken")?;
    std::fs::create_dir_all(lab.path("plugins")).unwrap();
    let theirs = UnixListener::bind(lab.path("plugins/ptp.sock")).unwrap();
    let host = Host::start(&lab, options(&lab))?;
    let mut client = host.client()?;
    let body = client.component("POST", "/v1/drivers", &component::read("ptp")?)?;
    body.ok("load")?;
    let log = host.log_end();
    assert!(
        log.contains("Docker does not find ptp: another plugin answers at"),
        "{log}"
    );
    drop(client);
    host.stop()?;
    assert_eq!(there(&lab), ["ptp.sock"]);
    drop(theirs);
    lab.passed()
}
