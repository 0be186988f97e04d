//! The file's bytes: one line of header, then frames.
//!
//! ```text
//! jackfield-journal 1 <boot id>\n
//! [length: u32 LE][CRC-32 of the body: u32 LE][body: JSON] ...
//! ```

use crate::{KernelError, Result, journal::Record};

/// The header's first word.
const MAGIC: &str = "jackfield-journal";
/// The layout of frames, not the vocabulary of records: that grows by serde's defaults.
const VERSION: u32 = 1;
/// Longest header that is looked for.
const HEADER_MAX: usize = 128;
/// Length and checksum before each body.
const PREFIX: usize = 8;
/// No record comes near this; a longer length is a torn or foreign one.
const BODY_MAX: usize = 64 << 20;

/// Whose journal a file is.
#[derive(Debug, PartialEq, Eq)]
pub enum Header {
    /// Of this boot; frames begin at this offset.
    Ours(usize),
    /// Of another boot, or no journal at all: it means nothing now.
    Void(String),
    /// Of another version of the host.
    Version(String),
}

/// The header of a journal of that boot.
pub fn header(boot: &str) -> Vec<u8> {
    format!("{MAGIC} {VERSION} {boot}\n").into_bytes()
}

/// Reads a header.
pub fn read_header(bytes: &[u8], boot: &str) -> Header {
    let head = &bytes[..bytes.len().min(HEADER_MAX)];
    let Some(end) = head.iter().position(|b| *b == b'\n') else {
        return Header::Void("it has no header".into());
    };
    let line = String::from_utf8_lossy(&head[..end]);
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        [MAGIC, version, _] if version != VERSION.to_string() => Header::Version(version.to_owned()),
        [MAGIC, _, of] if of == boot => Header::Ours(end + 1),
        [MAGIC, _, of] => Header::Void(format!("it is of the boot {of}")),
        _ => Header::Void("it is no journal".into()),
    }
}

/// A record as one frame, so that it is one write.
pub fn encode(record: &Record) -> Result<Vec<u8>> {
    let mut frame = vec![0u8; PREFIX];
    serde_json::to_writer(&mut frame, record).map_err(|cause| KernelError::Malformed {
        operation: "encode",
        object: "a journal record".into(),
        problem: cause.to_string(),
    })?;
    let length = u32::try_from(frame.len() - PREFIX)
        .ok()
        .filter(|l| *l as usize <= BODY_MAX)
        .ok_or_else(too_long)?;
    let checksum = crc32fast::hash(&frame[PREFIX..]);
    frame[..4].copy_from_slice(&length.to_le_bytes());
    frame[4..PREFIX].copy_from_slice(&checksum.to_le_bytes());
    Ok(frame)
}

fn too_long() -> KernelError {
    KernelError::Malformed {
        operation: "encode",
        object: "a journal record".into(),
        problem: format!("it is longer than {BODY_MAX} bytes"),
    }
}

/// Reads frames one by one. Ends at the end of the bytes, or at the first frame that is torn or corrupt; `why` then says so.
#[derive(Debug)]
pub struct Frames<'a> {
    bytes: &'a [u8],
    /// Where the next frame begins: after the last, where what can be trusted ends.
    pub offset: usize,
    /// Why reading ended before the bytes did.
    pub why: Option<&'static str>,
}

impl<'a> Frames<'a> {
    /// Begins behind the header.
    pub fn new(bytes: &'a [u8], offset: usize) -> Self {
        Self {
            bytes,
            offset,
            why: None,
        }
    }

    fn frame(&self) -> Result<Option<&'a [u8]>, &'static str> {
        let rest = &self.bytes[self.offset..];
        let (Some(length), Some(checksum)) = (word(rest, 0), word(rest, 4)) else {
            return if rest.is_empty() {
                Ok(None)
            } else {
                Err("its last record is torn")
            };
        };
        let end = (length as usize).min(BODY_MAX + 1) + PREFIX;
        let body = rest.get(PREFIX..end).ok_or("its last record is torn")?;
        if crc32fast::hash(body) == checksum {
            Ok(Some(body))
        } else {
            Err("a record's checksum is wrong")
        }
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

impl Iterator for Frames<'_> {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.why.is_some() {
            return None;
        }
        let body = match self.frame() {
            Ok(body) => body?,
            Err(why) => {
                self.why = Some(why);
                return None;
            }
        };
        self.offset += PREFIX + body.len();
        // A whole record that cannot be understood was written by another version: cutting it off would lose what it says.
        Some(serde_json::from_slice(body).map_err(|cause| KernelError::Malformed {
            operation: "read",
            object: "a journal record".into(),
            problem: format!(
                "{cause}; it was written by another version of jackfield: start that one, or restart the machine"
            ),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Note;

    fn note(key: &str) -> Record {
        Record::Notes {
            notes: vec![Note {
                key: key.into(),
                value: None,
            }],
        }
    }

    fn two() -> Vec<u8> {
        [encode(&note("a")).unwrap(), encode(&note("b")).unwrap()].concat()
    }

    fn read(bytes: &[u8]) -> (Vec<Record>, usize, Option<&'static str>) {
        let mut frames = Frames::new(bytes, 0);
        let records = frames.by_ref().map(Result::unwrap).collect();
        (records, frames.offset, frames.why)
    }

    #[test]
    fn what_is_written_is_read_again() {
        let bytes = two();
        assert_eq!(read(&bytes), (vec![note("a"), note("b")], bytes.len(), None));
    }

    #[test]
    fn a_tail_torn_at_any_byte_keeps_what_stands_before_it() {
        let bytes = two();
        let first = encode(&note("a")).unwrap().len();
        for end in first + 1..bytes.len() {
            assert_eq!(
                read(&bytes[..end]),
                (vec![note("a")], first, Some("its last record is torn")),
                "cut at {end}"
            );
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_in_a_record_ends_the_file_before_it() {
        let first = encode(&note("a")).unwrap().len();
        for at in first..two().len() {
            let mut bytes = two();
            bytes[at] ^= 0x10;
            let (records, offset, why) = read(&bytes);
            assert_eq!((records, offset), (vec![note("a")], first), "flipped at {at}");
            assert!(why.is_some());
        }
    }

    #[test]
    fn a_whole_record_of_an_unknown_kind_is_an_error_not_a_torn_tail() {
        let body = br#"{"from_the_future":{}}"#;
        let mut bytes = (body.len() as u32).to_le_bytes().to_vec();
        bytes.extend(crc32fast::hash(body).to_le_bytes());
        bytes.extend(body);
        assert!(
            Frames::new(&bytes, 0)
                .next()
                .unwrap()
                .unwrap_err()
                .to_string()
                .contains("another version")
        );
    }

    #[test]
    fn a_header_is_ours_by_magic_version_and_boot() {
        let ours = header("b00t");
        assert_eq!(read_header(&ours, "b00t"), Header::Ours(ours.len()));
        assert!(matches!(read_header(&ours, "other"), Header::Void(_)));
        assert_eq!(
            read_header(b"jackfield-journal 2 b00t\n", "b00t"),
            Header::Version("2".into())
        );
        for void in [&b""[..], b"jackfield-journal 1 b00t", b"something else\n", &[0xff; 200]] {
            assert!(matches!(read_header(void, "b00t"), Header::Void(_)), "{void:?}");
        }
    }
}
