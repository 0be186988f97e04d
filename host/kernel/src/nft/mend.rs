//! Putting back what somebody took out of the host's table, or never let in.

use super::{Blocked, Transaction, Transport, anchor, beside, dump, elements::words, lines};
use crate::{FirewallChange, Result, plan::FirewallRule};

/// Bytes of one transaction; below the default send buffer (net.core.wmem_default, 212992), which is the kernel's limit for one send.
const LARGEST_TRANSACTION: usize = 96 << 10;

/// What was put back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mended {
    /// What was missing of the host's table, or in it and not the host's, in words.
    pub table: Option<String>,
    /// Chains of other programs that the host's rule was put into.
    pub beside: Vec<String>,
    /// Other firewalls that may drop what the host lets pass, and take no rule of it. Nothing of that was mended.
    pub blocked: Vec<Blocked>,
}

impl Mended {
    /// Nothing was missing.
    pub fn is_nothing(&self) -> bool {
        self.table.is_none() && self.beside.is_empty()
    }
}

/// Makes the table hold exactly these rules, if it does not already; without any there is to be none of ours in other tables either.
///
/// # Errors
/// The kernel's refusal, and a rule that cannot be expressed.
pub fn mend(transport: &mut dyn Transport, rules: &[FirewallRule]) -> Result<Mended> {
    if rules.is_empty() {
        beside::leave(transport);
        anchor::weigh(transport);
        return Ok(Mended::default());
    }
    let (expected, found) = (lines(rules)?, dump::dump_own(transport)?);
    let table = (expected != found).then(|| difference(&expected, &found));
    if table.is_some() {
        rebuild(transport, rules)?;
    }
    anchor::drop_in(transport);
    let stood = beside::stand(transport);
    Ok(Mended {
        table,
        beside: stood.added.iter().map(ToString::to_string).collect(),
        blocked: stood.blocked,
    })
}

/// In words. Both are sorted.
fn difference(expected: &[String], found: &[String]) -> String {
    let beyond =
        |these: &[String], those: &[String]| these.iter().filter(|line| those.binary_search(line).is_err()).count();
    match (found.is_empty(), beyond(expected, found), beyond(found, expected)) {
        (true, ..) => "the whole table".to_owned(),
        (_, missing, 0) => format!("{missing} of its {} objects", expected.len()),
        (_, 0, strange) => format!("nothing, but {strange} objects were in it that are not the host's"),
        (_, missing, strange) => {
            format!(
                "{missing} of its {} objects, and {strange} were in it that are not the host's",
                expected.len()
            )
        }
    }
}

/// The table anew: in one transaction where it fits into one, so that no packet sees less than all of it.
fn rebuild(transport: &mut dyn Transport, rules: &[FirewallRule]) -> Result<()> {
    let mut changes = vec![FirewallChange::DropTable, FirewallChange::EnsureTable];
    let mut pending = Transaction::encode(&changes, false)?;
    for rule in rules {
        let add = FirewallChange::Add(rule.clone());
        let more = Transaction::encode(std::slice::from_ref(&add), true)?.bytes.len();
        if pending.bytes.len() + more > LARGEST_TRANSACTION {
            send(transport, &changes)?;
            changes.clear();
            pending.bytes.clear();
        }
        pending.bytes.resize(pending.bytes.len() + more, 0);
        changes.push(add);
    }
    tracing::debug!(
        rules = rules.len(),
        first = rules.first().map(words),
        "the host's table is made anew"
    );
    send(transport, &changes)
}

fn send(transport: &mut dyn Transport, changes: &[FirewallChange]) -> Result<()> {
    let transaction = Transaction::encode(changes, true)?;
    transaction.outcome(&transport.roundtrip(&transaction.bytes)?)
}
