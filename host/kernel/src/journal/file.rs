//! The journal's file: opened under a lock, read once, appended to with one write a record, rewritten when most of it is dead.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
};

use super::{
    Record,
    frame::{Frames, Header, encode, header, read_header},
    state::State,
};
use crate::{KernelError, Result};

const NAME: &str = "kernel.journal";

/// An open journal file. The lock lasts as long as this.
#[derive(Debug)]
pub struct JournalFile {
    path: PathBuf,
    boot: String,
    file: File,
    length: u64,
    /// Set when a torn record could not be cut off: what is written behind it would never be read.
    broken: bool,
    _lock: Flock<File>,
}

impl JournalFile {
    /// Takes the lock and reads what is there.
    pub fn open(dir: &Path, boot: &str) -> Result<(Self, State)> {
        let lock = lock(dir)?;
        let path = dir.join(NAME);
        let mut file = open(&path, OpenOptions::new().read(true).append(true).create(true))?;
        let mut bytes = vec![];
        file.read_to_end(&mut bytes).map_err(|e| failed("read", &path, e))?;
        let (state, length) = match read_header(&bytes, boot) {
            Header::Ours(offset) => replay(&bytes, offset, &path)?,
            Header::Void(why) => {
                set_aside(&path, &bytes, &why)?;
                file = fresh(&path, boot)?;
                (State::default(), header(boot).len() as u64)
            }
            Header::Version(version) => return Err(other_version(&path, &version)),
        };
        let mut this = Self {
            path,
            boot: boot.to_owned(),
            file,
            length,
            broken: false,
            _lock: lock,
        };
        this.cut()?;
        Ok((this, state))
    }

    /// Bytes in the file.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// One record, one write. On an error the record is not in the file.
    pub fn append(&mut self, record: &Record) -> Result<()> {
        if self.broken {
            let cause = io::Error::other("an earlier record is torn and could not be cut off: restart jackfield");
            return Err(failed("append to", &self.path, cause));
        }
        let frame = encode(record)?;
        match self.file.write(&frame) {
            Ok(written) if written == frame.len() => {
                self.length += frame.len() as u64;
                Ok(())
            }
            Ok(_) => self.refuse(io::Error::from(Errno::ENOSPC)),
            Err(cause) => self.refuse(cause),
        }
    }

    /// Writes what the state amounts to beside the file and puts it in its place. A crash leaves the one or the other.
    pub fn rewrite(&mut self, state: &State) -> Result<()> {
        let beside = self.path.with_extension("journal.new");
        let mut bytes = header(&self.boot);
        for record in state.records() {
            bytes.extend(encode(&record)?);
        }
        let mut file = open(&beside, OpenOptions::new().read(true).append(true).create_new(true)).or_else(|_| {
            std::fs::remove_file(&beside).map_err(|e| failed("remove", &beside, e))?;
            open(&beside, OpenOptions::new().read(true).append(true).create_new(true))
        })?;
        file.write_all(&bytes).map_err(|e| failed("write", &beside, e))?;
        std::fs::rename(&beside, &self.path).map_err(|e| failed("replace", &self.path, e))?;
        (self.file, self.length, self.broken) = (file, bytes.len() as u64, false);
        Ok(())
    }

    fn refuse(&mut self, cause: io::Error) -> Result<()> {
        self.broken = self.cut().is_err();
        Err(failed("append to", &self.path, cause))
    }

    /// Cuts the file to what can be trusted.
    fn cut(&mut self) -> Result<()> {
        self.file
            .set_len(self.length)
            .and_then(|()| self.file.seek(SeekFrom::End(0)))
            .map(drop)
            .map_err(|e| failed("cut the torn end off", &self.path, e))
    }
}

fn replay(bytes: &[u8], offset: usize, path: &Path) -> Result<(State, u64)> {
    let mut state = State::default();
    let mut frames = Frames::new(bytes, offset);
    for record in frames.by_ref() {
        state.apply(record?);
    }
    if let Some(why) = frames.why {
        let lost = bytes.len() - frames.offset;
        tracing::warn!(journal = %path.display(), "{why}: its last {lost} bytes are cut off");
    }
    state.inherit();
    Ok((state, frames.offset as u64))
}

/// Keeps the void file for whoever wants to look, in the place of the one before.
fn set_aside(path: &Path, bytes: &[u8], why: &str) -> Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    tracing::info!(journal = %path.display(), "set aside: {why}");
    std::fs::rename(path, path.with_extension("journal.void")).map_err(|e| failed("set aside", path, e))
}

fn fresh(path: &Path, boot: &str) -> Result<File> {
    let mut file = open(path, OpenOptions::new().read(true).append(true).create(true))?;
    file.write_all(&header(boot)).map_err(|e| failed("write", path, e))?;
    Ok(file)
}

/// A lock file of its own, since the journal's file is replaced when it is rewritten.
fn lock(dir: &Path) -> Result<Flock<File>> {
    let path = dir.join("kernel.lock");
    let file = open(&path, OpenOptions::new().write(true).create(true).truncate(false))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| {
        let cause = match errno {
            Errno::EWOULDBLOCK => io::Error::new(
                io::ErrorKind::WouldBlock,
                "another jackfield host uses this directory: stop that one, or give this one its own --run-dir",
            ),
            other => other.into(),
        };
        failed("lock", &path, cause)
    })
}

fn open(path: &Path, how: &OpenOptions) -> Result<File> {
    how.open(path).map_err(|e| failed("open", path, e))
}

fn other_version(path: &Path, version: &str) -> KernelError {
    KernelError::Malformed {
        operation: "read",
        object: path.display().to_string(),
        problem: format!(
            "its layout is version {version}, expected 1: start the jackfield that wrote it, or restart the machine"
        ),
    }
}

fn failed(operation: &'static str, path: &Path, cause: io::Error) -> KernelError {
    KernelError::System {
        operation,
        object: path.display().to_string(),
        cause,
    }
}
