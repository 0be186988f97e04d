//! What rules of the border are put together from.

use super::{FIRST, has_bits};
use crate::nft::{
    expression::Expression,
    operand::{Tracked, Verdict},
};

/// NF_CT_STATE_BIT of IP_CT_ESTABLISHED and IP_CT_RELATED (linux/netfilter/nf_conntrack_common.h).
const REPLIES: u32 = 1 << 1 | 1 << 2;

/// The expressions of a rule.
pub(super) type Expressions = Vec<Expression>;

/// `ct state established,related`
pub(in crate::nft) fn replies() -> Expressions {
    let state = Expression::Tracked {
        key: Tracked::State,
        into: FIRST,
    };
    has_bits(state, REPLIES).into()
}

/// And then on to that chain.
pub(super) fn go(mut rule: Expressions, chain: &str) -> Expressions {
    rule.push(Expression::Verdict(Verdict::Goto(chain.into())));
    rule
}

/// And then away with it.
pub(super) fn drop_it(mut rule: Expressions) -> Expressions {
    rule.push(Expression::Verdict(Verdict::Drop));
    rule
}
