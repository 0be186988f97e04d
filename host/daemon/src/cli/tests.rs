//! What the command line prints, with fixed data: help, tables, refusals.

use clap::{CommandFactory, Parser, error::ErrorKind};
use jackfield_model::{Error, ErrorCode, Options};
use serde_json::json;

use super::{Cli, Failure, doctor, driver, events, info, network, sandbox};
use crate::{
    client::ClientError,
    doctor::{Finding, State},
    wire::{Driver, Endpoint, Event, Info, Network, Problem, Sandbox},
};

fn id(digit: char) -> String {
    format!("{}{}", "0123456789ab", digit.to_string().repeat(52))
}

fn networks() -> Vec<Network> {
    serde_json::from_value(json!([
        {
            "id": id('a'), "name": "blue", "driver": "ptp", "internal": false, "state": "ready", "created": 1795462440,
            "options": {"mtu": "1400"}, "labels": {"team": "green", "empty": ""}, "endpoints": [id('b')],
            "pools": [
                {"subnet": "10.9.0.0/24", "range": "10.9.0.128/25", "gateway": "10.9.0.1",
                 "auxiliary": [{"name": "router", "address": "10.9.0.2"}], "capacity": 126, "used": 1,
                 "reserved": 1, "beside": 1, "leases": [
                    {"address": "10.9.0.7", "reserved_for": "db"},
                    {"address": "10.9.0.130", "endpoint": id('b'), "sandbox": id('d'), "reserved_for": "web"},
                    {"address": "10.9.0.131", "reserved_for": "cache"}
                 ]},
                {"subnet": "fd00:9::/64", "gateway": "fd00:9::1", "capacity": 18446744073709551614u64, "used": 1,
                 "reserved": 0, "beside": 0, "leases": [{"address": "fd00:9::82", "endpoint": id('b'), "sandbox": id('d')}]}
            ]
        },
        {
            "id": id('c'), "name": "a-network-with-a-longer-name", "driver": "bridge", "internal": true,
            "state": "waiting: there is no link eth7", "created": 1795462440, "options": {}, "labels": {},
            "endpoints": [], "pools": [{"subnet": "172.16.0.0/20", "capacity": 4093, "used": 0, "reserved": 0, "beside": 0}]
        }
    ]))
    .unwrap()
}

fn endpoints() -> Vec<Endpoint> {
    serde_json::from_value(json!([{
        "id": id('b'), "network": id('a'), "sandbox": id('d'), "mac": "02:42:0a:09:00:82", "interface": "eth0",
        "addresses": ["10.9.0.130/24", "fd00:9::82/64"], "gateways": ["10.9.0.1"], "driver": "ptp 0.1.0",
        "options": {}, "labels": {}, "state": "joined", "ports": [
            {"transport": "tcp", "container_port": 80, "host_address": "0.0.0.0", "host_port": 8080, "count": 1},
            {"transport": "udp", "container_port": 53, "host_address": "::", "host_port": 5300, "count": 2}
        ]
    }]))
    .unwrap()
}

fn sandboxes() -> Vec<Sandbox> {
    serde_json::from_value(json!([
        {"id": id('d'), "name": "web", "kind": "made", "path": "/run/jackfield/ns/web", "endpoints": [id('b')], "labels": {}},
        {"id": id('e'), "name": "moved", "kind": "foreign", "endpoints": [], "labels": {}}
    ]))
    .unwrap()
}

