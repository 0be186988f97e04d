//! Other firewalls that the host cannot pass are told of, once, with what their operator can do; and that they are gone is told too.

use std::{
    io::Write,
    process::{Child, Command, Stdio},
    time::Instant,
};

use jackfield_lab::{Host, HostOptions, Lab, LabError, Result};
use jackfield_scenarios::{KINDS, expect_as_before};

use super::{FIREWALLD, SECOND, await_event, has_nft, nft};

/// A program that made firewalld's table its own (NFT_TABLE_F_OWNER), as firewalld 2.1 does. The table goes with it.
struct Owner(Child);

impl Owner {
    fn start(lab: &Lab) -> Result<Self> {
        let failed = |cause: std::io::Error| LabError::new("own a table", cause);
        let mut command = Command::new("nft");
        command
            .arg("-i")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut owner = Self(lab.within(lab.realm(), || command.spawn())?.map_err(failed)?);
        let lines = "add table inet firewalld { flags owner; }\n\
                     add chain inet firewalld filter_FORWARD { type filter hook forward priority 10; policy drop; }\n";
        let input = owner.0.stdin.as_mut().unwrap();
        input.write_all(lines.as_bytes()).map_err(failed)?;
        let begun = Instant::now();
        while !lab.dump()?.firewall.iter().any(|line| line.contains("filter_FORWARD")) {
            assert!(begun.elapsed() < 5 * SECOND, "there is no owned table");
            std::thread::yield_now();
        }
        Ok(owner)
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_table_that_its_program_owns_is_told_of_once_and_that_it_is_gone() -> Result<()> {
    if !has_nft() {
        return Ok(());
    }
    let lab = Lab::new("blocked-owner")?;
    let before = lab.dump()?;
    let owner = Owner::start(&lab)?;
    let host = Host::start(&lab, HostOptions::default())?;
    let mut client = host.client()?;
    for (name, number) in [("blue", 1), ("red", 2)] {
        client
            .post("/v1/networks", &KINDS[0].network(name, number))?
            .ok("create network")?;
        let heard = await_event(&lab, "\"blocked\"")?;
        for part in [
            "chain filter_FORWARD of inet firewalld",
            "owns the table",
            "NftablesTableOwner=no",
        ] {
            assert!(heard.contains(part), "{part} is missing in {heard}");
        }
    }
    // Its operator did as he was told: it starts again, and its table is open to others.
    drop(owner);
    nft(&lab, FIREWALLD)?;
    let heard = await_event(&lab, "\"freed\"")?;
    assert_eq!(heard.matches("\"blocked\"").count(), 1, "{heard}");
    nft(&lab, "delete table inet firewalld")?;
    for name in ["blue", "red"] {
        client.delete(&format!("/v1/networks/{name}"))?.ok("delete network")?;
    }
    drop(client);
    host.stop()?;
    expect_as_before(&lab, &before)?;
    lab.passed()
}

#[test]
fn tables_of_iptables_legacy_are_told_of() -> Result<()> {
    let lab = Lab::new("blocked-legacy")?;
    let run = || Command::new("iptables-legacy").args(["-P", "FORWARD", "DROP"]).output();
    match lab.within(lab.realm(), run)? {
        Ok(output) if output.status.success() => {}
        _ => {
            println!("skipped: there is no iptables-legacy here, or no kernel for it");
            return lab.passed();
        }
    }
    let host = Host::start(&lab, HostOptions::default())?;
    let mut client = host.client()?;
    client
        .post("/v1/networks", &KINDS[0].network("blue", 1))?
        .ok("create network")?;
    let heard = await_event(&lab, "\"blocked\"")?;
    for part in ["filter table of iptables-legacy", "0x8000000/0x8000000"] {
        assert!(heard.contains(part), "{part} is missing in {heard}");
    }
    client.delete("/v1/networks/blue")?.ok("delete network")?;
    drop(client);
    host.stop()?;
    lab.passed()
}
