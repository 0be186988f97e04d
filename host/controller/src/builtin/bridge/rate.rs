//! Bandwidth as people write it: `10mbit`, `10mbit/64k`, `125000`.

use jackfield_kernel::plan::Rate;

/// What a link sends in this time it may send at once, where no burst is given.
const BURST_MS: u64 = 10;
/// But no less than this, in bytes: a few packets whose segmentation was put off.
const LEAST_BURST: u64 = 64 << 10;

/// Bits a second, with a unit as tc's or none, and maybe a slash and the bytes that may pass at once.
pub fn read(text: &str) -> Option<Rate> {
    let (rate, burst) = text.split_once('/').map_or((text, None), |(r, b)| (r, Some(b)));
    let bytes_per_second = scaled(
        rate,
        &[
            ("gbit", 1_000_000_000),
            ("mbit", 1_000_000),
            ("kbit", 1_000),
            ("bit", 1),
        ],
    )? / 8;
    let burst = match burst {
        Some(burst) => scaled(burst, &[("m", 1 << 20), ("k", 1 << 10)])?,
        None => (bytes_per_second.saturating_mul(BURST_MS) / 1000).max(LEAST_BURST),
    };
    let burst_bytes = u32::try_from(burst).ok().filter(|burst| *burst > 0)?;
    (bytes_per_second > 0).then_some(Rate {
        bytes_per_second,
        burst_bytes,
    })
}

/// A number with one of these units, or none.
fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let unit = units
        .iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)));
    let (number, factor) = unit.unwrap_or((text, 1));
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_with_and_without_unit_and_burst() {
        for (text, expected) in [
            ("10mbit", Some((1_250_000, 65_536))),
            ("1gbit", Some((125_000_000, 1_250_000))),
            ("8kbit/2k", Some((1_000, 2_048))),
            ("8000/1m", Some((1_000, 1 << 20))),
            ("800bit/5", Some((100, 5))),
            ("0", None),
            ("7bit", None),
            ("10mbit/0", None),
            ("10mbit/5g", None),
            ("-1", None),
            ("mbit", None),
            ("10 mbit", None),
            ("99999999999999gbit", None),
            ("10mbit/9999999m", None),
        ] {
            assert_eq!(
                read(text).map(|r| (r.bytes_per_second, r.burst_bytes)),
                expected,
                "{text}"
            );
        }
    }
}
