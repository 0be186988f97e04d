//! The figures: their names, what each is measured beside, and the statistics of their samples.

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
    ServiceFirst,
    ServiceUpdate,
    NamesOne,
    NamesAll,
    DnsmasqOne,
    DnsmasqAll,
    JoinTenthFloor,
    JoinTenth,
    JoinNineHundredthFloor,
    JoinNineHundredth,
    MassFloor,
    Mass,
    MemoryHost,
    MemoryKernel,
    MemoryKernelFloor,
    CniVersion,
    CniAddChain,
    CniAdd,
    CniDelChain,
    CniDel,
    NetavarkSetupOwn,
    NetavarkSetup,
    NetavarkSetupThrough,
    NetavarkTeardownOwn,
    NetavarkTeardown,
    NetavarkTeardownThrough,
    DockerNone,
    DockerBridge,
    DockerOurs,
    ConnectBuiltIn,
    ConnectComponent,
    ConnectPlugin,
    DisconnectBuiltIn,
    DisconnectComponent,
    DisconnectPlugin,
}

impl Measured {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 46] = [
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
        Self::ServiceFirst,
        Self::ServiceUpdate,
        Self::NamesOne,
        Self::NamesAll,
        Self::DnsmasqOne,
        Self::DnsmasqAll,
        Self::JoinTenthFloor,
        Self::JoinTenth,
        Self::JoinNineHundredthFloor,
        Self::JoinNineHundredth,
        Self::MassFloor,
        Self::Mass,
        Self::MemoryHost,
        Self::MemoryKernel,
        Self::MemoryKernelFloor,
        Self::CniVersion,
        Self::CniAddChain,
        Self::CniAdd,
        Self::CniDelChain,
        Self::CniDel,
        Self::NetavarkSetupOwn,
        Self::NetavarkSetup,
        Self::NetavarkSetupThrough,
        Self::NetavarkTeardownOwn,
        Self::NetavarkTeardown,
        Self::NetavarkTeardownThrough,
        Self::DockerNone,
        Self::DockerBridge,
        Self::DockerOurs,
        Self::ConnectBuiltIn,
        Self::ConnectComponent,
        Self::ConnectPlugin,
        Self::DisconnectBuiltIn,
        Self::DisconnectComponent,
        Self::DisconnectPlugin,
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
            Self::ServiceFirst => "service/update-first",
            Self::ServiceUpdate => "service/update",
            Self::NamesOne => "names/answer",
            Self::NamesAll => "names/burst",
            Self::DnsmasqOne => "names/answer-dnsmasq",
            Self::DnsmasqAll => "names/burst-dnsmasq",
            Self::JoinTenthFloor => "join/10th-floor",
            Self::JoinTenth => "join/10th",
            Self::JoinNineHundredthFloor => "join/900th-floor",
            Self::JoinNineHundredth => "join/900th",
            Self::MassFloor => "mass/floor",
            Self::Mass => "mass/1000-sandboxes",
            Self::MemoryHost => "memory/idle-sandbox",
            Self::MemoryKernel => "memory/idle-sandbox-kernel",
            Self::MemoryKernelFloor => "memory/idle-sandbox-kernel-floor",
            Self::CniVersion => "cni/version",
            Self::CniAddChain => "cni/add-chain",
            Self::CniAdd => "cni/add",
            Self::CniDelChain => "cni/del-chain",
            Self::CniDel => "cni/del",
            Self::NetavarkSetupOwn => "netavark/setup-own",
            Self::NetavarkSetup => "netavark/setup",
            Self::NetavarkSetupThrough => "netavark/setup-through",
            Self::NetavarkTeardownOwn => "netavark/teardown-own",
            Self::NetavarkTeardown => "netavark/teardown",
            Self::NetavarkTeardownThrough => "netavark/teardown-through",
            Self::DockerNone => "docker/run-none",
            Self::DockerBridge => "docker/run-bridge",
            Self::DockerOurs => "docker/run-jackfield",
            Self::ConnectBuiltIn => "driver/connect-built-in",
            Self::ConnectComponent => "driver/connect-component",
            Self::ConnectPlugin => "driver/connect-plugin",
            Self::DisconnectBuiltIn => "driver/disconnect-built-in",
            Self::DisconnectComponent => "driver/disconnect-component",
            Self::DisconnectPlugin => "driver/disconnect-plugin",
        }
    }

    /// The unit of its figure.
    pub fn unit(self) -> Unit {
        match self {
            Self::MemoryHost | Self::MemoryKernel | Self::MemoryKernelFloor => Unit::Kibibytes,
            _ => Unit::Microseconds,
        }
    }

    /// What it is measured beside: the ratio to that is told.
    pub fn beside(self) -> Option<Self> {
        match self {
            Self::JoinKernel | Self::JoinApiBridge | Self::JoinNaive => Some(Self::JoinFloor),
            Self::JoinApiComponent => Some(Self::JoinApiBridge),
            Self::PublishTenThousandth => Some(Self::PublishFirst),
            Self::ServiceUpdate => Some(Self::ServiceFirst),
            Self::NamesOne => Some(Self::DnsmasqOne),
            Self::NamesAll => Some(Self::DnsmasqAll),
            Self::JoinTenth => Some(Self::JoinTenthFloor),
            Self::JoinNineHundredth => Some(Self::JoinNineHundredthFloor),
            Self::Mass => Some(Self::MassFloor),
            Self::MemoryKernel => Some(Self::MemoryKernelFloor),
            Self::CniAdd => Some(Self::CniAddChain),
            Self::CniDel => Some(Self::CniDelChain),
            Self::NetavarkSetup | Self::NetavarkSetupThrough => Some(Self::NetavarkSetupOwn),
            Self::NetavarkTeardown | Self::NetavarkTeardownThrough => Some(Self::NetavarkTeardownOwn),
            Self::DockerBridge => Some(Self::DockerNone),
            Self::DockerOurs => Some(Self::DockerBridge),
            Self::ConnectComponent | Self::ConnectPlugin => Some(Self::ConnectBuiltIn),
            Self::DisconnectComponent | Self::DisconnectPlugin => Some(Self::DisconnectBuiltIn),
            _ => None,
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
            Self::ServiceFirst => "the kernel crate: an endpoint comes to a service with one",
            Self::ServiceUpdate => "the same, to a service with 200",
            Self::NamesOne => "a name asked for in one of 500 sandboxes",
            Self::NamesAll => "each answer when 200 of them ask at once",
            Self::DnsmasqOne => "a name asked of dnsmasq",
            Self::DnsmasqAll => "each of its answers to 200 at once",
            Self::JoinTenthFloor => "the messages of a join, on a bridge with 9 ports",
            Self::JoinTenth => "HTTP, the same, on a network with 9 endpoints",
            Self::JoinNineHundredthFloor => "the messages of a join, on a bridge with 899 ports",
            Self::JoinNineHundredth => "HTTP, the same, on a network with 899 endpoints",
            Self::MassFloor => "a bare program makes 1,000 namespaces that join a bridge",
            Self::Mass => "HTTP, 1,000 sandboxes made and joined, each with a name and a published port",
            Self::MemoryHost => "of the host's process, for each of these 1,000",
            Self::MemoryKernel => "slab and per-processor memory of the kernel, for each of them",
            Self::MemoryKernelFloor => "the same, for each of the bare program's",
            Self::CniVersion => "jackfield-cni started, which asks nobody",
            Self::CniAddChain => "ADD by bridge with host-local and masquerading, then portmap",
            Self::CniAdd => "the same by jackfield-cni",
            Self::CniDelChain => "DEL by portmap, then bridge with host-local",
            Self::CniDel => "the same by jackfield-cni",
            Self::NetavarkSetupOwn => "netavark with its own bridge and a port",
            Self::NetavarkSetup => "the same by jackfield-netavark",
            Self::NetavarkSetupThrough => "netavark, which starts jackfield-netavark",
            Self::NetavarkTeardownOwn => "netavark with its own bridge and a port",
            Self::NetavarkTeardown => "the same by jackfield-netavark",
            Self::NetavarkTeardownThrough => "netavark, which starts jackfield-netavark",
            Self::DockerNone => "docker run --rm --network none",
            Self::DockerBridge => "the same on a bridge of Docker's own",
            Self::DockerOurs => "the same on jackfield-bridge",
            Self::ConnectBuiltIn => "HTTP, a sandbox joins a built-in bridge",
            Self::ConnectComponent => "HTTP, a bridge as a component",
            Self::ConnectPlugin => "HTTP, a bridge by a classic plugin",
            Self::DisconnectBuiltIn => "HTTP, the sandbox leaves",
            Self::DisconnectComponent => "HTTP, the same",
            Self::DisconnectPlugin => "HTTP, the same",
        }
    }
}

