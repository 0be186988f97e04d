//! The parts of a run, one after another: within each its subjects take turns, and none has the namespaces of another's beside it.

use std::time::Duration;

use jackfield_lab::Lab;

use crate::{
    api, call, crowd,
    failure::{During, Result},
    figure::{Measured, Samples},
    floor, kernel, mass, naive, names, nth, publish, runtimes, service,
    subject::{self, Subject},
};

/// How often and how apart.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Rounds that count.
    pub rounds: usize,
    /// Before each subject.
    pub pause: Duration,
}

/// What can be run alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What speaks to the kernel itself; a piece of [`Part::Host`].
    Kernel,
    /// A host's joins, leaves and drivers, beside the kernel's.
    Host,
    /// Published ports.
    Ports,
    /// Services.
    Services,
    /// Names.
    Names,
    /// Joins on small and large networks.
    Scale,
    /// A thousand sandboxes.
    Mass,
    /// What runtimes start, and the kinds of drivers; with other programs beside them.
    Runtimes,
}

impl Part {
    /// All that needs no other program, that with the fewest namespaces first.
    pub const WHOLE: [Self; 6] = [
        Self::Host,
        Self::Ports,
        Self::Services,
        Self::Names,
        Self::Scale,
        Self::Mass,
    ];

    /// Runs it.
    ///
    /// # Errors
    /// The first failure of any subject.
    pub fn run(self, pace: Pace) -> Result<Samples> {
        crowd::await_departures()?;
        match self {
            Self::Kernel => pace.interleave(by_netlink()?),
            Self::Host => beside_a_host(pace),
            Self::Ports => ports(pace),
            Self::Services => services(pace),
            Self::Names => names(pace),
            Self::Scale => scale(pace),
            Self::Mass => masses(pace),
            Self::Runtimes => runtimes::run(pace),
        }
    }
}

impl Pace {
    /// Has subjects take turns.
    ///
    /// # Errors
    /// The first failure of any.
    pub fn interleave(self, mut subjects: Vec<Box<dyn Subject + '_>>) -> Result<Samples> {
        subject::interleave(&mut subjects, self.rounds, self.pause)
    }
}

/// A realm.
///
/// # Errors
/// When it cannot be made.
pub fn lab(name: &str) -> Result<Lab> {
    Lab::new(name).during("make a realm")
}

/// Nobody needs to look into these realms.
///
/// # Errors
/// None that is known.
pub fn end(labs: &[&Lab]) -> Result<()> {
    labs.iter().try_for_each(|lab| lab.passed()).during("end")
}

fn by_netlink<'a>() -> Result<Vec<Box<dyn Subject + 'a>>> {
    Ok(vec![
        Box::new(floor::Floor::new()?),
        Box::new(kernel::KernelCrate::new()?),
        Box::new(naive::Naive::new()?),
    ])
}

fn beside_a_host(pace: Pace) -> Result<Samples> {
    let lab = lab("bench")?;
    let host = api::host(&lab)?;
    let mut subjects = by_netlink()?;
    subjects.push(Box::new(api::Join::built_in(&lab)?));
    subjects.push(Box::new(api::Join::component(&lab)?));
    subjects.push(Box::new(api::Cached::new(&lab)?));
    subjects.push(Box::new(api::Cold::new(&lab)?));
    subjects.push(Box::new(call::Call::new()?));
    let samples = pace.interleave(subjects)?;
    host.stop().during("stop the host")?;
    end(&[&lab])?;
    Ok(samples)
}

/// The first port of a host, and the ten-thousandth of another.
fn ports(pace: Pace) -> Result<Samples> {
    let (empty, full) = (lab("bench-ports-first")?, lab("bench-ports-full")?);
    let samples = pace.interleave(vec![
        Box::new(publish::Publish::beside(&empty, 0, Measured::PublishFirst)?),
        Box::new(publish::Publish::beside(&full, 9_999, Measured::PublishTenThousandth)?),
    ])?;
    end(&[&empty, &full])?;
    Ok(samples)
}

/// A service that follows its endpoints, few and many.
fn services(pace: Pace) -> Result<Samples> {
    pace.interleave(vec![
        Box::new(service::Service::of("bench-service", 1, Measured::ServiceFirst)?),
        Box::new(service::Service::of("bench-service-200", 200, Measured::ServiceUpdate)?),
    ])
}

/// Names of a host, and of dnsmasq where there is one.
fn names(pace: Pace) -> Result<Samples> {
    let (host, dnsmasq) = (lab("bench-names")?, lab("bench-dnsmasq")?);
    let mut subjects: Vec<Box<dyn Subject + '_>> = vec![Box::new(names::Answers::of_host(&host)?)];
    if let Some(answers) = names::Answers::of_dnsmasq(&dnsmasq)? {
        subjects.push(Box::new(answers));
    }
    let samples = pace.interleave(subjects)?;
    end(&[&host, &dnsmasq])?;
    Ok(samples)
}

/// The tenth endpoint of a host and the nine-hundredth of another, each beside its floor.
fn scale(pace: Pace) -> Result<Samples> {
    let (small, large) = (lab("bench-small")?, lab("bench-large")?);
    let samples = pace.interleave(vec![
        Box::new(floor::Floor::beside(9, Measured::JoinTenthFloor)?),
        Box::new(nth::Nth::beside(&small, 9, Measured::JoinTenth)?),
        Box::new(floor::Floor::beside(899, Measured::JoinNineHundredthFloor)?),
        Box::new(nth::Nth::beside(&large, 899, Measured::JoinNineHundredth)?),
    ])?;
    end(&[&small, &large])?;
    Ok(samples)
}

fn masses(pace: Pace) -> Result<Samples> {
    let lab = lab("bench-mass")?;
    let samples = pace.interleave(vec![
        Box::new(mass::Floor::new()?),
        Box::new(mass::Sandboxes::new(&lab)),
    ])?;
    end(&[&lab])?;
    Ok(samples)
}
