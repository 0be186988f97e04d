//! What memory there is in use, as the kernel counts it.

use std::fs;

use crate::failure::{During, Result};

/// KiB at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Memory {
    /// Slab and per-processor memory of the whole kernel: a network namespace is little else.
    pub kernel: f64,
    /// Of one process, what it shares with others counted by its part (proc_pid_smaps(5), Pss).
    pub process: f64,
}

impl Memory {
    /// With a process beside the kernel.
    ///
    /// # Errors
    /// When the process may not be looked at.
    pub fn with(process: u32) -> Result<Self> {
        let path = format!("/proc/{process}/smaps_rollup");
        let rollup = fs::read_to_string(&path).during(&format!("read {path}"))?;
        Ok(Self {
            process: sum(&rollup, &["Pss"])
                .ok_or("no Pss")
                .during("read the host's memory")?,
            kernel: kernel()?,
        })
    }

    /// How much more it is than it was, shared by so many.
    pub fn for_each(self, before: Self, many: f64) -> Self {
        Self {
            kernel: (self.kernel - before.kernel) / many,
            process: (self.process - before.process) / many,
        }
    }
}

/// That of the kernel alone.
///
/// # Errors
/// When it does not say.
pub fn kernel() -> Result<f64> {
    let info = fs::read_to_string("/proc/meminfo").during("read /proc/meminfo")?;
    sum(&info, &["Slab", "Percpu"])
        .ok_or("no Slab or no Percpu")
        .during("read the kernel's memory")
}

/// The sum of lines as `Slab:   123 kB`; none when one is missing.
fn sum(text: &str, keys: &[&str]) -> Option<f64> {
    keys.iter().map(|key| value(text, key)).sum()
}

fn value(text: &str, key: &str) -> Option<f64> {
    let rest = text
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    rest.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_by_their_whole_key_and_a_missing_one_is_noticed() {
        let info = "SlabOther:  9 kB\nSlab:      100 kB\nPercpu:   20 kB\nHugePages_Total:  3\n";
        let cases: [(&[&str], _); 4] = [
            (&["Slab"], Some(100.0)),
            (&["Slab", "Percpu"], Some(120.0)),
            (&["Slab", "Pss"], None),
            (&["HugePages_Total"], None),
        ];
        for (keys, expected) in cases {
            assert_eq!(sum(info, keys), expected, "{keys:?}");
        }
    }

    #[test]
    fn growth_is_shared_by_those_who_caused_it() {
        let at = |kernel, process| Memory { kernel, process };
        assert_eq!(at(1_500.0, 90.0).for_each(at(500.0, 40.0), 10.0), at(100.0, 5.0));
    }

    #[test]
    fn the_kernel_tells_of_itself_and_of_this_process() {
        let now = Memory::with(std::process::id()).unwrap();
        assert!(now.kernel > 0.0 && now.process > 0.0, "{now:?}");
    }
}
