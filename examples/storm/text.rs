//! Figures as people read them.

use std::time::Duration;

use crate::attempts::Attempts;
use crate::figures::Figures;

/// The share of calls that were served, never rounded up: 100 % means all of them.
pub fn share(figures: &Figures) -> String {
    percent(figures.served, figures.calls)
}

/// What `part` is of `whole`, never rounded up.
pub fn percent(part: usize, whole: usize) -> String {
    let hundredths = match whole {
        0 => return "–".into(),
        _ => part * 10_000 / whole,
    };
    match hundredths {
        10_000 => "100 %".into(),
        9_900.. => format!("{}.{:02} %", hundredths / 100, hundredths % 100),
        _ => format!("{}.{} %", hundredths / 100, hundredths % 100 / 10),
    }
}

/// Attempts for each call that was sent, never rounded down: 1.00 means no retry at all.
pub fn amplification(attempts: Attempts) -> String {
    attempts.hundredths().map_or_else(|| "–".into(), hundredths)
}

/// A number of hundredths.
pub fn hundredths(number: usize) -> String {
    format!("{}.{:02}", number / 100, number % 100)
}

/// A duration with two or three digits and the unit that fits it.
pub fn duration(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1_000.0;
    match millis {
        _ if millis < 0.995 => format!("{millis:.2} ms"),
        _ if millis < 9.95 => format!("{millis:.1} ms"),
        _ if millis < 999.5 => format!("{millis:.0} ms"),
        _ => format!("{:.2} s", millis / 1_000.0),
    }
}

/// A duration, or a dash where there is none.
pub fn duration_or_none(time: Option<Duration>) -> String {
    time.map_or_else(|| "–".into(), duration)
}

/// How long something took to come, if it came; bins of half a second tell no more than a tenth.
pub fn after(time: Option<Duration>) -> String {
    time.map_or_else(
        || "never".into(),
        |time| format!("after {:.1} s", time.as_secs_f64()),
    )
}

/// How long something took to come, if it came, as exactly as it was measured.
pub fn after_exactly(time: Option<Duration>) -> String {
    time.map_or_else(
        || "never".into(),
        |time| format!("after {}", duration(time)),
    )
}

/// A count with a thin gap between its thousands.
pub fn count(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}

/// A rate with as many decimals as it needs, two at most.
pub fn rate(per_second: f64) -> String {
    let digits = format!("{per_second:.2}");
    let digits = digits.trim_end_matches('0').trim_end_matches('.');
    format!("{digits}/s")
}

/// Text broken into lines of at most `width` characters, where its words allow it.
pub fn wrapped(text: &str, width: usize) -> String {
    let mut lines = String::new();
    let mut length = 0;
    for word in text.split(' ') {
        let word_length = word.chars().count();
        if length > 0 && length + 1 + word_length > width {
            lines.push('\n');
            length = 0;
        } else if length > 0 {
            lines.push(' ');
            length += 1;
        }
        lines.push_str(word);
        length += word_length;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share_of(served: usize, calls: usize) -> String {
        share(&Figures {
            calls,
            served,
            ..Figures::default()
        })
    }

    #[test]
    fn a_share_is_never_rounded_up() {
        assert_eq!(share_of(20_000, 20_000), "100 %");
        assert_eq!(share_of(19_999, 20_000), "99.99 %");
        assert_eq!(share_of(9_899, 10_000), "98.9 %");
        assert_eq!(share_of(1, 3), "33.3 %");
        assert_eq!(share_of(0, 3), "0.0 %");
        assert_eq!(share_of(0, 0), "–");
    }

    #[test]
    fn an_amplification_has_two_decimals_and_is_never_rounded_down() {
        let text = |first, all| amplification(Attempts { first, all });
        assert_eq!(text(20_000, 20_000), "1.00");
        assert_eq!(text(20_000, 20_001), "1.01");
        assert_eq!(text(3, 12), "4.00");
        assert_eq!(text(0, 0), "–");
    }

    #[test]
    fn durations_have_two_or_three_digits() {
        let text = |micros| duration(Duration::from_micros(micros));
        assert_eq!(text(340), "0.34 ms");
        assert_eq!(text(1_000), "1.0 ms");
        assert_eq!(text(9_960), "10 ms");
        assert_eq!(text(999_400), "999 ms");
        assert_eq!(text(999_600), "1.00 s");
        assert_eq!(text(10_000_000), "10.00 s");
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(count(999), "999");
        assert_eq!(count(16_000), "16\u{202f}000");
        assert_eq!(count(1_000_000), "1\u{202f}000\u{202f}000");
    }

    #[test]
    fn a_rate_has_the_decimals_it_needs() {
        assert_eq!(
            [6.0, 7.5, 0.15, 40.0, 14.0 / 60.0].map(rate),
            ["6/s", "7.5/s", "0.15/s", "40/s", "0.23/s"]
        );
    }

    #[test]
    fn lines_are_broken_between_words() {
        assert_eq!(wrapped("one two three", 7), "one two\nthree");
        assert_eq!(wrapped("one two", 80), "one two");
        assert_eq!(wrapped("indivisible", 4), "indivisible");
    }
}
