//! What the records so far amount to. Pure: the same function is fed by [`super::Journal::append`] and by replay, so that a host that
//! was restarted believes what the one before it believed.
//!
//! ```text
//!   Begin --> Begun --Commit--> Committed --Release--> Releasing --Done--> (forgotten)
//!               |                                          ^  |
//!               +-------------- Release -------------------+  |
//!               +-------------- Done --------------------> (forgotten)
//! ```
//! A Committed one may be between its plan and the next: from Amend to Amended, or to Unamended.

use std::{
    collections::{BTreeMap, HashMap},
    mem::discriminant,
    sync::Arc,
};

use jackfield_model::OperationId;

use super::{Fact, Note, Record, SandboxRef};
use crate::{
    Ifindex, LinkAt, Make, NamespaceId, Place, Plan,
    plan::{LinkSetting, SysctlKey},
};

/// How far an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Its plan is on record; each make may stand or not.
    Begun,
    /// Every make stands.
    Committed,
    /// It is being taken back.
    Releasing,
}

/// An operation that is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// In which realm.
    pub realm: NamespaceId,
    /// And into which sandbox.
    pub sandbox: Option<SandboxRef>,
    /// See [`Record::Begin`].
    pub raises_loopback: bool,
    /// Its steps. `was` of a setting is handed on when an older operation that changed the same setting goes: see `State::retract`.
    pub plan: Arc<Plan>,
    /// What is to take its place; until that is on record too, it may or may not stand in the firewall instead.
    pub next: Option<Arc<Plan>>,
    /// How far it is.
    pub phase: Phase,
    /// Its removals have been done.
    pub removed: bool,
    /// It was begun by a host process before this one.
    pub inherited: bool,
    /// Its place in the order of beginnings.
    pub sequence: u64,
}

/// Everything that the journal knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    operations: HashMap<OperationId, Entry>,
    notes: BTreeMap<String, Fact>,
    highest: BTreeMap<NamespaceId, Ifindex>,
    next: u64,
}

impl State {
    /// One record more. A record about an operation that is unknown changes its notes and nothing else.
    pub fn apply(&mut self, record: Record) {
        match record {
            Record::Begin {
                operation,
                realm,
                sandbox,
                raises_loopback,
                plan,
            } => {
                plan.new_links().for_each(|at| self.reserve(realm, at.index));
                let entry = Entry {
                    realm,
                    sandbox,
                    raises_loopback,
                    plan: Arc::new(plan),
                    next: None,
                    phase: Phase::Begun,
                    removed: false,
                    inherited: false,
                    sequence: self.next,
                };
                self.next += 1;
                self.operations.insert(operation, entry);
            }
            Record::Commit { operation, notes } => {
                self.note(notes);
                self.change(&operation, |entry| entry.phase = Phase::Committed);
            }
            Record::Amend { operation, plan } => self.change(&operation, |entry| entry.next = Some(Arc::new(plan))),
            Record::Amended { operation, notes } => {
                self.note(notes);
                self.change(&operation, |entry| {
                    if let Some(next) = entry.next.take() {
                        entry.plan = next;
                    }
                });
            }
            Record::Unamended { operation } => self.change(&operation, |entry| entry.next = None),
            Record::Removed { operation } => self.change(&operation, |entry| entry.removed = true),
            Record::Release { operation, notes } => {
                self.note(notes);
                self.retract(&operation);
                self.change(&operation, |entry| entry.phase = Phase::Releasing);
            }
            Record::Done { operation } => {
                self.retract(&operation);
                self.operations.remove(&operation);
            }
            Record::Together { records } => records.into_iter().for_each(|record| self.apply(record)),
            Record::Notes { notes } => self.note(notes),
            Record::Reserved { realm, index } => self.reserve(realm, index),
        }
    }

    /// Everything so far was another process's.
    pub fn inherit(&mut self) {
        self.operations.values_mut().for_each(|entry| entry.inherited = true);
    }

