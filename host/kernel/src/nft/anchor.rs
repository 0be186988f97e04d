//! What keeps translation alive while the host's table is gone for a moment.
//!
//! When the last nat chain of a namespace goes, the kernel unhooks NAT with it, and with the last rule that looks at connections their
//! tracking; and connections that are translated are not any more: the next
//! packet of one arrives at a host that knows nothing of it, which answers with a reset. Mending the table comes too late for them. So
//! there is a second table with one nat chain and one rule that accepts what is accepted anyway, owned by the host's socket (NFT_TABLE_F_OWNER, Linux 5.12): `nft flush ruleset` of
//! others passes it over, and it dies with the host. Without it, on an older kernel, all else works.

use super::{
    Transport,
    expression::Expression,
    layout::ANCHOR,
    object::{self, Chain, Hook, Rule},
    operand::Verdict,
    rules,
    transaction::{Builder, Transaction},
};
use crate::Result;

const CHAIN: &str = "keeps-translation-alive";
const TABLE_FLAGS: u16 = 2;
const OWNER: u32 = 2;

/// Has it there; no error where it is.
pub(super) fn drop_in(transport: &mut dyn Transport) {
    let create = libc::NLM_F_CREATE as u16;
    let subject = |operation, what: &str| (operation, format!("{what} of table {ANCHOR}"));
    let made = send(transport, |b| {
        b.message(subject("create", "owner"), libc::NFT_MSG_NEWTABLE, create, |w| {
            w.text(object::TABLE, ANCHOR);
            w.u32(TABLE_FLAGS, OWNER);
        });
        b.message(subject("create", "chain"), libc::NFT_MSG_NEWCHAIN, create, |w| {
            chain().write(w, ANCHOR);
        });
        b.message(subject("flush", "chain"), libc::NFT_MSG_DELRULE, 0, |w| {
            w.text(object::TABLE, ANCHOR);
            w.text(object::RULE_CHAIN, CHAIN);
        });
        b.message(subject("create", "rule"), libc::NFT_MSG_NEWRULE, create, |w| {
            rule().write(w, ANCHOR);
        });
    });
    if let Err(error) = made {
        tracing::debug!(%error, "connections that are translated may break when somebody flushes the firewall");
    }
}

/// Takes it away. Not being there, or being another's, is no error.
pub(super) fn weigh(transport: &mut dyn Transport) {
    let gone = send(transport, |b| {
        let subject = ("delete", format!("table {ANCHOR}"));
        b.message(subject, libc::NFT_MSG_DELTABLE, 0, |w| w.text(object::TABLE, ANCHOR));
    });
    if let Err(error) = gone {
        tracing::debug!(%error, "no anchor was taken away");
    }
}

fn send(transport: &mut dyn Transport, fill: impl FnOnce(&mut Builder)) -> Result<()> {
    let transaction = Transaction::of(|builder| {
        fill(builder);
        Ok(())
    })?;
    transaction.outcome(&transport.roundtrip(&transaction.bytes)?)
}

/// `ct state established,related accept`: it has the kernel track connections.
fn rule() -> Rule {
    let mut expressions = rules::replies();
    expressions.push(Expression::Verdict(Verdict::Accept));
    Rule {
        chain: CHAIN.into(),
        expressions,
    }
}

fn chain() -> Chain {
    Chain {
        name: CHAIN.into(),
        hook: Some(Hook {
            kind: "nat".into(),
            number: libc::NF_INET_POST_ROUTING as u32,
            priority: libc::NF_IP_PRI_NAT_SRC,
            accepts: true,
            devices: Vec::new(),
        }),
    }
}
