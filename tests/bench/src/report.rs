//! What was measured, for people as a table and for machines as JSON.

use std::{collections::BTreeMap, fs, path::Path};

use comfy_table::{Table, presets::UTF8_HORIZONTAL_ONLY};

use crate::{
    failure::{During, Result},
    figure::{Figure, Measured},
    wanted::{Verdict, ratio, verdicts},
};

/// All figures, each with what is wanted of it.
pub fn table(figures: &BTreeMap<Measured, Figure>) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY);
    table.set_header(["figure", "what", "n", "median", "p99", "", "ratio", "wanted", "verdict"]);
    for what in Measured::ALL {
        table.add_row(row(what, figures));
    }
    table
}

fn row(what: Measured, figures: &BTreeMap<Measured, Figure>) -> [String; 9] {
    let (name, meaning) = (what.name().to_owned(), what.meaning().to_owned());
    let Some(figure) = figures.get(&what) else {
        let mut row: [String; 9] = Default::default();
        [row[0], row[1], row[2], row[8]] = [name, meaning, "0".into(), "not measured".into()];
        return row;
    };
    let verdicts = verdicts(what, figures);
    let lines = |line: fn(&Verdict) -> String| verdicts.iter().map(line).collect::<Vec<_>>().join("\n");
    [
        name,
        meaning,
        figure.n.to_string(),
        number(figure.median),
        number(figure.p99),
        figure.unit.sign().to_owned(),
        ratio_words(what, figures),
        lines(|verdict| format!("{} ({})", verdict.wanted, number(verdict.limit))),
        lines(verdict_words),
    ]
}

fn ratio_words(what: Measured, figures: &BTreeMap<Measured, Figure>) -> String {
    let words = ratio(what, figures)
        .zip(what.beside())
        .map(|(ratio, beside)| format!("{ratio:.2} x {}", beside.name()));
    words.unwrap_or_default()
}

fn verdict_words(verdict: &Verdict) -> String {
    if verdict.met() {
        return "met".into();
    }
    format!("short by {}", number(verdict.got - verdict.limit))
}

/// As many digits as mean something.
fn number(amount: f64) -> String {
    if amount < 100.0 {
        format!("{amount:.1}")
    } else {
        format!("{amount:.0}")
    }
}

/// A list of {name, unit, n, median, p99}.
///
/// # Errors
/// When the file cannot be written.
pub fn write_json(file: &Path, figures: &BTreeMap<Measured, Figure>) -> Result<()> {
    let list: Vec<&Figure> = figures.values().collect();
    let text = serde_json::to_string_pretty(&list).during("write the figures")?;
    fs::write(file, text + "\n").during(&format!("write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::figure::Samples;

    #[test]
    fn the_table_says_by_how_much_a_figure_falls_short_and_what_is_missing() {
        let mut samples = Samples::default();
        samples.add(Measured::LeaveApiBridge, Duration::from_micros(1_200));
        samples.add(Measured::DriverCallFresh, Duration::from_nanos(31_250));
        let text = table(&samples.figures()).to_string();
        assert!(text.contains("short by 200"), "{text}");
        assert!(text.contains("31.2") && text.contains("met"), "{text}");
        assert_eq!(text.matches("not measured").count(), Measured::ALL.len() - 2, "{text}");
    }

    #[test]
    fn the_table_tells_ratios_to_what_was_measured_beside() {
        let mut samples = Samples::default();
        samples.add(Measured::MassFloor, Duration::from_millis(800));
        samples.add(Measured::Mass, Duration::from_millis(2_000));
        let text = table(&samples.figures()).to_string();
        assert!(text.contains("2.50 x mass/floor"), "{text}");
    }

    #[test]
    fn machines_get_a_list_of_what_was_measured() {
        let mut samples = Samples::default();
        samples.add(Measured::JoinFloor, Duration::from_micros(300));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("figures.json");
        write_json(&file, &samples.figures()).unwrap();
        let read: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let expected =
            serde_json::json!([{ "name": "join/floor", "unit": "us", "n": 1, "median": 300.0, "p99": 300.0 }]);
        assert_eq!(read, expected);
    }
}