    /// Those of one realm are an earlier process's from here on.
    pub fn bequeath(&mut self, realm: NamespaceId) {
        let theirs = self.operations.values_mut().filter(|entry| entry.realm == realm);
        theirs.for_each(|entry| entry.inherited = true);
    }

    /// One operation.
    pub fn get(&self, operation: &OperationId) -> Option<&Entry> {
        self.operations.get(operation)
    }

    /// All operations, in the order in which they began.
    pub fn operations(&self) -> Vec<(OperationId, Entry)> {
        let mut all: Vec<_> = self
            .operations
            .iter()
            .map(|(id, entry)| (id.clone(), entry.clone()))
            .collect();
        all.sort_by_key(|(_, entry)| entry.sequence);
        all
    }

    /// Whether any operation but this one is there that `which` holds for.
    pub fn any_other(&self, operation: &OperationId, which: impl Fn(&OperationId, &Entry) -> bool) -> bool {
        self.operations
            .iter()
            .any(|(id, entry)| id != operation && which(id, entry))
    }

    /// The notes.
    pub fn notes(&self) -> &BTreeMap<String, Fact> {
        &self.notes
    }

    /// The highest index that the realm has given away.
    pub fn highest_index(&self, realm: NamespaceId) -> Option<Ifindex> {
        self.highest.get(&realm).copied()
    }

    /// Passes on the values that the operation would restore, where a later operation has changed the same setting: that one restores them in
    /// its turn. Without this, two drivers that both turn on forwarding of one uplink would leave it on, or turn it off under each other.
    pub fn retract(&mut self, operation: &OperationId) {
        let Some(mut leaving) = self.operations.remove(operation) else {
            return;
        };
        if leaving.plan.makes.iter().any(restores) {
            for make in &mut Arc::make_mut(&mut leaving.plan).makes {
                if restores(make) && self.hand_down(&Owner::of(&leaving.sandbox, leaving.realm), leaving.sequence, make)
                {
                    forget_old_value(make);
                }
            }
        }
        self.operations.insert(operation.clone(), leaving);
    }

    /// Records that rebuild this state, in an order that [`State::apply`] takes.
    pub fn records(&self) -> Vec<Record> {
        let notes: Vec<_> = self
            .notes
            .iter()
            .map(|(k, v)| Note {
                key: k.clone(),
                value: Some(v.clone()),
            })
            .collect();
        let mut records = vec![Record::Notes { notes }];
        records.extend(self.highest.iter().map(|(realm, index)| Record::Reserved {
            realm: *realm,
            index: *index,
        }));
        for (operation, entry) in self.operations() {
            let phase = entry.phase;
            let removed = entry.removed;
            records.push(Record::Begin {
                operation: operation.clone(),
                realm: entry.realm,
                sandbox: entry.sandbox,
                raises_loopback: entry.raises_loopback,
                plan: Arc::unwrap_or_clone(entry.plan),
            });
            if phase == Phase::Committed || removed {
                records.push(Record::Commit {
                    operation: operation.clone(),
                    notes: vec![],
                });
            }
            records.extend(entry.next.map(|next| Record::Amend {
                operation: operation.clone(),
                plan: Arc::unwrap_or_clone(next),
            }));
            if removed {
                records.push(Record::Removed {
                    operation: operation.clone(),
                });
            }
            if phase == Phase::Releasing {
                records.push(Record::Release {
                    operation,
                    notes: vec![],
                });
            }
        }
        records
    }

    fn change(&mut self, operation: &OperationId, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.operations.get_mut(operation) {
            change(entry);
        }
    }

    fn note(&mut self, notes: Vec<Note>) {
        for Note { key, value } in notes {
            match value {
                Some(value) => self.notes.insert(key, value),
                None => self.notes.remove(&key),
            };
        }
    }

    fn reserve(&mut self, realm: NamespaceId, index: Ifindex) {
        let highest = self.highest.entry(realm).or_insert(index);
        *highest = index.max(*highest);
    }

