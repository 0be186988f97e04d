//! The durable store: one redb file in the state directory, and a lock that keeps a second host away from it.

use std::{
    fs::{self, File, TryLockError},
    net::IpAddr,
    path::{Path, PathBuf},
};

use jackfield_driver::StateWrite;
use jackfield_kernel::NamespaceId;
use jackfield_model::{Error, ErrorCode, IpNetwork, NetworkId, Result};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use serde::{Deserialize, Serialize};

use crate::{
    ipam::LeasedPlan,
    state::{NetworkRecord, Reservation},
};

/// Realm and network id, to a [`NetworkRecord`] as JSON.
const NETWORKS: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("networks");
/// Realm, network id and address, to a [`Reservation`] as JSON.
const RESERVATIONS: TableDefinition<'_, (&str, &str, &str), &[u8]> = TableDefinition::new("reservations");
/// Driver and key, to the value.
const KEYS: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("driver-keys");
/// Realm and subnet, to a [`LeasedPlan`] as JSON.
const LEASED: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("leased-pools");
/// Facts of the store itself.
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
/// Under which [`META`] keeps this host's default IPv6 pool.
const ULA: &str = "ula";

/// Whose network: the daemon's own realm is the same after a reboot, a caller's is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RealmKey {
    /// The daemon's own.
    Own,
    /// A caller's.
    Caller(NamespaceId),
}

impl RealmKey {
    /// From its stored form.
    ///
    /// # Errors
    /// internal, when it is none.
    pub fn parse(text: &str) -> Result<Self> {
        let unreadable = || {
            Error::internal(format!(
                "the store names a realm \"{}\", which is none",
                text.escape_default()
            ))
        };
        let caller = || {
            u64::from_str_radix(text.strip_prefix("netns:")?, 16)
                .ok()
                .map(|id| Self::Caller(NamespaceId(id)))
        };
        if text == "own" {
            Ok(Self::Own)
        } else {
            caller().ok_or_else(unreadable)
        }
    }

    /// As stored.
    pub fn text(self) -> String {
        match self {
            Self::Own => "own".into(),
            Self::Caller(id) => id.to_string(),
        }
    }
}

/// What one commit changes.
#[derive(Debug, Default)]
pub struct Change<'a> {
    /// Whose network, which, and its record; None deletes it.
    pub network: Option<(RealmKey, &'a NetworkId, Option<&'a NetworkRecord>)>,
    /// Keys of that driver.
    pub keys: Option<(&'a str, &'a [StateWrite])>,
}

/// What the store had when it was opened.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Realm, as [`RealmKey::text`] writes it, and record.
    pub networks: Vec<(String, NetworkRecord)>,
    /// Realm, network and reservation.
    pub reservations: Vec<(String, (NetworkId, Reservation))>,
    /// Realm and leased pool.
    pub leased: Vec<(String, LeasedPlan)>,
    /// Driver, key, value.
    pub keys: Vec<(String, String, Vec<u8>)>,
}

/// Realm, network id, JSON.
type Row = (String, String, Vec<u8>);

/// The open store.
#[derive(Debug)]
pub struct Durable {
    database: Database,
    path: PathBuf,
    /// The lock lasts as long as this.
    _lock: File,
}