/// What a figure is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Unit {
    #[serde(rename = "us")]
    Microseconds,
    #[serde(rename = "KiB")]
    Kibibytes,
}

impl Unit {
    /// As people write it.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Microseconds => "µs",
            Self::Kibibytes => "KiB",
        }
    }
}

/// One sample, in the unit of what it is a sample of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Amount(f64);

impl From<Duration> for Amount {
    fn from(took: Duration) -> Self {
        Self(took.as_secs_f64() * 1e6)
    }
}

impl Amount {
    /// So many KiB.
    pub fn kibibytes(count: f64) -> Self {
        Self(count)
    }
}

/// The samples of one run.
pub type Taken = Vec<(Measured, Amount)>;

/// A figure, in its unit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// Its name.
    pub name: &'static str,
    /// Its unit.
    pub unit: Unit,
    /// How many samples.
    pub n: usize,
    /// The middle one.
    pub median: f64,
    /// The one that one in a hundred exceeds; of fewer than a hundred, the largest.
    pub p99: f64,
}

/// All samples taken so far.
#[derive(Debug, Default)]
pub struct Samples(BTreeMap<Measured, Vec<Amount>>);

impl Samples {
    /// One more.
    pub fn add(&mut self, what: Measured, amount: impl Into<Amount>) {
        self.0.entry(what).or_default().push(amount.into());
    }

