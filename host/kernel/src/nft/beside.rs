//! The one rule that the host puts into other programs' tables, where those ask for such rules.
//!
//! An accept in a table of our own does not beat a drop in another: Docker's FORWARD chains drop what they do not know once dockerd has
//! turned forwarding on, and so does firewalld's. Both are told by a rule that accepts what carries our mark (see the layout): in DOCKER-USER,
//! which Docker has for rules of others and never empties, and at the head of firewalld's forward chain. It is there as long as our table
//! is, has a comment that says whose it is, and is listed by `iptables -L DOCKER-USER` and `nft list ruleset`. kube-proxy's chains drop
//! nothing of ours and get none; tables of iptables-legacy cannot be reached by way of nf_tables.

use super::{
    Transport,
    asked::{ASKED, Asked},
    blocked::Blocked,
    dump,
    expression::{Expression, write_list},
    layout::MARK,
    operand::{Meta, Register, Verdict},
    transaction::{Transaction, question},
    wire::Writer,
};
use crate::Result;

/// How the rule is known again.
const COMMENT: &str = "jackfield: what its border lets pass";
const RULE_TABLE: u16 = 1;
const RULE_CHAIN: u16 = 2;
const RULE_HANDLE: u16 = 3;
const RULE_EXPRESSIONS: u16 = 4;
const RULE_USER_DATA: u16 = 7;

/// What became of the rule.
#[derive(Debug, Default)]
pub(super) struct Stood {
    /// It was missing in these chains.
    pub(super) added: Vec<Asked>,
    /// These do not take it. The host's own table is as good without.
    pub(super) blocked: Vec<Blocked>,
}

/// Puts the rule where it is asked for and missing.
pub(super) fn stand(transport: &mut dyn Transport) -> Stood {
    let mut stood = Stood::default();
    for asked in ASKED {
        match stand_in(transport, asked) {
            Ok(true) => stood.added.push(asked),
            Ok(false) => {}
            Err(error) => stood.blocked.push(Blocked::by_chain(asked, &error)),
        }
    }
    stood
}

/// Whether it was missing.
fn stand_in(transport: &mut dyn Transport, asked: Asked) -> Result<bool> {
    let missing = ours(transport, asked)?.is_some_and(|handles| handles.is_empty());
    if missing {
        insert(transport, asked)?;
    }
    Ok(missing)
}

/// Takes the rule away wherever it is.
pub(super) fn leave(transport: &mut dyn Transport) {
    for asked in ASKED {
        let gone = ours(transport, asked).and_then(|handles| {
            let handles = handles.unwrap_or_default();
            handles
                .into_iter()
                .try_for_each(|handle| delete(transport, asked, handle))
        });
        if let Err(error) = gone {
            tracing::warn!(%asked, %error, "the host's rule stays in another firewall's chain");
        }
    }
}

/// Handles of our rule in a chain; None where there is no such chain.
fn ours(transport: &mut dyn Transport, asked: Asked) -> Result<Option<Vec<Vec<u8>>>> {
    let family = asked.family as u8;
    let there = question(libc::NFT_MSG_GETCHAIN, 0, family, |w| {
        name_chain(w, asked, super::object::CHAIN_NAME)
    });
    match dump::each(&transport.roundtrip(&there)?, |_| Ok(())) {
        Err(error) if error.errno() == Some(nix::errno::Errno::ENOENT) => return Ok(None),
        other => other?,
    }
    let rules = question(libc::NFT_MSG_GETRULE, libc::NLM_F_DUMP as u16, family, |w| {
        name_chain(w, asked, RULE_CHAIN);
    });
    let mut handles = Vec::new();
    dump::each(&transport.roundtrip(&rules)?, |message| {
        let (_, rule) = message.netfilter()?;
        if rule.text(RULE_CHAIN)? == asked.chain && rule.get(RULE_USER_DATA) == Some(&comment()[..]) {
            handles.extend(rule.get(RULE_HANDLE).map(<[u8]>::to_vec));
        }
        Ok(())
    })?;
    Ok(Some(handles))
}

fn name_chain(w: &mut Writer, asked: Asked, chain: u16) {
    w.text(RULE_TABLE, asked.table);
    w.text(chain, asked.chain);
}

/// At the head of the chain: rules of ours that come last come too late.
fn insert(transport: &mut dyn Transport, asked: Asked) -> Result<()> {
    change(
        transport,
        asked,
        ("insert", libc::NFT_MSG_NEWRULE),
        libc::NLM_F_CREATE,
        |w| {
            name_chain(w, asked, RULE_CHAIN);
            w.nest(RULE_EXPRESSIONS, |w| write_list(w, &expressions()));
            w.bytes(RULE_USER_DATA, &comment());
        },
    )
}

fn delete(transport: &mut dyn Transport, asked: Asked, handle: Vec<u8>) -> Result<()> {
    change(transport, asked, ("delete", libc::NFT_MSG_DELRULE), 0, |w| {
        name_chain(w, asked, RULE_CHAIN);
        w.bytes(RULE_HANDLE, &handle);
    })
}

fn change(
    transport: &mut dyn Transport,
    asked: Asked,
    (operation, message): (&'static str, libc::c_int),
    flags: libc::c_int,
    body: impl FnOnce(&mut Writer),
) -> Result<()> {
    let subject = (operation, format!("the host's rule in {asked}"));
    let transaction = Transaction::of(|builder| {
        builder.message_of(asked.family as u8, subject, message, flags as u16, body);
        Ok(())
    })?;
    transaction.outcome(&transport.roundtrip(&transaction.bytes)?)
}

/// `meta mark & MARK == MARK counter accept`, the way iptables writes it and so can read it.
fn expressions() -> Vec<Expression> {
    let word = Register(0);
    vec![
        Expression::Meta {
            key: Meta::Mark,
            into: word,
        },
        Expression::Mask {
            from: word,
            into: word,
            mask: MARK.to_ne_bytes().to_vec(),
            xor: vec![0; 4],
        },
        Expression::Compare {
            from: word,
            equal: true,
            value: MARK.to_ne_bytes().to_vec(),
        },
        Expression::Counter,
        Expression::Verdict(Verdict::Accept),
    ]
}

/// A rule's comment as both programs keep it: kind, length, text with its closing zero (UDATA_TYPE_COMMENT of libnftnl's udata.h).
fn comment() -> Vec<u8> {
    const KIND: u8 = 0;
    [&[KIND, COMMENT.len() as u8 + 1][..], COMMENT.as_bytes(), &[0]].concat()
}