fn drivers() -> Vec<Driver> {
    serde_json::from_value(json!([
        {"name": "bridge", "version": "0.1.0", "scope": "local", "features": [], "grants": {}, "networks": []},
        {
            "name": "ptp", "version": "0.2.0", "description": "routed, without a bridge", "scope": "local", "features": ["ipam"],
            "component": {
                "api": "0.1.0", "digest": "9f86d081884c7d65", "size": 70123, "previous": "0.1.0",
                "calls": {"begun": 12, "refused": 2, "trapped": 1, "timed_out": 0, "denied": 3}
            },
            "networks": ["blue"],
            "grants": {"links": ["veth"], "parents": [], "rules": false, "neighbours": true, "limits": {"deadline-ms": 5000}}
        },
        {
            "name": "vpn", "version": "1.0.0", "scope": "local", "features": [], "grants": {}, "networks": [],
            "component": {
                "api": "", "digest": "60303ae22b998861", "size": 1,
                "calls": {"begun": 0, "refused": 0, "trapped": 0, "timed_out": 0, "denied": 0}
            },
            "absent": "the driver vpn asks for more than it is granted"
        }
    ]))
    .unwrap()
}

#[test]
fn help() {
    let mut commands = vec![Cli::command().term_width(100)];
    commands[0].build();
    while let Some(mut command) = commands.pop() {
        let name = command.get_bin_name().unwrap_or(command.get_name()).replace(' ', "-");
        insta::assert_snapshot!(format!("help-{name}"), command.render_help().to_string());
        commands.extend(
            command
                .get_subcommands()
                .filter(|it| it.get_name() != "help" && !it.is_hide_set())
                .cloned(),
        );
    }
}

#[test]
fn tables() {
    insta::assert_snapshot!("networks", network::listed(&networks()));
    insta::assert_snapshot!("sandboxes", sandbox::listed(&sandboxes()));
    insta::assert_snapshot!("drivers", driver::listed(&drivers()));
    insta::assert_snapshot!("nothing-there", network::listed(&[]));
}

#[test]
fn what_a_doctor_says() {
    let finding = |subject: &str, state, says: &str, fix: Option<&str>| Finding {
        subject: subject.to_owned(),
        state,
        says: says.to_owned(),
        fix: fix.map(str::to_owned),
    };
    let findings = [
        finding("kernel", State::Well, "Linux 6.18.0", None),
        finding(
            "host",
            State::Broken,
            "nobody answers on /run/jackfield/jackfield.sock",
            Some("systemctl enable --now jackfield"),
        ),
        finding(
            "containerd",
            State::Note,
            "uses another network",
            Some("jackfield network inspect --cni NAME"),
        ),
    ];
    insta::assert_snapshot!("doctor", doctor::described(&findings));
}

#[test]
fn single_objects() {
    let all = networks();
    insta::assert_snapshot!(
        "network-inspect",
        network::described(&all[0], &endpoints(), &sandboxes())
    );
    insta::assert_snapshot!(
        "network-inspect-waiting",
        network::described(&all[1], &endpoints(), &sandboxes())
    );
    insta::assert_snapshot!(
        "sandbox-inspect",
        sandbox::described(&sandboxes()[0], &endpoints(), &all)
    );
    insta::assert_snapshot!("driver-inspect", driver::described(&drivers()[1]));
    insta::assert_snapshot!("info", info::described(&an_info()));
}

fn an_info() -> Info {
    Info {
        version: "0.1.0".to_owned(),
        api: "v1".to_owned(),
        kernel: "6.17.0".to_owned(),
        pid: 4711,
        started: 1_795_462_440,
        run_dir: "/run/jackfield".into(),
        state_dir: "/var/lib/jackfield".into(),
        forwarding: "uplinks".to_owned(),
        drivers: vec!["bridge".to_owned(), "ptp".to_owned()],
        networks: 2,
        endpoints: 1,
        sandboxes: 2,
    }
}

#[test]
fn an_event_is_one_line() {
    let event = |name: Option<&str>, attributes: Options| Event {
        sequence: 7,
        time_ms: 1_795_462_440_123,
        object: "endpoint".to_owned(),
        action: "join".to_owned(),
        id: id('b'),
        name: name.map(str::to_owned),
        attributes,
    };
    let attributes = Options::from([("interface".to_owned(), "eth0".to_owned())]);
    assert_eq!(
        events::described(&event(Some("web"), attributes)),
        "2026-11-23T19:34:00.123Z endpoint join web (interface=eth0)"
    );
    assert_eq!(
        events::described(&event(None, Options::new())),
        "2026-11-23T19:34:00.123Z endpoint join 0123456789ab"
    );
}

