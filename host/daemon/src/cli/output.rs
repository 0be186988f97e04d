//! What is printed: tables for people, JSON for programs.

use std::{
    io::{self, ErrorKind, Write},
    process::ExitCode,
};

use comfy_table::{ContentArrangement, Table, presets};
use jackfield_model::Options;
use serde::Serialize;

use super::{Failure, Outcome};

/// How to print.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    /// For programs.
    pub json: bool,
}

impl Output {
    /// Prints a value as JSON, or else as the text that a person reads.
    pub fn show<T: Serialize>(self, value: &T, text: impl FnOnce(&T) -> String) -> Outcome {
        if self.json {
            print(&json(value)?)?
        } else {
            print(&text(value))?
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Prints one event of a stream: a line, JSON too.
    pub fn line<T: Serialize>(self, value: &T, text: impl FnOnce(&T) -> String) -> Result<(), Failure> {
        let line = if self.json { compact(value)? } else { text(value) };
        print(&(line + "\n"))
    }
}

fn json<T: Serialize>(value: &T) -> Result<String, Failure> {
    serde_json::to_string_pretty(value)
        .map(|text| text + "\n")
        .map_err(unwritable)
}

fn compact<T: Serialize>(value: &T) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(unwritable)
}

fn unwritable(cause: serde_json::Error) -> Failure {
    Failure::Own(jackfield_model::Error::internal("the answer cannot be written as JSON").caused_by(cause))
}

fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|e| match e.kind() {
            ErrorKind::BrokenPipe => Failure::OutputClosed,
            _ => Failure::system("cannot write to standard output", e),
        })
}

/// A table without borders, its columns three spaces apart.
pub(super) fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(head);
    rows.into_iter().for_each(|row| {
        table.add_row(row);
    });
    for column in table.column_iter_mut() {
        column.set_padding((0, 3));
    }
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// One object: a line for each thing that there is to say of it.
pub(super) fn sheet(lines: &[(&str, String)]) -> String {
    let width = lines.iter().map(|(key, _)| key.len()).max().unwrap_or(0) + 1;
    let line =
        |(key, value): &(&str, String)| format!("{:width$}  {value}", format!("{key}:")).trim_end().to_owned() + "\n";
    lines.iter().filter(|(_, value)| !value.is_empty()).map(line).collect()
}

/// Options or labels on one line.
pub(super) fn pairs(options: &Options) -> String {
    options
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// A list on one line.
pub(super) fn commas<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    items
        .into_iter()
        .map(|item| item.to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

/// Milliseconds since 1970 as `2026-11-23T19:34:00.123Z`.
pub(super) fn time(milliseconds: u64) -> String {
    let (seconds, rest) = (milliseconds / 1000, milliseconds % 1000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{rest:03}Z")
}

/// The Gregorian date that many days after 1970-01-01: Howard Hinnant's `civil_from_days`, for days from 1970 on. Years begin in March
/// there, so that the leap day is a year's last.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    (year + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399, "2000-02-28T23:59:59.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_795_462_440, "2026-11-23T19:34:00.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(time(seconds * 1000), expected);
        }
    }

    #[test]
    fn a_sheet_leaves_out_what_there_is_not_to_say() {
        assert_eq!(
            sheet(&[("Name", "blue".into()), ("Labels", String::new()), ("Id", "1".into())]),
            "Name:    blue\nId:      1\n"
        );
    }
}
