//! How a rate is written.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::Rate;

/// The units of time, the longest first, in nanoseconds.
const UNITS: [(&str, u64); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("min", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1000),
    ("ns", 1),
];

/// Reads a rate; says nothing of whether it makes sense.
pub(super) fn rate(text: &str) -> Option<Rate> {
    let mut words = text.split_ascii_whitespace();
    let (units, period) = words.next()?.split_once('/')?;
    let rate = Rate::new(whole(units)?, duration(period)?);
    match (words.next(), words.next(), words.next()) {
        (None, ..) => Some(rate),
        (Some("burst"), Some(burst), None) => Some(rate.burst(whole(burst)?)),
        _ => None,
    }
}

/// Digits and nothing else: std's parser takes a sign, too.
fn whole<T: FromStr>(text: &str) -> Option<T> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

fn duration(text: &str) -> Option<Duration> {
    let letters = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let count = text.strip_suffix(letters)?;
    let count: u64 = if count.is_empty() { 1 } else { whole(count)? };
    let (_, nanos) = UNITS.iter().find(|(unit, _)| *unit == letters)?;
    let nanos = nanos.checked_mul(count)?;
    Some(Duration::from_nanos(nanos))
}

/// A time as a rate is written with it: in the longest unit that says it whole.
pub(super) struct Period(pub(super) Duration);

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        let whole = |(_, unit): &&(&str, u64)| nanos > 0 && nanos.is_multiple_of(u128::from(*unit));
        match UNITS.iter().find(whole) {
            Some((name, unit)) if nanos == u128::from(*unit) => f.write_str(name),
            Some((name, unit)) => write!(f, "{}{name}", nanos / u128::from(*unit)),
            None => f.write_str("0s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_rate_reads_as_it_means() {
        let minute = Duration::from_secs(60);
        for (text, rate) in [
            ("100/s", Rate::per_second(100)),
            ("1000/60s", Rate::per_minute(1000)),
            ("5/min burst 20", Rate::per_minute(5).burst(20)),
            ("7/h", Rate::per_hour(7)),
            ("1/250ms", Rate::new(1, Duration::from_millis(250))),
            ("3/15min", Rate::new(3, 15 * minute)),
            ("  9/d   burst\t1 ", Rate::new(9, 24 * 60 * minute).burst(1)),
        ] {
            assert_eq!(text.parse(), Ok(rate), "{text}");
        }
        assert_eq!(Rate::per_minute(1000).to_string(), "1000/min");
        assert_eq!(Rate::new(2, Duration::from_secs(90)).to_string(), "2/90s");
        // Never one in two seconds.
        assert_eq!(Rate::per_second(2).interval(), Duration::from_millis(500));
    }

    #[test]
    fn what_is_no_rate_gets_one_clear_error() {
        for text in [
            "",
            "/",
            "s",
            "100",
            "100/",
            "/s",
            "-1/s",
            "+1/s",
            "1.5/s",
            "1/s burst",
            "1/s burst x",
            "1/s bursts 2",
            "1/s burst 2 3",
            "5/s burst 0",
            "0/s",
            "1/0s",
            "1/week",
            "4294967296/s",
            "1/s2",
            "1/99999999999d",
            "2/ns",
            "1/367d",
            "١/s",
        ] {
            let error = text.parse::<Rate>().unwrap_err();
            assert_eq!(error.setting(), "rate", "{text}");
        }
        let long = "x".repeat(1_000_000).parse::<Rate>().unwrap_err();
        assert!(long.to_string().len() < 200, "{long}");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(units: u32, per in 0_u64..1 << 56, burst: Option<u32>) {
            let rate = Rate { units, per: Duration::from_nanos(per), burst };
            let read = rate.to_string().parse::<Rate>();
            match rate.validate() {
                Ok(()) => prop_assert_eq!(read, Ok(rate)),
                Err(_) => prop_assert!(read.is_err()),
            }
        }

        #[test]
        fn nothing_panics(text: String) {
            let _ = text.parse::<Rate>();
        }

        #[test]
        fn the_interval_never_exceeds_the_rate(units in 1_u32.., per in 1_u64..1 << 60) {
            let rate = Rate::new(units, Duration::from_nanos(per));
            let interval = rate.interval().as_nanos();
            prop_assert!(interval * u128::from(units) >= u128::from(per));
            prop_assert!((interval - 1) * u128::from(units) < u128::from(per));
        }
    }
}