    /// Gives the old value to the first later operation that changed the same setting. False when there is none.
    fn hand_down(&mut self, owner: &Owner, after: u64, make: &Make) -> bool {
        let mut later: Vec<_> = self
            .operations
            .values_mut()
            .filter(|e| e.sequence > after && e.phase != Phase::Releasing && e.realm == owner.realm)
            .collect();
        later.sort_by_key(|e| e.sequence);
        later.into_iter().any(|entry| {
            let other = Owner::of(&entry.sandbox, entry.realm);
            let Some(at) = entry
                .plan
                .makes
                .iter()
                .position(|m| same_setting(owner, make, &other, m))
            else {
                return false;
            };
            take_over(&mut Arc::make_mut(&mut entry.plan).makes[at], make);
            true
        })
    }
}

/// Which namespaces an operation's places mean.
struct Owner {
    realm: NamespaceId,
    sandbox: Option<NamespaceId>,
}

impl Owner {
    fn of(sandbox: &Option<SandboxRef>, realm: NamespaceId) -> Self {
        Self {
            realm,
            sandbox: sandbox.as_ref().map(|s| s.id),
        }
    }

    fn resolve(&self, at: &LinkAt) -> (Option<NamespaceId>, Ifindex) {
        let namespace = if at.place == Place::Realm {
            Some(self.realm)
        } else {
            self.sandbox
        };
        (namespace, at.index)
    }
}

/// Whether taking the make back writes an old value. Attributes of a bridge's port are a bundle of values and are not handed on.
fn restores(make: &Make) -> bool {
    match make {
        Make::Set {
            to: LinkSetting::BridgePort(_),
            ..
        } => false,
        Make::Set { was, .. } => was.is_some(),
        Make::Sysctl { was, .. } => was.is_some(),
        _ => false,
    }
}

fn same_setting(a: &Owner, left: &Make, b: &Owner, right: &Make) -> bool {
    match (setting_of(left), setting_of(right)) {
        (Some((at_a, what_a)), Some((at_b, what_b))) => what_a == what_b && a.resolve(at_a) == b.resolve(at_b),
        _ => false,
    }
}

/// What a make changes, without the values.
#[derive(PartialEq)]
enum Setting<'a> {
    Link(std::mem::Discriminant<LinkSetting>),
    Sysctl(&'a SysctlKey),
}

fn setting_of(make: &Make) -> Option<(&LinkAt, Setting<'_>)> {
    match make {
        Make::Set { link, to, .. } => Some((link, Setting::Link(discriminant(to)))),
        Make::Sysctl { link, key, .. } => Some((link, Setting::Sysctl(key))),
        _ => None,
    }
}

fn take_over(heir: &mut Make, from: &Make) {
    match (heir, from) {
        (Make::Set { was, .. }, Make::Set { was: old, .. }) => was.clone_from(old),
        (Make::Sysctl { was, .. }, Make::Sysctl { was: old, .. }) => was.clone_from(old),
        _ => {}
    }
}

