//! Routes that each sandbox of a network gets: `10.1.0.0/16 via 10.0.0.5 metric 50, fd01::/48 via fd00::5`.

use std::net::IpAddr;

use jackfield_model::{Error, Family, IpNetwork, NextHop, Options, Pool, Result, StaticRoute};

/// Reads them; None when one of them is none.
pub fn read(text: &str) -> Option<Vec<StaticRoute>> {
    text.split(',').map(route).collect()
}

fn route(text: &str) -> Option<StaticRoute> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (destination, gateway, metric) = match words[..] {
        [destination, "via", gateway] => (destination, gateway, None),
        [destination, "via", gateway, "metric", metric] => (destination, gateway, Some(metric)),
        _ => return None,
    };
    let destination: IpNetwork = destination.parse().ok()?;
    let gateway: IpAddr = gateway.parse().ok()?;
    let metric = metric
        .map(|m| m.parse::<u32>().ok())
        .map_or(Some(None), |m| m.map(Some))?;
    let fits = Family::of(gateway) == Family::of(destination.ip()) && destination.ip() == destination.network();
    fits.then(|| StaticRoute {
        destination,
        next_hop: NextHop::Gateway(gateway),
        attributes: metric
            .map(|m| ("metric".to_owned(), m.to_string()))
            .into_iter()
            .collect::<Options>(),
    })
}

/// Whether each gateway is in one of the network's subnets.
pub fn check(routes: &[StaticRoute], pools: &[Pool]) -> Result<()> {
    let reachable = |gateway: IpAddr| pools.iter().any(|p| p.subnet.contains(gateway));
    for route in routes {
        if let NextHop::Gateway(gateway) = route.next_hop
            && !reachable(gateway)
        {
            return Err(Error::invalid(format!(
                "option route: no subnet of the network has {gateway}, the gateway to {}: expected an address in one of them",
                route.destination
            )));
        }
    }
    Ok(())
}

/// Those that an endpoint with these addresses can have.
pub fn of_endpoint(routes: &[StaticRoute], addresses: &[IpNetwork]) -> Vec<StaticRoute> {
    let reaches = |route: &&StaticRoute| match route.next_hop {
        // Not by itself: an endpoint may have the very address that is the gateway of the others.
        NextHop::Gateway(gateway) => addresses.iter().any(|a| a.contains(gateway) && a.ip() != gateway),
        NextHop::Connected => true,
    };
    routes.iter().filter(reaches).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_read_as_ip_route_writes_them() {
        let read_back = |text: &str| {
            let shown =
                |r: &StaticRoute| format!("{} {:?} {:?}", r.destination, r.next_hop, r.attributes.get("metric"));
            read(text).map(|routes| routes.iter().map(shown).collect::<Vec<_>>())
        };
        assert_eq!(
            read_back("10.1.0.0/16 via 10.0.0.5 metric 50,fd01::/48 via fd00::5").unwrap(),
            [
                "10.1.0.0/16 Gateway(10.0.0.5) Some(\"50\")",
                "fd01::/48 Gateway(fd00::5) None"
            ]
        );
        for bad in [
            "",
            "10.1.0.0/16",
            "10.1.0.1/16 via 10.0.0.5",
            "10.1.0.0/16 via fd00::5",
            "10.1.0.0/16 via 10.0.0.5 metric",
            "10.1.0.0/16 via 10.0.0.5 metric x",
            "10.1.0.0/16 via 10.0.0.5,",
            "10.1.0.0/33 via 10.0.0.5",
        ] {
            assert_eq!(read_back(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_endpoint_gets_the_routes_whose_gateway_it_reaches() {
        let routes = read("10.1.0.0/16 via 10.0.0.5, fd01::/48 via fd00::5").unwrap();
        let count = |addresses: &[&str]| {
            let addresses: Vec<_> = addresses.iter().map(|a| a.parse().unwrap()).collect();
            of_endpoint(&routes, &addresses).len()
        };
        assert_eq!(count(&["10.0.0.2/24", "fd00::2/64"]), 2);
        assert_eq!(count(&["10.0.0.2/24"]), 1);
        assert_eq!(count(&["10.0.0.5/24"]), 0, "it is the gateway");
    }
}