impl Durable {
    /// Opens the store, alone.
    ///
    /// # Errors
    /// in-use when another host has it; unavailable when the directory or file cannot be made or read.
    pub fn open(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir).map_err(|e| io("make", dir, e))?;
        let lock = lock(dir)?;
        let path = dir.join("jackfield.redb");
        let database = Database::create(&path).map_err(|e| failed("open", &path, e))?;
        let store = Self {
            database,
            path,
            _lock: lock,
        };
        store.write(|transaction| {
            // A table is made when it is first opened for writing; reading one that was never made is an error.
            transaction.open_table(NETWORKS)?;
            transaction.open_table(RESERVATIONS)?;
            transaction.open_table(KEYS)?;
            transaction.open_table(META)?;
            transaction.open_table(LEASED)?;
            Ok(())
        })?;
        Ok(store)
    }

    /// Makes the change, all of it or none; when this returns it is on disk.
    ///
    /// # Errors
    /// unavailable, when it cannot be written.
    pub fn commit(&self, change: &Change<'_>) -> Result<()> {
        let record = match change.network {
            Some((_, id, Some(record))) => Some(serde_json::to_vec(record).map_err(|e| unreadable(id, e))?),
            _ => None,
        };
        self.write(|transaction| {
            if let Some((realm, id, _)) = change.network {
                let mut table = transaction.open_table(NETWORKS)?;
                let (realm, key) = (realm.text(), id.as_str());
                match &record {
                    Some(record) => drop(table.insert((realm.as_str(), key), record.as_slice())?),
                    None => {
                        table.remove((realm.as_str(), key))?;
                        // No address begins with this, so that it comes after all of them.
                        let all = (realm.as_str(), key, "")..=(realm.as_str(), key, "~");
                        transaction.open_table(RESERVATIONS)?.retain_in(all, |_, _| false)?;
                    }
                }
            }
            if let Some((driver, writes)) = change.keys {
                let mut table = transaction.open_table(KEYS)?;
                for (key, value) in writes {
                    match value {
                        Some(value) => drop(table.insert((driver, key.as_str()), value.as_slice())?),
                        None => drop(table.remove((driver, key.as_str()))?),
                    }
                }
            }
            Ok(())
        })
    }

    /// Keeps addresses of a network for somebody; when this returns it is on disk.
    ///
    /// # Errors
    /// unavailable, when it cannot be written.
    pub fn keep_reservations(&self, realm: RealmKey, network: &NetworkId, new: &[Reservation]) -> Result<()> {
        if new.is_empty() {
            return Ok(());
        }
        let rows = new.iter().map(|r| Ok((r.address.to_string(), serde_json::to_vec(r)?)));
        let rows: Vec<_> = rows.collect::<Result<_, _>>().map_err(|e| unreadable(network, e))?;
        self.write(|transaction| {
            let mut table = transaction.open_table(RESERVATIONS)?;
            for (address, json) in &rows {
                table.insert(
                    (realm.text().as_str(), network.as_str(), address.as_str()),
                    json.as_slice(),
                )?;
            }
            Ok(())
        })
    }

    /// Keeps an address no longer; one that is not kept is no error.
    ///
    /// # Errors
    /// unavailable, when it cannot be written.
    pub fn drop_reservation(&self, realm: RealmKey, network: &NetworkId, address: IpAddr) -> Result<()> {
        self.write(|transaction| {
            let mut table = transaction.open_table(RESERVATIONS)?;
            table.remove((realm.text().as_str(), network.as_str(), address.to_string().as_str()))?;
            Ok(())
        })
    }

    /// Keeps a leased pool (`Some`), or keeps it no longer; when this returns it is on disk.
    ///
    /// # Errors
    /// unavailable, when it cannot be written.
    pub fn keep_lease(&self, realm: RealmKey, subnet: IpNetwork, plan: Option<&LeasedPlan>) -> Result<()> {
        let (realm, subnet) = (realm.text(), subnet.to_string());
        let json = plan.map(serde_json::to_vec).transpose();
        let json = json.map_err(|e| Error::internal("a leased pool cannot be written as JSON").caused_by(e))?;
        self.write(|transaction| {
            let mut table = transaction.open_table(LEASED)?;
            match &json {
                Some(json) => drop(table.insert((realm.as_str(), subnet.as_str()), json.as_slice())?),
                None => drop(table.remove((realm.as_str(), subnet.as_str()))?),
            }
            Ok(())
        })
    }

    /// Everything.
    ///
    /// # Errors
    /// unavailable, when it cannot be read; internal, when a record is not what this or an older host wrote.
    pub fn load(&self) -> Result<Loaded> {
        let mut loaded = Loaded::default();
        let (mut rows, mut reservations, mut leased): (Vec<Row>, Vec<Row>, Vec<Row>) = Default::default();
        self.read(|transaction| {
            for row in transaction.open_table(NETWORKS)?.iter()? {
                let (key, value) = row?;
                rows.push((
                    key.value().0.to_owned(),
                    key.value().1.to_owned(),
                    value.value().to_vec(),
                ));
            }
            for row in transaction.open_table(RESERVATIONS)?.iter()? {
                let (key, value) = row?;
                let (realm, network, _) = key.value();
                reservations.push((realm.to_owned(), network.to_owned(), value.value().to_vec()));
            }
            for row in transaction.open_table(LEASED)?.iter()? {
                let (key, value) = row?;
                let (realm, subnet) = key.value();
                leased.push((realm.to_owned(), subnet.to_owned(), value.value().to_vec()));
            }
            for row in transaction.open_table(KEYS)?.iter()? {
                let (key, value) = row?;
                loaded.keys.push((
                    key.value().0.to_owned(),
                    key.value().1.to_owned(),
                    value.value().to_vec(),
                ));
            }
            Ok(())
        })?;
        for (realm, id, json) in rows {
            let record = serde_json::from_slice(&json).map_err(|e| unreadable(&id, e))?;
            loaded.networks.push((realm, record));
        }
        for (realm, network, json) in reservations {
            let reservation = serde_json::from_slice(&json).map_err(|e| unreadable(&network, e))?;
            loaded.reservations.push((realm, (network.parse()?, reservation)));
        }
        for (realm, subnet, json) in leased {
            let unreadable =
                |e| Error::internal(format!("the store's record of pool {subnet} cannot be understood")).caused_by(e);
            loaded
                .leased
                .push((realm, serde_json::from_slice(&json).map_err(unreadable)?));
        }
        Ok(loaded)
    }

    /// The number that this host's default IPv6 pool is made of: 40 random bits, drawn once (RFC 4193, 3.2.2).
    ///
    /// # Errors
    /// unavailable, when it cannot be read or written.
    pub fn ula(&self) -> Result<[u8; 5]> {
        let mut stored = None;
        self.read(|transaction| {
            stored = transaction
                .open_table(META)?
                .get(ULA)?
                .and_then(|v| <[u8; 5]>::try_from(v.value()).ok());
            Ok(())
        })?;
        if let Some(bits) = stored {
            return Ok(bits);
        }
        let mut bits = [0u8; 5];
        getrandom::fill(&mut bits)
            .map_err(|e| Error::new(ErrorCode::Unavailable, "the system gives no random bytes").caused_by(e))?;
        self.write(|transaction| {
            transaction.open_table(META)?.insert(ULA, bits.as_slice())?;
            Ok(())
        })?;
        Ok(bits)
    }

    fn write(&self, change: impl FnOnce(&redb::WriteTransaction) -> Result<(), redb::Error>) -> Result<()> {
        let run = || {
            let transaction = self.database.begin_write()?;
            change(&transaction)?;
            transaction.commit()?;
            Ok(())
        };
        run().map_err(|e: redb::Error| failed("write", &self.path, e))
    }

    fn read(&self, look: impl FnOnce(&redb::ReadTransaction) -> Result<(), redb::Error>) -> Result<()> {
        let run = || look(&self.database.begin_read()?);
        run().map_err(|e: redb::Error| failed("read", &self.path, e))
    }
}

