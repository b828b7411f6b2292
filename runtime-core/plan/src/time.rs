//! Times as whole nanoseconds with three significant digits.
//!
//! Whole numbers make sums independent of their order, so a cost that was updated move by move
//! equals the one computed afresh, and plans repeat byte for byte. Three digits are all that a
//! measurement holds: noise below them must not move nodes.

/// The longest time that is believed: one hour.
pub(crate) const LONGEST_NS: u64 = 3_600_000_000_000;

/// The nearest number with three significant digits.
#[must_use]
pub fn quantise(ns: u64) -> u64 {
    let mut unit = 1;
    while ns / unit >= 1000 {
        unit *= 10;
    }
    (ns / unit + u64::from(ns % unit >= unit.div_ceil(2))) * unit
}

/// A time with three digits and its unit, for people.
#[must_use]
pub fn show_ns(ns: u64) -> String {
    let (unit, name) = match ns {
        0..1_000 => return format!("{ns} ns"),
        1_000..1_000_000 => (1e3, "us"),
        1_000_000..1_000_000_000 => (1e6, "ms"),
        _ => (1e9, "s"),
    };
    let value = ns as f64 / unit;
    let decimals = match value {
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$} {name}")
}

#[cfg(test)]
mod tests {
    use super::{quantise, show_ns};

    #[test]
    fn three_digits_survive() {
        let cases = [(0, 0), (7, 7), (999, 999), (1_004, 1_000), (1_005, 1_010), (12_350, 12_400)];
        for (given, kept) in cases {
            assert_eq!(quantise(given), kept, "{given}");
        }
        assert_eq!(quantise(999_999), 1_000_000);
    }

    #[test]
    fn people_see_a_unit() {
        assert_eq!(show_ns(999), "999 ns");
        assert_eq!(show_ns(3_100_000), "3.10 ms");
        assert_eq!(show_ns(45_000_000_000), "45.0 s");
    }
}
