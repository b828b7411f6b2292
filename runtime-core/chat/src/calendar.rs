//! `strftime_now`: the date as templates ask for it, in UTC.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] =
    ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];
/// The longest format that is read.
const MAX_FORMAT: usize = 256;
/// A year has at least so many days; the last day that is written is that of year 9999.
const LAST_DAY: u64 = 2_932_896;

/// A day and a time of that day.
#[derive(Debug, Clone, Copy)]
struct Moment {
    year: u64,
    month: u64,
    day: u64,
    of_year: u64,
    weekday: u64,
    second: u64,
}

/// `strftime(format)` of `now`; what is not known is kept as it is.
pub(crate) fn strftime(now: SystemTime, format: &str) -> String {
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let moment = Moment::new(seconds);
    let mut out = String::new();
    let mut characters = format.chars().take(MAX_FORMAT);
    while let Some(character) = characters.next() {
        if character != '%' {
            out.push(character);
            continue;
        }
        match characters.next() {
            Some('-') => {
                if let Some(code) = characters.next() {
                    let field = moment.field(code);
                    let short = field.trim_start_matches('0');
                    out.push_str(if short.is_empty() { "0" } else { short });
                }
            }
            Some(code) => out.push_str(&moment.field(code)),
            None => out.push('%'),
        }
    }
    out
}

impl Moment {
    /// From seconds since 1970, by counting days from a year that starts in March.
    #[expect(clippy::arithmetic_side_effects, reason = "days are bounded by `LAST_DAY`")]
    fn new(seconds: u64) -> Self {
        let days = (seconds / 86_400).min(LAST_DAY);
        let shifted = days + 719_468;
        let (era, of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_march_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * of_march_year + 2) / 153;
        let day = of_march_year - (153 * march_month + 2) / 5 + 1;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        let year = year_of_era + era * 400 + u64::from(month <= 2);
        let leap =
            year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
        let start = before.get(usize::try_from(month - 1).unwrap_or(0)).copied().unwrap_or(0);
        let of_year = start + day + u64::from(leap && month > 2);
        Self { year, month, day, of_year, weekday: days % 7, second: seconds % 86_400 }
    }

    fn field(&self, code: char) -> String {
        let hour = self.second / 3600;
        let of_half = match hour % 12 {
            0 => 12,
            other => other,
        };
        let name = |names: &[&'static str], index: u64| {
            usize::try_from(index).ok().and_then(|index| names.get(index).copied()).unwrap_or("")
        };
        let month = name(&MONTHS, self.month.saturating_sub(1));
        let day = name(&DAYS, self.weekday);
        let mut out = String::new();
        let _ = match code {
            'Y' => write!(out, "{}", self.year),
            'y' => write!(out, "{:02}", self.year % 100),
            'm' => write!(out, "{:02}", self.month),
            'd' => write!(out, "{:02}", self.day),
            'e' => write!(out, "{:2}", self.day),
            'j' => write!(out, "{:03}", self.of_year),
            'B' => write!(out, "{month}"),
            'b' | 'h' => write!(out, "{}", month.get(..3).unwrap_or(month)),
            'A' => write!(out, "{day}"),
            'a' => write!(out, "{}", day.get(..3).unwrap_or(day)),
            'H' => write!(out, "{hour:02}"),
            'I' => write!(out, "{of_half:02}"),
            'p' => write!(out, "{}", if hour < 12 { "AM" } else { "PM" }),
            'M' => write!(out, "{:02}", self.second / 60 % 60),
            'S' => write!(out, "{:02}", self.second % 60),
            'F' => write!(out, "{}-{:02}-{:02}", self.year, self.month, self.day),
            'T' => {
                write!(out, "{hour:02}:{:02}:{:02}", self.second / 60 % 60, self.second % 60)
            }
            '%' => write!(out, "%"),
            other => write!(out, "%{other}"),
        };
        out
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let text = |seconds, format| strftime(UNIX_EPOCH + Duration::from_secs(seconds), format);
        assert_eq!(text(0, "%A, %d %B %Y %H:%M:%S %j"), "Thursday, 01 January 1970 00:00:00 001");
        assert_eq!(text(951_782_399, "%a %b %e %F %T"), "Mon Feb 28 2000-02-28 23:59:59");
        assert_eq!(text(951_782_400, "%Y-%m-%d %j %p %I"), "2000-02-29 060 AM 12");
        assert_eq!(text(1_735_689_600, "%-d %-m %y%%"), "1 1 25%");
        assert_eq!(text(400_000_000_000, "%Y"), "9999");
    }
}
