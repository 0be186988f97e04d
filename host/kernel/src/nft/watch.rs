//! What the kernel tells about changes of nf_tables (group NFNLGRP_NFTABLES), read for what concerns the host.

use super::{
    asked::{ASKED, Asked},
    layout, object,
    wire::{Message, messages},
};
use crate::Result;

/// Whether a datagram of the group tells of a change, by anybody but that socket, of the host's own table or of a chain in which a rule of
/// the host's stands or should.
///
/// # Errors
/// When it cannot be read: then anything may have changed.
pub fn concerns(datagram: &[u8], own_port: u32) -> Result<bool> {
    for message in messages(datagram)? {
        if message.port != own_port && message.is_nftables() && is_about_us(&message)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_about_us(message: &Message<'_>) -> Result<bool> {
    let (family, attributes) = message.netfilter()?;
    let Ok(table) = attributes.text(object::TABLE) else {
        return Ok(false);
    };
    if i32::from(family) == libc::NFPROTO_INET && table == layout::TABLE {
        return Ok(true);
    }
    let same_table = |asked: &&Asked| asked.family == i32::from(family) && asked.table == table;
    let Some(asked) = ASKED.iter().find(same_table) else {
        return Ok(false);
    };
    let chain = match i32::from(message.kind & 0xff) {
        libc::NFT_MSG_NEWCHAIN | libc::NFT_MSG_DELCHAIN => attributes.text(object::CHAIN_NAME),
        libc::NFT_MSG_NEWRULE | libc::NFT_MSG_DELRULE => attributes.text(object::RULE_CHAIN),
        _ => return Ok(false),
    };
    Ok(chain.is_ok_and(|chain| chain == asked.chain))
}
