//! Two sandboxes of one network reach each other, whatever its driver, and removing all of it leaves nothing.

use std::net::SocketAddr;

use jackfield_lab::{Lab, Result, Sandbox, probe};
use jackfield_scenarios::{KINDS, Kind, expect_as_before, host, load};

/// Both families, ping and TCP, both ways.
fn talk(lab: &Lab, from: (&Sandbox, &jackfield_lab::Joined), to: (&Sandbox, &jackfield_lab::Joined)) -> Result<()> {
    for address in &to.1.addresses {
        probe::ping(lab, &from.0.namespace, *address)?;
        let target = SocketAddr::new(*address, 7000);
        let seen = probe::tcp(lab, &from.0.namespace, &to.0.namespace, target, target)?;
        assert!(
            from.1.addresses.contains(&seen.ip()),
            "inside a network nobody is masqueraded, the server saw {seen}"
        );
    }
    Ok(())
}

fn scenario(kind: &Kind) -> Result<()> {
    let lab = Lab::new(&format!("connectivity-{}", kind.driver))?;
    lab.uplink("up0", "outside")?;
    let before = lab.dump()?;
    let host = host(&lab)?;
    let mut client = host.client()?;
    load(&mut client, kind)?;
    client
        .post("/v1/networks", &kind.network("blue", 1))?
        .ok("create network")?;
    let (a, b) = (
        Sandbox::create(&lab, &mut client, "a")?,
        Sandbox::create(&lab, &mut client, "b")?,
    );
    let (in_a, in_b) = (a.connect(&mut client, "blue")?, b.connect(&mut client, "blue")?);
    assert_eq!(in_a.interface, "eth0");
    assert_eq!(in_a.addresses.len(), 2, "one of each family");

    talk(&lab, (&a, &in_a), (&b, &in_b))?;
    talk(&lab, (&b, &in_b), (&a, &in_a))?;
    if kind.host_is_gateway {
        for address in &in_a.addresses {
            probe::ping(&lab, lab.realm(), *address)?;
        }
    }

    a.disconnect(&mut client, "blue")?;
    b.delete(&mut client)?;
    a.delete(&mut client)?;
    client.delete("/v1/networks/blue")?.ok("delete network")?;
    drop(client);
    host.stop()?;
    expect_as_before(&lab, &before)?;
    lab.passed()
}

#[test]
fn bridge_connects_two_sandboxes() -> Result<()> {
    scenario(&KINDS[0])
}

#[test]
fn the_ptp_component_connects_two_sandboxes() -> Result<()> {
    scenario(&KINDS[1])
}

#[test]
fn the_bridge_component_connects_two_sandboxes() -> Result<()> {
    scenario(&KINDS[2])
}

#[test]
fn the_macvlan_component_connects_two_sandboxes() -> Result<()> {
    scenario(&KINDS[3])
}
