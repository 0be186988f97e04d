//! What is wanted of each figure, and how far it is from it.

use std::collections::BTreeMap;

use crate::figure::{Figure, Measured};

/// What a host may add to the floor of a join, in microseconds.
const ADDED: f64 = 150.0;

/// Something that is wanted of a figure, and how far it is from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// In words, as `<= 1.10 x floor`.
    pub wanted: String,
    /// What it may be, in the unit of the figure.
    pub limit: f64,
    /// What it is.
    pub got: f64,
}

impl Verdict {
    /// Whether it is met.
    pub fn met(&self) -> bool {
        self.got <= self.limit
    }
}

/// What is wanted of each figure, of those that could be measured; several may be wanted of one.
pub fn verdicts(what: Measured, figures: &BTreeMap<Measured, Figure>) -> Vec<Verdict> {
    let Some(own) = figures.get(&what) else {
        return Vec::new();
    };
    let median = |limit: f64, wanted: &str| Verdict {
        wanted: wanted.into(),
        limit,
        got: own.median,
    };
    let beside = what.beside().and_then(|other| figures.get(&other));
    let times = |factor: f64, wanted| beside.map(|b| median(b.median * factor, wanted)).into_iter().collect();
    match what {
        Measured::JoinKernel => times(1.10, "<= 1.10 x floor"),
        Measured::JoinApiBridge => beside.map_or_else(Vec::new, |f| {
            let tail = Verdict {
                wanted: "p99 <= floor + 500".into(),
                limit: f.p99 + 500.0,
                got: own.p99,
            };
            vec![median(f.median + ADDED, "<= floor + 150"), tail]
        }),
        Measured::JoinApiComponent => beside
            .map(|b| median(b.median + 60.0, "<= built-in + 60"))
            .into_iter()
            .collect(),
        Measured::LeaveApiBridge => vec![median(1_000.0, "<= 1,000")],
        Measured::DriverLoadCached => vec![median(5_000.0, "<= 5,000")],
        Measured::DriverLoadCold => vec![median(150_000.0, "<= 150,000")],
        Measured::DriverCallFresh => vec![median(40.0, "<= 40")],
        Measured::PublishTenThousandth | Measured::ServiceUpdate => times(1.20, "<= 1.20 x first"),
        Measured::CniAdd | Measured::CniDel => vec![median(3_000.0, "<= 3,000")],
        Measured::NetavarkSetup => times(0.2, "<= 1/5 of its own"),
        Measured::DockerOurs => times(1.0, "<= Docker's bridge"),
        Measured::NamesOne | Measured::NamesAll => times(1.0, "<= dnsmasq"),
        Measured::JoinTenth => beside
            .map(|f| median(f.median + ADDED, "<= floor + 150"))
            .into_iter()
            .collect(),
        Measured::JoinNineHundredth => beside.map_or_else(Vec::new, |f| {
            let flat = added(Measured::JoinTenth, figures)
                .map(|tenth| median(f.median + tenth * 1.20, "<= floor + 1.20 x what the 10th adds"));
            let near = median(f.median + ADDED, "<= floor + 150");
            std::iter::once(near).chain(flat).collect()
        }),
        _ => Vec::new(),
    }
}

/// By how much a figure exceeds the one beside it.
fn added(what: Measured, figures: &BTreeMap<Measured, Figure>) -> Option<f64> {
    Some(figures.get(&what)?.median - figures.get(&what.beside()?)?.median)
}

/// How many times as much a figure is as the one beside it.
pub fn ratio(what: Measured, figures: &BTreeMap<Measured, Figure>) -> Option<f64> {
    Some(figures.get(&what)?.median / figures.get(&what.beside()?)?.median)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::figure::Samples;

    fn samples(of: &[(Measured, u64)]) -> BTreeMap<Measured, Figure> {
        let mut samples = Samples::default();
        of.iter()
            .for_each(|(what, micros)| samples.add(*what, Duration::from_micros(*micros)));
        samples.figures()
    }

    #[test]
    fn a_figure_is_judged_beside_the_one_that_it_rests_on() {
        let figures = samples(&[
            (Measured::JoinFloor, 100),
            (Measured::JoinKernel, 110),
            (Measured::JoinApiBridge, 251),
        ]);
        assert!(verdicts(Measured::JoinKernel, &figures)[0].met());
        let api = verdicts(Measured::JoinApiBridge, &figures);
        assert_eq!((api[0].met(), api[1].met()), (false, true));
        assert_eq!(verdicts(Measured::JoinApiComponent, &figures), []);
        let alone = samples(&[(Measured::JoinKernel, 110)]);
        assert_eq!(
            verdicts(Measured::JoinKernel, &alone),
            [],
            "without a floor there is nothing to judge by"
        );
    }

    /// On a large bridge the floor is slow too; what the host adds has to stay what it was.
    #[test]
    fn what_is_added_to_the_floor_may_not_grow_with_the_bridge() {
        let nth = |added: u64| {
            samples(&[
                (Measured::JoinTenthFloor, 300),
                (Measured::JoinTenth, 400),
                (Measured::JoinNineHundredthFloor, 1_200),
                (Measured::JoinNineHundredth, 1_200 + added),
            ])
        };
        let met = |added| {
            let verdicts = verdicts(Measured::JoinNineHundredth, &nth(added));
            verdicts.iter().map(Verdict::met).collect::<Vec<_>>()
        };
        assert_eq!(
            [met(120), met(140), met(160)],
            [[true, true], [true, false], [false, false]]
        );
        assert_eq!(ratio(Measured::JoinNineHundredth, &nth(1_200)), Some(2.0));
        assert_eq!(
            ratio(Measured::JoinNineHundredthFloor, &nth(0)),
            None,
            "it is the floor"
        );
    }
}