    /// Those of another part of the run too.
    pub fn extend(&mut self, others: Self) {
        for (what, amounts) in others.0 {
            self.0.entry(what).or_default().extend(amounts);
        }
    }

    /// The statistics of what was measured; nothing for what was not.
    pub fn figures(&self) -> BTreeMap<Measured, Figure> {
        self.0
            .iter()
            .filter_map(|(what, samples)| Some((*what, figure(*what, samples)?)))
            .collect()
    }
}

fn figure(what: Measured, samples: &[Amount]) -> Option<Figure> {
    let mut sorted: Vec<f64> = samples.iter().map(|amount| amount.0).collect();
    sorted.sort_by(f64::total_cmp);
    Some(Figure {
        name: what.name(),
        unit: what.unit(),
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
    fn memory_is_told_in_kibibytes_and_parts_of_a_run_add_up() {
        let (mut one, mut other) = (Samples::default(), Samples::default());
        one.add(Measured::MemoryHost, Amount::kibibytes(12.0));
        other.add(Measured::MemoryHost, Amount::kibibytes(14.0));
        other.add(Measured::Mass, Duration::from_millis(2));
        one.extend(other);
        let figures = one.figures();
        let memory = &figures[&Measured::MemoryHost];
        assert_eq!((memory.n, memory.unit, memory.p99), (2, Unit::Kibibytes, 14.0));
        assert_eq!(figures[&Measured::Mass].median, 2_000.0);
    }

    #[test]
    fn every_figure_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = Measured::ALL.iter().map(|what| what.name()).collect();
        assert_eq!(names.len(), Measured::ALL.len());
    }
}
