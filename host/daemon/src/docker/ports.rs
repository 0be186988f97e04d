//! Published ports as Docker lists them, one by one, and as they are asked for here: in ranges.

use std::net::IpAddr;

use jackfield_model::{Error, PortMapping, Publish, Result, Transport};
use serde_json::{Value, json};

use super::fields::Fields;

/// Under which they are.
pub const PORT_MAP: &str = "com.docker.network.portmap";
/// IP protocol numbers (RFC 9293, RFC 768, RFC 9260).
const PROTOCOLS: [(u64, Transport); 3] = [(6, Transport::Tcp), (17, Transport::Udp), (132, Transport::Sctp)];

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    protocol: u64,
    host_address: Option<IpAddr>,
    port: u16,
    host_port: u16,
    /// The last of those to choose from.
    host_port_end: u16,
    count: u16,
}

/// Reads the list in an endpoint's options.
///
/// # Errors
/// invalid-argument for what are no ports.
pub fn read(options: Option<Fields<'_>>) -> Result<Vec<Publish>> {
    let listed = options.map_or_else(|| Ok(Vec::new()), |options| options.objects(PORT_MAP))?;
    let lines: Vec<Line> = listed.into_iter().map(line).collect::<Result<_>>()?;
    ranges(lines).iter().map(publish).collect()
}

fn line(fields: Fields<'_>) -> Result<Line> {
    let address = |text: &str| {
        text.parse()
            .map_err(|e| Error::invalid(format!("\"{}\" is no IP address", text.escape_default())).caused_by(e))
    };
    let host_port = fields.number("HostPort")?;
    Ok(Line {
        protocol: fields.number("Proto")?,
        host_address: fields.parsed("HostIP", address)?,
        port: fields.number("Port")?,
        host_port,
        host_port_end: host_port.max(fields.number("HostPortEnd")?),
        count: 1,
    })
}

/// Lines whose ports follow each other, there and here, are one range: a container may publish thousands.
fn ranges(mut lines: Vec<Line>) -> Vec<Line> {
    lines.sort();
    lines.dedup();
    let mut ranges: Vec<Line> = Vec::new();
    for line in lines {
        match ranges.last_mut() {
            Some(range) if follows(range, &line) => range.count += 1,
            _ => ranges.push(line),
        }
    }
    ranges
}

fn follows(range: &Line, line: &Line) -> bool {
    let next = |first: u16| first.checked_add(range.count);
    let given = |line: &Line| line.host_port != 0 && line.host_port == line.host_port_end;
    let same = range.protocol == line.protocol && range.host_address == line.host_address;
    same && given(range)
        && given(line)
        && next(range.port) == Some(line.port)
        && next(range.host_port) == Some(line.host_port)
}

fn publish(line: &Line) -> Result<Publish> {
    let Some((_, transport)) = PROTOCOLS.iter().find(|(number, _)| *number == line.protocol) else {
        return Err(Error::invalid(format!(
            "port {} cannot be published: {} is no protocol with ports, expected 6 (TCP), 17 (UDP) or 132 (SCTP)",
            line.port, line.protocol
        )));
    };
    let mut asked = json!({
        "transport": transport,
        "container_port": line.port,
        "count": line.count,
        "host_address": line.host_address,
        "host_port": line.host_port,
    });
    if line.host_port_end > line.host_port {
        asked["host_port_end"] = json!(line.host_port_end);
    }
    serde_json::from_value(asked).map_err(|e| Error::invalid(format!("port {}: {e}", line.port)).caused_by(e))
}

/// As Docker lists them.
pub fn list(ports: &[PortMapping]) -> Value {
    ports.iter().flat_map(lines).collect()
}

fn lines(mapping: &PortMapping) -> impl Iterator<Item = Value> + '_ {
    let protocol = PROTOCOLS
        .iter()
        .find(|(_, t)| *t == mapping.transport)
        .map(|(number, _)| *number);
    (0..mapping.count).map(move |offset| {
        let host_port = mapping.host_port.saturating_add(offset);
        json!({
            "Proto": protocol,
            "IP": "",
            "Port": mapping.container_port.saturating_add(offset),
            "HostIP": mapping.host_address,
            "HostPort": host_port,
            "HostPortEnd": host_port,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(list: Value) -> Result<Vec<String>> {
        let options = json!({ PORT_MAP: list });
        let read = read(Some(Fields::of(&options, "it")?))?;
        Ok(read.iter().map(|p| serde_json::to_string(p).unwrap()).collect())
    }

    fn port(protocol: u64, port: u16, host_ip: &str, host: u16, end: u16) -> Value {
        json!({ "Proto": protocol, "IP": "", "Port": port, "HostIP": host_ip, "HostPort": host, "HostPortEnd": end })
    }

    #[test]
    fn ports_that_follow_each_other_are_one_range() {
        let list = json!([
            port(6, 81, "", 8081, 8081),
            port(6, 80, "", 8080, 8080),
            port(6, 82, "", 9000, 9000),
            port(17, 83, "", 8083, 8083),
            port(6, 80, "", 8080, 8080),
        ]);
        assert_eq!(
            read_all(list).unwrap(),
            [
                r#"{"transport":"tcp","container_port":80,"count":2,"host_port":8080}"#,
                r#"{"transport":"tcp","container_port":82,"count":1,"host_port":9000}"#,
                r#"{"transport":"udp","container_port":83,"count":1,"host_port":8083}"#,
            ]
        );
    }

    #[test]
    fn the_host_chooses_where_docker_leaves_it_open() {
        let list = json!([port(6, 80, "127.0.0.1", 0, 0), port(6, 81, "", 8000, 8010)]);
        assert_eq!(
            read_all(list).unwrap(),
            [
                r#"{"transport":"tcp","container_port":81,"count":1,"host_port":8000,"host_port_end":8010}"#,
                r#"{"transport":"tcp","container_port":80,"count":1,"host_address":"127.0.0.1","host_port":0}"#,
            ]
        );
    }

    #[test]
    fn what_are_no_ports_is_refused_in_words() {
        for (list, says) in [
            (json!([port(1, 80, "", 0, 0)]), "1 is no protocol with ports"),
            (json!([port(6, 0, "", 0, 0)]), "port 0: impossible ports"),
            (json!([port(6, 80, "here", 0, 0)]), "\"here\" is no IP address"),
            (json!([{ "Port": "80" }]), "Port is a string"),
            (json!([7]), "expected an object"),
        ] {
            let error = read_all(list).unwrap_err();
            assert!(error.message.contains(says), "{error}");
        }
    }
}
