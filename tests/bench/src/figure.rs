//! The figures: their names, what is wanted of each, and the statistics of their samples.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;

/// What is measured. The names are those that other tools read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Measured {
    JoinFloor,
    JoinKernel,
    JoinApiBridge,
    JoinApiComponent,
    JoinNaive,
    LeaveApiBridge,
    DriverLoadCached,
    DriverLoadCold,
    DriverCallFresh,
    PublishFirst,
    PublishTenThousandth,
    NamesOne,
    NamesAll,
    DnsmasqOne,
    DnsmasqAll,
}

impl Measured {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 15] = [
        Self::JoinFloor,
        Self::JoinKernel,
        Self::JoinApiBridge,
        Self::JoinApiComponent,
        Self::JoinNaive,
        Self::LeaveApiBridge,
        Self::DriverLoadCached,
        Self::DriverLoadCold,
        Self::DriverCallFresh,
        Self::PublishFirst,
        Self::PublishTenThousandth,
        Self::NamesOne,
        Self::NamesAll,
        Self::DnsmasqOne,
        Self::DnsmasqAll,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::JoinFloor => "join/floor",
            Self::JoinKernel => "join/kernel",
            Self::JoinApiBridge => "join/api-bridge",
            Self::JoinApiComponent => "join/api-component",
            Self::JoinNaive => "join/naive",
            Self::LeaveApiBridge => "leave/api-bridge",
            Self::DriverLoadCached => "driver/load-cached",
            Self::DriverLoadCold => "driver/load-cold",
            Self::DriverCallFresh => "driver/call-fresh",
            Self::PublishFirst => "publish/first",
            Self::PublishTenThousandth => "publish/10000th",
            Self::NamesOne => "names/answer",
            Self::NamesAll => "names/burst",
            Self::DnsmasqOne => "names/answer-dnsmasq",
            Self::DnsmasqAll => "names/burst-dnsmasq",
        }
    }

    /// What it is, for people.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::JoinFloor => "a bare program sends the messages of a join",
            Self::JoinKernel => "the kernel crate: compiled, journalled, applied",
            Self::JoinApiBridge => "HTTP, built-in bridge",
            Self::JoinApiComponent => "HTTP, bridge as a component",
            Self::JoinNaive => "rtnetlink, a request a step, create then move",
            Self::LeaveApiBridge => "HTTP, built-in bridge",
            Self::DriverLoadCached => "HTTP, a component compiled before",
            Self::DriverLoadCold => "HTTP, a component never seen",
            Self::DriverCallFresh => "a fresh instance and a call",
            Self::PublishFirst => "HTTP, a port of an endpoint, on a host without any",
            Self::PublishTenThousandth => "HTTP, the same beside 9,999 others",
            Self::NamesOne => "a name asked for in one of 500 sandboxes",
            Self::NamesAll => "each answer when 200 of them ask at once",
            Self::DnsmasqOne => "a name asked of dnsmasq",
            Self::DnsmasqAll => "each of its answers to 200 at once",
        }
    }
}

/// A figure, in microseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// Its name.
    pub name: &'static str,
    /// Always `us`.
    pub unit: &'static str,
    /// How many samples.
    pub n: usize,
    /// The middle one.
    pub median: f64,
    /// The one that one in a hundred exceeds; of fewer than a hundred, the largest.
    pub p99: f64,
}

/// All samples taken so far.
#[derive(Debug, Default)]
pub struct Samples(BTreeMap<Measured, Vec<Duration>>);

impl Samples {
    /// One more.
    pub fn add(&mut self, what: Measured, took: Duration) {
        self.0.entry(what).or_default().push(took);
    }

    /// The statistics of what was measured; nothing for what was not.
    pub fn figures(&self) -> BTreeMap<Measured, Figure> {
        self.0
            .iter()
            .filter_map(|(what, samples)| Some((*what, figure(*what, samples)?)))
            .collect()
    }
}

fn figure(what: Measured, samples: &[Duration]) -> Option<Figure> {
    let mut sorted: Vec<f64> = samples.iter().map(|s| s.as_secs_f64() * 1e6).collect();
    sorted.sort_by(f64::total_cmp);
    Some(Figure {
        name: what.name(),
        unit: "us",
        n: sorted.len(),
        median: quantile(&sorted, 50)?,
        p99: quantile(&sorted, 99)?,
    })
}

