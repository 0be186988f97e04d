//! Rules of the border for networks that are laid on a bridge of somebody else's, which carries more than their traffic: maybe the host's own
//! way to the world. Whose a packet is, its address on that bridge says, where for a network's own link the link alone does.
//!
//! ```text
//!   saddr . iif @laid*  saddr . daddr @inside*  daddr . oif @laid*   -> pass: within the network
//!   replies from or to one                                            -> pass
//!   daddr . oif . iif @laid_trusted*                                  -> pass
//!   to a published port                                               -> pass
//!   saddr . iif @laid*  daddr . oif @laid*                            -> drop: two networks, maybe of one bridge
//!   daddr . oif . iif @laid_beside*                                   -> pass: from the bridge itself, where the host is not asked as a rule
//!   into one, by its @laid_entry*                                     -> drop | open | pass
//! ```
//!
//! Since each element has its network's subnet in its key, it belongs to one network, however many are laid on the bridge.

use super::{
    FIRST, destination, destination_changed, lookup, only,
    parts::{Expressions, drop_it, go, replies},
    source,
};
use crate::nft::{
    expression::Expression,
    layout::{Family, NAME, PASS},
    operand::Meta,
};

/// Between the network's own, replies, and from trusted links.
pub(super) fn within(family: Family) -> Vec<Expressions> {
    let mut inside = from(family);
    inside.extend([
        source(family, FIRST),
        destination(family, FIRST.after(family.length())),
        lookup(&family.set("inside")),
    ]);
    inside.extend(behind(family));
    let answers = [from(family), to(family)].map(|rule| go([rule, replies()].concat(), PASS));
    let trusted = go(to_by(family, "laid_trusted"), PASS);
    [go(inside, PASS)].into_iter().chain(answers).chain([trusted]).collect()
}

/// To published ports.
pub(super) fn published(family: Family) -> Vec<Expressions> {
    vec![[to(family), destination_changed(go(vec![], PASS))].concat()]
}

/// To addresses of the network's own.
pub(super) fn entered(family: Family) -> Vec<Expressions> {
    let mut two_networks = from(family);
    two_networks.extend(behind(family));
    let mut entry = only(family);
    entry.extend([
        destination(family, FIRST),
        output_behind(family),
        Expression::VerdictOf {
            set: family.set("laid_entry"),
            from: FIRST,
        },
    ]);
    vec![drop_it(two_networks), go(to_by(family, "laid_beside"), PASS), entry]
}

/// `saddr . iifname @laid*`
pub(super) fn from(family: Family) -> Expressions {
    let mut rule = only(family);
    rule.extend([
        source(family, FIRST),
        Expression::Meta {
            key: Meta::InputName,
            into: FIRST.after(family.length()),
        },
        lookup(&family.set("laid")),
    ]);
    rule
}

/// `daddr . oifname @laid*`
pub(super) fn to(family: Family) -> Expressions {
    [only(family), behind(family).into()].concat()
}

/// The same in a rule that reads that family already.
fn behind(family: Family) -> [Expression; 3] {
    [
        destination(family, FIRST),
        output_behind(family),
        lookup(&family.set("laid")),
    ]
}

/// `daddr . oifname . iifname @set`
fn to_by(family: Family, set: &str) -> Expressions {
    let mut rule = only(family);
    rule.extend([
        destination(family, FIRST),
        output_behind(family),
        Expression::Meta {
            key: Meta::InputName,
            into: FIRST.after(family.length()).after(NAME),
        },
        lookup(&family.set(set)),
    ]);
    rule
}

fn output_behind(family: Family) -> Expression {
    Expression::Meta {
        key: Meta::OutputName,
        into: FIRST.after(family.length()),
    }
}
