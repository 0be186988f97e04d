//! The table that leads a sandbox's questions to its resolver, `ip jackfield` inside the sandbox.
//!
//! ```text
//!   prerouting   127.0.0.11 port 53    becomes  127.0.0.11 port HIGH
//!   output       127.0.0.11 port HIGH  becomes  127.0.0.11 port 53
//! ```
//!
//! The resolver cannot listen on port 53: every container that binds 0.0.0.0:53 would fail. Others redirect by NAT, which has the kernel track
//! every connection of the sandbox for as long as there is one such rule. Here two bytes of each packet are rewritten and nobody remembers
//! anything. Both rewritings are on the side of the loopback that connection tracking, where something else has turned it on, does not
//! see: it sees port 53 in both directions.

use std::net::Ipv4Addr;

use super::{
    expression::Expression,
    object::{self, Chain, Hook, Rule},
    operand::{Header, Meta, Register},
    transaction::{Builder, CREATE, EXCLUSIVE, Transaction},
};
use crate::Result;

const FAMILY: u8 = libc::NFPROTO_IPV4 as u8;
/// The table's name; its family is ip.
const TABLE: &str = "jackfield";
const IN: &str = "questions";
const OUT: &str = "answers";
/// Where every sandbox's resolver is.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
/// The port of DNS.
const PORT: u16 = 53;
const FIRST: Register = Register(0);
/// Offsets in the IPv4 header, and in those of TCP and UDP, which have their ports at the same place.
const SOURCE: u32 = 12;
const DESTINATION: u32 = 16;
const SOURCE_PORT: u32 = 0;
const DESTINATION_PORT: u32 = 2;
/// Protocols, and where their checksum is.
const PROTOCOLS: [(libc::c_int, u32); 2] = [(libc::IPPROTO_UDP, 6), (libc::IPPROTO_TCP, 16)];

/// The messages that make the table, or take it away. Made exclusively: one that is there is somebody else's.
pub(super) fn transaction(add: Option<u16>) -> Result<Transaction> {
    Transaction::of(|builder| {
        match add {
            Some(port) => make(builder, port),
            None => builder.message_of(FAMILY, ("delete", object()), libc::NFT_MSG_DELTABLE, 0, |w| {
                w.text(object::TABLE, TABLE);
            }),
        }
        Ok(())
    })
}

fn object() -> String {
    format!("table ip {TABLE}")
}

fn make(builder: &mut Builder, port: u16) {
    builder.message_of(
        FAMILY,
        ("create", object()),
        libc::NFT_MSG_NEWTABLE,
        CREATE | EXCLUSIVE,
        |w| {
            w.text(object::TABLE, TABLE);
        },
    );
    for chain in chains() {
        let subject = ("create", format!("chain {} of {}", chain.name, object()));
        builder.message_of(FAMILY, subject, libc::NFT_MSG_NEWCHAIN, CREATE, |w| {
            chain.write(w, TABLE)
        });
    }
    for rule in rules(port) {
        let subject = ("create", format!("rule of chain {} of {}", rule.chain, object()));
        builder.message_of(
            FAMILY,
            subject,
            libc::NFT_MSG_NEWRULE,
            CREATE | libc::NLM_F_APPEND as u16,
            |w| {
                rule.write(w, TABLE);
            },
        );
    }
}

fn chains() -> [Chain; 2] {
    let hooked = |name: &str, number: libc::c_int| Chain {
        name: name.into(),
        hook: Some(Hook {
            kind: "filter".into(),
            number: number as u32,
            // Before connection tracking.
            priority: libc::NF_IP_PRI_RAW,
            accepts: true,
            devices: Vec::new(),
        }),
    };
    [
        hooked(IN, libc::NF_INET_PRE_ROUTING),
        hooked(OUT, libc::NF_INET_LOCAL_OUT),
    ]
}

fn rules(port: u16) -> impl Iterator<Item = Rule> {
    let question = move |protocol| rewrite(protocol, DESTINATION, DESTINATION_PORT, (PORT, port));
    let answer = move |protocol| rewrite(protocol, SOURCE, SOURCE_PORT, (port, PORT));
    let rule = |chain: &str, expressions| Rule {
        chain: chain.into(),
        expressions,
    };
    let questions = PROTOCOLS.map(|protocol| rule(IN, question(protocol)));
    let answers = PROTOCOLS.map(|protocol| rule(OUT, answer(protocol)));
    questions.into_iter().chain(answers)
}

/// `meta l4proto P ip ADDRESS th PORT == from th PORT set to`
fn rewrite(
    (protocol, checksum): (libc::c_int, u32),
    address: u32,
    port: u32,
    (from, to): (u16, u16),
) -> Vec<Expression> {
    let is = |value: Vec<u8>| Expression::Compare {
        from: FIRST,
        equal: true,
        value,
    };
    let load = |header, offset, length| Expression::Payload {
        header,
        offset,
        length,
        into: FIRST,
    };
    vec![
        Expression::Meta {
            key: Meta::Protocol,
            into: FIRST,
        },
        is(vec![protocol as u8]),
        load(Header::Network, address, 4),
        is(ADDRESS.octets().to_vec()),
        load(Header::Transport, port, 2),
        is(from.to_be_bytes().to_vec()),
        Expression::Immediate {
            into: FIRST,
            value: to.to_be_bytes().to_vec(),
        },
        Expression::SetPort {
            from: FIRST,
            offset: port,
            checksum,
        },
    ]
}