/// The nearest rank: the smallest sample that so many of a hundred do not exceed.
fn quantile(sorted: &[f64], percent: usize) -> Option<f64> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

/// Something that is wanted of a figure, and how far it is from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// In words, as `<= 1.10 x floor`.
    pub wanted: String,
    /// What it may be, in microseconds.
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
    let beside = |other| figures.get(&other);
    let floor = beside(Measured::JoinFloor);
    match what {
        Measured::JoinFloor | Measured::JoinNaive => Vec::new(),
        Measured::JoinKernel => floor
            .map(|f| median(f.median * 1.10, "<= 1.10 x floor"))
            .into_iter()
            .collect(),
        Measured::JoinApiBridge => floor.map_or_else(Vec::new, |f| {
            let tail = Verdict {
                wanted: "p99 <= floor + 500".into(),
                limit: f.p99 + 500.0,
                got: own.p99,
            };
            vec![median(f.median + 150.0, "<= floor + 150"), tail]
        }),
        Measured::JoinApiComponent => {
            let built_in = beside(Measured::JoinApiBridge);
            built_in
                .map(|b| median(b.median + 60.0, "<= built-in + 60"))
                .into_iter()
                .collect()
        }
        Measured::LeaveApiBridge => vec![median(1_000.0, "<= 1,000")],
        Measured::DriverLoadCached => vec![median(5_000.0, "<= 5,000")],
        Measured::DriverLoadCold => vec![median(150_000.0, "<= 150,000")],
        Measured::DriverCallFresh => vec![median(40.0, "<= 40")],
        Measured::PublishFirst | Measured::DnsmasqOne | Measured::DnsmasqAll => Vec::new(),
        Measured::NamesOne | Measured::NamesAll => {
            let other = if what == Measured::NamesOne {
                Measured::DnsmasqOne
            } else {
                Measured::DnsmasqAll
            };
            let dnsmasq = beside(other);
            dnsmasq.map(|d| median(d.median, "<= dnsmasq")).into_iter().collect()
        }
        Measured::PublishTenThousandth => {
            let first = beside(Measured::PublishFirst);
            first
                .map(|f| median(f.median * 1.20, "<= 1.20 x first"))
                .into_iter()
                .collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(of: &[(Measured, &[u64])]) -> BTreeMap<Measured, Figure> {
        let mut samples = Samples::default();
        for (what, micros) in of {
            micros
                .iter()
                .for_each(|m| samples.add(*what, Duration::from_micros(*m)));
        }
        samples.figures()
    }

    #[test]
    fn the_median_is_the_middle_and_p99_the_largest_of_a_few() {
        let hundred: Vec<u64> = (1..=200).rev().collect();
        let figures = samples(&[(Measured::JoinFloor, &hundred), (Measured::JoinNaive, &[7])]);
        assert_eq!(
            (figures[&Measured::JoinFloor].median, figures[&Measured::JoinFloor].p99),
            (100.0, 198.0)
        );
        assert_eq!(
            (figures[&Measured::JoinNaive].median, figures[&Measured::JoinNaive].p99),
            (7.0, 7.0)
        );
        assert!(!figures.contains_key(&Measured::JoinKernel));
    }

    #[test]
    fn a_figure_is_judged_beside_the_one_that_it_rests_on() {
        let figures = samples(&[
            (Measured::JoinFloor, &[100]),
            (Measured::JoinKernel, &[110]),
            (Measured::JoinApiBridge, &[251]),
        ]);
        assert!(verdicts(Measured::JoinKernel, &figures)[0].met());
        let api = verdicts(Measured::JoinApiBridge, &figures);
        assert_eq!((api[0].met(), api[1].met()), (false, true));
        assert_eq!(verdicts(Measured::JoinApiComponent, &figures), []);
        let alone = samples(&[(Measured::JoinKernel, &[110])]);
        assert_eq!(
            verdicts(Measured::JoinKernel, &alone),
            [],
            "without a floor there is nothing to judge by"
        );
    }
}