fn forget_old_value(make: &mut Make) {
    match make {
        Make::Set { was, .. } => *was = None,
        Make::Sysctl { was, .. } => *was = None,
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use jackfield_model::Family;

    use super::*;
    use crate::plan::SysctlTable;

    const REALM: NamespaceId = NamespaceId(1);

    fn id(digit: char) -> OperationId {
        digit.to_string().repeat(64).parse().unwrap()
    }

    fn forwarding(value: &str, was: &str) -> Make {
        Make::Sysctl {
            link: LinkAt {
                place: Place::Realm,
                index: Ifindex::new(2).unwrap(),
            },
            key: SysctlKey {
                family: Family::Ipv4,
                table: SysctlTable::Conf,
                key: "forwarding".into(),
            },
            value: value.into(),
            was: Some(was.into()),
        }
    }

    fn begin(operation: &OperationId, make: Make) -> Record {
        Record::Begin {
            operation: operation.clone(),
            realm: REALM,
            sandbox: None,
            raises_loopback: false,
            plan: Plan {
                makes: vec![make],
                removals: vec![],
            },
        }
    }

    fn old_value(state: &State, operation: &OperationId) -> Option<String> {
        match &state.get(operation).unwrap().plan.makes[0] {
            Make::Sysctl { was, .. } => was.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn replayed(records: Vec<Record>) -> State {
        let mut state = State::default();
        records.into_iter().for_each(|r| state.apply(r));
        state
    }

    /// The first operation turned forwarding on, the second found it on; the first goes first.
    fn first_of_two_released() -> Vec<Record> {
        let (a, b) = (id('a'), id('b'));
        vec![
            begin(&a, forwarding("1", "0")),
            Record::Commit {
                operation: a.clone(),
                notes: vec![],
            },
            begin(&b, forwarding("1", "1")),
            Record::Commit {
                operation: b,
                notes: vec![],
            },
            Record::Release {
                operation: a,
                notes: vec![],
            },
        ]
    }

    #[test]
    fn a_value_to_restore_goes_to_the_later_operation_that_needs_the_same_setting() {
        let state = replayed(first_of_two_released());
        assert_eq!(
            old_value(&state, &id('a')),
            None,
            "it must not turn off what the other needs"
        );
        assert_eq!(
            old_value(&state, &id('b')),
            Some("0".into()),
            "the last one restores the first value"
        );
    }

    #[test]
    fn handing_down_twice_is_handing_down_once() {
        let mut records = first_of_two_released();
        records.push(Record::Release {
            operation: id('a'),
            notes: vec![],
        });
        records.push(Record::Done { operation: id('a') });
        assert_eq!(old_value(&replayed(records), &id('b')), Some("0".into()));
    }

    #[test]
    fn the_later_operation_restores_what_it_found_when_it_goes_first() {
        let mut records = first_of_two_released();
        records.truncate(4);
        records.push(Record::Release {
            operation: id('b'),
            notes: vec![],
        });
        let state = replayed(records);
        assert_eq!(
            (old_value(&state, &id('a')), old_value(&state, &id('b'))),
            (Some("0".into()), Some("1".into()))
        );
    }

    #[test]
    fn notes_are_last_writer_wins_and_none_forgets() {
        let note = |key: &str, value: Option<i32>| Note {
            key: key.into(),
            value: value.and_then(|value| Fact::of(&value).ok()),
        };
        let state = replayed(vec![
            Record::Notes {
                notes: vec![note("a", Some(1)), note("b", Some(1))],
            },
            Record::Commit {
                operation: id('a'),
                notes: vec![note("a", Some(2)), note("b", None)],
            },
        ]);
        assert_eq!(
            state
                .notes()
                .iter()
                .map(|(k, v)| (k.as_str(), v.clone()))
                .collect::<Vec<_>>(),
            [("a", Fact::of(&2).unwrap())]
        );
    }

    #[test]
    fn a_state_is_rebuilt_by_its_own_records() {
        let mut records = first_of_two_released();
        records.push(begin(&id('c'), forwarding("1", "1")));
        records.push(Record::Removed { operation: id('b') });
        records.push(Record::Reserved {
            realm: REALM,
            index: Ifindex::new(77).unwrap(),
        });
        records.push(begin(&id('d'), forwarding("1", "1")));
        records.push(Record::Done { operation: id('d') });
        records.push(Record::Amend {
            operation: id('c'),
            plan: Plan::default(),
        });
        let (state, rebuilt) = (replayed(records), State::default());
        let rebuilt = state.records().into_iter().fold(rebuilt, |mut s, r| {
            s.apply(r);
            s
        });
        let unnumbered = |s: &State| {
            s.operations()
                .into_iter()
                .map(|(id, e)| (id, Entry { sequence: 0, ..e }))
                .collect::<Vec<_>>()
        };
        assert_eq!(unnumbered(&rebuilt), unnumbered(&state));
        assert_eq!(rebuilt.highest_index(REALM), state.highest_index(REALM));
    }
}