#[test]
fn refusals() {
    let simple = Error::not_found("there is no network \"blu\", did you mean \"blue\"?");
    let driver = Error::new(ErrorCode::Denied, "that route is not granted")
        .object("network blue")
        .step("join")
        .driver("ptp 0.2.0")
        .caused_by(Error::invalid("192.0.2.0/24 is not granted"));
    for (name, error) in [("refusal-simple", simple), ("refusal-of-a-driver", driver)] {
        let problem = Problem::from_error(400, &error);
        insta::assert_snapshot!(name, Failure::from(ClientError::Refused(Box::new(problem))).text());
    }
    let parser =
        Error::invalid("the grants file is not valid TOML").caused_by(Error::invalid("line 1\n  |\n1 | a\n  | ^\n"));
    insta::assert_snapshot!("refusal-with-a-block", Failure::Own(parser).text());
    let source = std::io::Error::from_raw_os_error(2);
    let unreachable = ClientError::Unreachable {
        socket: "/run/jackfield/jackfield.sock".into(),
        source,
    };
    insta::assert_snapshot!("refusal-unreachable", Failure::from(unreachable).text());
    let cause = std::io::Error::from_raw_os_error(2);
    insta::assert_snapshot!(
        "refusal-no-program",
        Failure::Program {
            program: "pign".to_owned(),
            cause
        }
        .text()
    );
}

/// Usage errors of clap: the text, without the hint at `--help` that all of them end with.
#[test]
fn a_wrong_command_line_says_what_was_expected() {
    let table: &[&[&str]] = &[
        &["netwrok", "ls"],
        &["network", "create"],
        &["network", "create", "-x"],
        &["network", "create", "a b"],
        &["network", "create", "blue", "--subnet", "10.9.0.7/24"],
        &["network", "create", "blue", "--subnet", "10.9.0.0"],
        &["network", "create", "blue", "-o", "mtu"],
        &["network", "connect", "blue", "web", "--mac", "01:00:5e:00:00:01"],
        &["network", "connect", "blue", "web", "--interface", "sixteen-bytes-xx"],
        &["network", "connect", "blue", "web", "-p", "80:"],
        &["network", "connect", "blue", "web", "-p", "8000-8001:90-92"],
        &["network", "publish", "blue", "web", "-p", "fd00::1:80:80"],
        &["network", "publish", "blue", "web", "--publish", "host:80:80"],
        &["run", "--network", "blue", "-p", "80/icmp", "--", "true"],
        &["sandbox", "create", "--pid", "1", "--path", "/x"],
        &["run", "--network", "blue"],
    ];
    let mut text = String::new();
    for arguments in table {
        let error = Cli::try_parse_from(std::iter::once(&"jackfield").chain(*arguments)).unwrap_err();
        assert_ne!(error.kind(), ErrorKind::DisplayHelp);
        let told = error.to_string();
        let told = told.split("\n\nFor more information").next().unwrap_or_default();
        text.push_str(&format!("$ jackfield {}\n{}\n\n", arguments.join(" "), told.trim_end()));
    }
    insta::assert_snapshot!("usage", text);
}

#[test]
fn run_refuses_one_address_for_two_networks() {
    let cli = Cli::try_parse_from([
        "jackfield",
        "run",
        "--network",
        "a",
        "--network",
        "b",
        "--ip",
        "10.0.0.2",
        "--",
        "true",
    ]);
    let failure = cli.unwrap().run().unwrap_err();
    assert_eq!(
        failure.text(),
        "jackfield: --ip, --mac, --interface and --publish need exactly one --network\n"
    );
}
