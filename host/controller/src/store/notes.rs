//! The controller's boot-long facts as notes of the kernel journal: what key each has, and how it is read again.
//!
//! ```text
//!   endpoint/REALM/ID   an EndpointRecord        sandbox/REALM/ID   a SandboxRecord
//!   service/REALM/NETWORK/NAME   a ServiceRecord        realm/REALM   the Mark of a caller's realm
//!   lease/REALM/ADDRESS   that address, given out of a leased pool
//!   key/DRIVER/KEY      a driver's value         outbox/ID          a call that a driver still has to get
//! ```

use std::{collections::BTreeMap, net::IpAddr};

use jackfield_kernel::{
    Mark, NamespaceId,
    journal::{Fact, Note},
};
use jackfield_model::{EndpointId, SandboxId};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    letter::Letter,
    state::{EndpointRecord, SandboxRecord, ServiceRecord},
};

/// A driver's boot-long key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyNote {
    /// Whose.
    pub driver: String,
    /// Which.
    pub key: String,
    /// None: deleted until the reboot.
    pub value: Option<Vec<u8>>,
}

/// Everything that the journal's notes say.
#[derive(Debug, Default)]
pub struct Remembered {
    /// By realm.
    pub endpoints: Vec<(NamespaceId, EndpointRecord)>,
    /// By realm.
    pub sandboxes: Vec<(NamespaceId, SandboxRecord)>,
    /// By realm.
    pub services: Vec<(NamespaceId, ServiceRecord)>,
    /// By realm: addresses that are given out of leased pools.
    pub leases: Vec<(NamespaceId, IpAddr)>,
    /// Drivers' keys.
    pub keys: Vec<KeyNote>,
    /// Calls that drivers still have to get.
    pub letters: Vec<Letter>,
    /// Callers' realms of which the kernel says when they are gone.
    pub marked: BTreeMap<NamespaceId, Mark>,
    /// Notes that could not be understood; they are left alone.
    pub unknown: Vec<String>,
}

fn note(key: String, value: &impl Serialize) -> Note {
    // The records are plain data: nothing in them can fail to be JSON. Should it, the fact is not kept, which is told by its absence.
    Note {
        key,
        value: Fact::of(value).ok(),
    }
}

fn endpoint_key(realm: NamespaceId, id: &EndpointId) -> String {
    format!("endpoint/{:x}/{id}", realm.0)
}

fn sandbox_key(realm: NamespaceId, id: &SandboxId) -> String {
    format!("sandbox/{:x}/{id}", realm.0)
}

/// An endpoint is so.
pub fn endpoint(realm: NamespaceId, record: &EndpointRecord) -> Note {
    note(endpoint_key(realm, &record.spec.id), record)
}

/// An endpoint is gone.
pub fn no_endpoint(realm: NamespaceId, id: &EndpointId) -> Note {
    Note {
        key: endpoint_key(realm, id),
        value: None,
    }
}

/// A sandbox is so.
pub fn sandbox(realm: NamespaceId, record: &SandboxRecord) -> Note {
    note(sandbox_key(realm, &record.id), record)
}

/// A sandbox is gone.
pub fn no_sandbox(realm: NamespaceId, id: &SandboxId) -> Note {
    Note {
        key: sandbox_key(realm, id),
        value: None,
    }
}

fn service_key(realm: NamespaceId, service: &ServiceRecord) -> String {
    format!("service/{:x}/{}/{}", realm.0, service.network, service.name)
}

/// A service is so.
pub fn service(realm: NamespaceId, record: &ServiceRecord) -> Note {
    note(service_key(realm, record), record)
}

/// A service is gone.
pub fn no_service(realm: NamespaceId, record: &ServiceRecord) -> Note {
    Note {
        key: service_key(realm, record),
        value: None,
    }
}

fn realm_key(realm: NamespaceId) -> String {
    format!("realm/{:x}", realm.0)
}

/// A caller's realm is marked.
pub fn realm(realm: NamespaceId, mark: Mark) -> Note {
    note(realm_key(realm), &mark)
}

/// A caller's realm is gone.
pub fn no_realm(realm: NamespaceId) -> Note {
    Note {
        key: realm_key(realm),
        value: None,
    }
}

/// An address is given out of a leased pool, or not any more.
pub fn lease(realm: NamespaceId, address: IpAddr, given: bool) -> Note {
    let key = format!("lease/{:x}/{address}", realm.0);
    if given {
        note(key, &address)
    } else {
        Note { key, value: None }
    }
}

/// A driver's key is so until the reboot.
pub fn key(driver: &str, key: &str, value: Option<&[u8]>) -> Note {
    let fact = KeyNote {
        driver: driver.to_owned(),
        key: key.to_owned(),
        value: value.map(<[u8]>::to_vec),
    };
    note(format!("key/{driver}/{key}"), &fact)
}

/// A driver's key is as the durable store has it.
pub fn no_key(driver: &str, key: &str) -> Note {
    Note {
        key: format!("key/{driver}/{key}"),
        value: None,
    }
}

/// A call that a driver still has to get.
pub fn letter(letter: &Letter) -> Note {
    note(format!("outbox/{}", letter.id), letter)
}

/// It got it, or never will.
pub fn no_letter(id: &str) -> Note {
    Note {
        key: format!("outbox/{id}"),
        value: None,
    }
}

/// Reads the notes of a journal.
pub fn read(notes: BTreeMap<String, Fact>) -> Remembered {
    let mut remembered = Remembered::default();
    for (key, value) in notes {
        if read_one(&mut remembered, &key, &value).is_none() {
            remembered.unknown.push(key);
        }
    }
    remembered
}

fn read_one(into: &mut Remembered, key: &str, value: &Fact) -> Option<()> {
    let (kind, rest) = key.split_once('/')?;
    match kind {
        "endpoint" => into.endpoints.push((realm_of(rest)?, parse(value)?)),
        "sandbox" => into.sandboxes.push((realm_of(rest)?, parse(value)?)),
        "service" => into.services.push((realm_of(rest)?, parse(value)?)),
        "realm" => drop(into.marked.insert(hexadecimal(rest)?, parse(value)?)),
        "lease" => into.leases.push((realm_of(rest)?, parse(value)?)),
        "key" => into.keys.push(parse(value)?),
        "outbox" => into.letters.push(parse(value)?),
        _ => return None,
    }
    Some(())
}

fn realm_of(rest: &str) -> Option<NamespaceId> {
    let (realm, _) = rest.split_once('/')?;
    hexadecimal(realm)
}

fn hexadecimal(realm: &str) -> Option<NamespaceId> {
    u64::from_str_radix(realm, 16).ok().map(NamespaceId)
}

fn parse<T: DeserializeOwned>(value: &Fact) -> Option<T> {
    value.read().ok()
}
