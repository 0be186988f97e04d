//! Virtual addresses, each of which stands for several endpoints: a new connection goes to one of them by chance.
//!
//! ```text
//!   daddr . random bucket @spread*            -> dnat to the endpoint that the bucket is of
//!   saddr . original daddr @virtual*          -> masquerade: who asks is on the endpoint's own link, and the reply would miss us
//! ```
//!
//! A service has [`BUCKETS`] elements however many endpoints it has. When endpoints come or go, they are replaced in one transaction: at every
//! moment each connection finds an endpoint that is there. Connections that stand are conntrack's: they stay where they are. There are two
//! sides for the sake of services that an older host made: it filled the one before it emptied the other.

use super::{FIRST, destination, only, original_destination, source};
use crate::nft::{elements::BUCKETS, expression::Expression, layout::Family};

/// `dnat to daddr . numgen random mod 256 map @spread*`, for each side.
pub(super) fn spread(family: Family) -> Vec<Vec<Expression>> {
    let on_side = |side: u32| {
        let mut rule = only(family);
        rule.extend([
            destination(family, FIRST),
            Expression::Random {
                into: FIRST.after(family.length()),
                modulo: BUCKETS,
                offset: side * BUCKETS,
            },
            Expression::Lookup {
                set: family.set("spread"),
                from: FIRST,
                into: Some(FIRST),
            },
            Expression::DestinationNat {
                family: family.number(),
                address: FIRST,
                port: None,
            },
        ]);
        rule
    };
    vec![on_side(0), on_side(1)]
}

/// `saddr . ct original daddr @virtual* masquerade`
pub(super) fn spread_on(family: Family) -> Vec<Vec<Expression>> {
    let mut rule = only(family);
    rule.push(source(family, FIRST));
    rule.push(original_destination(family, FIRST.after(family.length())));
    rule.push(super::lookup(&family.set("virtual")));
    rule.push(Expression::Masquerade);
    vec![rule]
}
