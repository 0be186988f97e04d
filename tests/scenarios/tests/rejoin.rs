//! A sandbox that leaves may join again at once, as eth0 and with its default route, however often.

use std::net::IpAddr;

use jackfield_lab::{Joined, Lab, Result, Sandbox, probe};
use jackfield_scenarios::{KINDS, Kind, expect_as_before, host, load};

/// An address that only a default route leads to (RFC 5737).
const FAR_AWAY: [u8; 4] = [198, 51, 100, 1];

/// The sandbox's default route goes by its gateway, on eth0.
fn expect_default_route(lab: &Lab, sandbox: &Sandbox, joined: &Joined, round: usize) -> Result<()> {
    assert_eq!(joined.interface, "eth0", "round {round}");
    let (route, link) = sandbox
        .route(lab, IpAddr::from(FAR_AWAY))?
        .unwrap_or_else(|| panic!("round {round}: there is no default route"));
    assert_eq!(link.as_str(), "eth0", "round {round}");
    let gateway = joined.gateways.iter().copied().find(IpAddr::is_ipv4);
    assert_eq!(route.gateway, gateway, "round {round}");
    assert_eq!(route.source, joined.address(false), "round {round}");
    Ok(())
}

fn scenario(kind: &Kind, rounds: usize) -> Result<()> {
    let lab = Lab::new(&format!("rejoin-{}", kind.driver))?;
    let before = lab.dump()?;
    let host = host(&lab)?;
    let mut client = host.client()?;
    load(&mut client, kind)?;
    client
        .post("/v1/networks", &kind.network("blue", 2))?
        .ok("create network")?;
    let sandbox = Sandbox::create(&lab, &mut client, "a")?;
    for round in 0..rounds {
        let joined = sandbox.connect(&mut client, "blue")?;
        expect_default_route(&lab, &sandbox, &joined, round)?;
        if round % 100 == 0 {
            for gateway in joined.gateways.iter().filter(|g| !g.is_loopback()) {
                probe::ping(&lab, &sandbox.namespace, *gateway).or_else(|e| {
                    if is_link_local(*gateway) {
                        Ok(Default::default())
                    } else {
                        Err(e)
                    }
                })?;
            }
        }
        sandbox.disconnect(&mut client, "blue")?;
        assert!(
            sandbox.route(&lab, IpAddr::from(FAR_AWAY))?.is_none(),
            "round {round}: the default route stayed"
        );
    }
    sandbox.delete(&mut client)?;
    client.delete("/v1/networks/blue")?.ok("delete network")?;
    drop(client);
    host.stop()?;
    expect_as_before(&lab, &before)?;
    lab.passed()
}

/// A link-local gateway answers ARP or ND, and no ping: it is nobody's address.
fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

#[test]
fn leave_and_rejoin_a_bridge_a_thousand_times() -> Result<()> {
    scenario(&KINDS[0], 1000)
}

#[test]
fn leave_and_rejoin_ptp_a_thousand_times() -> Result<()> {
    scenario(&KINDS[1], 1000)
}