fn lock(dir: &Path) -> Result<File> {
    let path = dir.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|e| io("open", &path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let message = format!(
                "another jackfield host uses {}: stop it, or give this one another --state-dir",
                dir.display()
            );
            Err(Error::new(ErrorCode::InUse, message))
        }
        Err(TryLockError::Error(e)) => Err(io("lock", &path, e)),
    }
}

fn io(what: &str, path: &Path, cause: std::io::Error) -> Error {
    Error::new(
        ErrorCode::Unavailable,
        format!("cannot {what} {}: {cause}", path.display()),
    )
    .caused_by(cause)
}

fn failed(what: &str, path: &Path, cause: impl Into<redb::Error>) -> Error {
    let cause = cause.into();
    Error::new(
        ErrorCode::Unavailable,
        format!("cannot {what} the store {}: {cause}", path.display()),
    )
    .caused_by(cause)
}

fn unreadable(id: &(impl ToString + ?Sized), cause: serde_json::Error) -> Error {
    Error::internal(format!(
        "the store's record of network {} cannot be understood",
        id.to_string()
    ))
    .caused_by(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_committed_is_there_again_and_a_second_host_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let store = Durable::open(dir.path()).unwrap();
        let refused = Durable::open(dir.path()).unwrap_err();
        assert_eq!(refused.code, ErrorCode::InUse);
        assert!(refused.message.starts_with("another jackfield host uses"), "{refused}");
        let ula = store.ula().unwrap();
        let writes = [("a".to_owned(), Some(vec![1, 0])), ("b".to_owned(), None)];
        store
            .commit(&Change {
                network: None,
                keys: Some(("ptp", &writes)),
            })
            .unwrap();
        drop(store);
        let store = Durable::open(dir.path()).unwrap();
        assert_eq!(
            store.load().unwrap().keys,
            [("ptp".to_owned(), "a".to_owned(), vec![1, 0])]
        );
        assert_eq!(store.ula().unwrap(), ula);
    }
}
