//! What the journal keeps over crashes, restarts and reboots.

use std::{io::Write, path::PathBuf};

use super::*;

const BOOT: &str = "1b4e28ba-2fa1-11d2-883f-0016d3cca427";

fn note(key: &str, value: u32) -> Record {
    Record::Notes {
        notes: vec![Note {
            key: key.into(),
            value: Fact::of(&value).ok(),
        }],
    }
}

fn open(dir: &Path) -> (Journal, Replayed) {
    Journal::open_for_boot(dir, BOOT).unwrap()
}

fn file(dir: &Path) -> PathBuf {
    dir.join("kernel.journal")
}

fn keys(replayed: &Replayed) -> Vec<&str> {
    replayed.notes.keys().map(String::as_str).collect()
}

#[test]
fn what_was_appended_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let operation = OperationId::random();
    let (journal, empty) = open(dir.path());
    assert!(empty.operations.is_empty() && empty.notes.is_empty());
    journal.append(note("a", 1)).unwrap();
    let begin = Record::Begin {
        operation: operation.clone(),
        realm: NamespaceId(7),
        sandbox: None,
        raises_loopback: false,
        plan: crate::Plan::default(),
    };
    journal.append(begin).unwrap();
    drop(journal);
    let (_journal, replayed) = open(dir.path());
    assert_eq!(keys(&replayed), ["a"]);
    assert_eq!(replayed.operations[0].0, operation);
    assert!(replayed.operations[0].1.inherited);
}

#[test]
fn a_second_host_is_refused_and_told_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let _first = open(dir.path());
    let error = Journal::open_for_boot(dir.path(), BOOT).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(
        cause.contains("another jackfield host") && cause.contains("--run-dir"),
        "{cause}"
    );
}

#[test]
fn a_torn_tail_is_cut_off_and_the_next_record_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).0.append(note("whole", 1)).unwrap();
    std::fs::OpenOptions::new()
        .append(true)
        .open(file(dir.path()))
        .unwrap()
        .write_all(&[9, 0, 0, 0, 1, 2])
        .unwrap();
    let (journal, replayed) = open(dir.path());
    assert_eq!(keys(&replayed), ["whole"]);
    journal.append(note("next", 1)).unwrap();
    drop(journal);
    assert_eq!(keys(&open(dir.path()).1), ["next", "whole"]);
}

#[test]
fn another_boots_journal_means_nothing_and_is_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).0.append(note("old", 1)).unwrap();
    let (journal, replayed) = Journal::open_for_boot(dir.path(), "another").unwrap();
    assert!(replayed.notes.is_empty());
    assert!(dir.path().join("kernel.journal.void").exists());
    journal.append(note("new", 1)).unwrap();
    drop(journal);
    assert_eq!(keys(&Journal::open_for_boot(dir.path(), "another").unwrap().1), ["new"]);
}

#[test]
fn another_versions_journal_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let text = format!("jackfield-journal 2 {BOOT}\n");
    std::fs::write(file(dir.path()), &text).unwrap();
    assert!(
        Journal::open_for_boot(dir.path(), BOOT)
            .unwrap_err()
            .to_string()
            .contains("version 2")
    );
    assert_eq!(std::fs::read_to_string(file(dir.path())).unwrap(), text);
}

#[test]
fn a_journal_that_is_mostly_dead_shrinks_and_keeps_what_it_knows() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    let long = Fact::of(&"x".repeat(60_000)).unwrap();
    for n in 0..200 {
        let key = format!("key/{}", n % 3);
        journal
            .append(Record::Notes {
                notes: vec![Note {
                    key,
                    value: Some(long.clone()),
                }],
            })
            .unwrap();
    }
    let size = std::fs::metadata(file(dir.path())).unwrap().len();
    assert!(size < REWRITE_FROM, "{size} bytes for three live notes");
    drop(journal);
    assert_eq!(keys(&open(dir.path()).1), ["key/0", "key/1", "key/2"]);
}

#[derive(Debug)]
struct Refuse;

impl Observer for Refuse {
    fn before(&self, _: &Record) -> std::io::Result<()> {
        Err(std::io::Error::other("no"))
    }
    fn after(&self, _: &Record) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_record_that_could_not_be_written_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    journal.observe(Arc::new(Refuse));
    assert!(journal.append(note("a", 1)).is_err());
    drop(journal);
    assert!(open(dir.path()).1.notes.is_empty());
}
