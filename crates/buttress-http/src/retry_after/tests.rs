use http::HeaderValue;

use super::*;

fn read(value: &[u8]) -> Option<Duration> {
    let mut headers = HeaderMap::new();
    headers.insert(
        DATE,
        HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT"),
    );
    headers.insert(RETRY_AFTER, HeaderValue::from_bytes(value).unwrap());
    retry_after(&headers)
}

#[test]
fn seconds_and_dates_are_read_and_nonsense_is_ignored() {
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let rows: &[(&str, Option<Duration>)] = &[
        ("0", seconds(0)),
        ("1", seconds(1)),
        ("120", seconds(120)),
        ("0007", seconds(7)),
        (" 5 ", seconds(5)),
        ("31536000", seconds(31_536_000)),
        // Longer than a year.
        ("31536001", None),
        ("18446744073709551615", None),
        ("99999999999999999999", None),
        // Neither whole seconds nor a date.
        ("", None),
        ("-1", None),
        ("+1", None),
        ("1.5", None),
        ("1e9", None),
        ("NaN", None),
        ("5s", None),
        ("0x10", None),
        ("1, 2", None),
        ("soon", None),
        // The three forms of a date.
        ("Sun, 06 Nov 1994 08:50:37 GMT", seconds(60)),
        ("Sunday, 06-Nov-94 08:50:37 GMT", seconds(60)),
        ("Sun Nov  6 08:50:37 1994", seconds(60)),
        // Now, and past.
        ("Sun, 06 Nov 1994 08:49:37 GMT", seconds(0)),
        ("Sat, 05 Nov 1994 08:49:37 GMT", seconds(0)),
        ("Thu, 01 Jan 1970 00:00:00 GMT", seconds(0)),
        // More than a year ahead, no weekday of that date, no date.
        ("Fri, 31 Dec 9999 23:59:59 GMT", None),
        ("Mon, 06 Nov 1994 08:50:37 GMT", None),
        ("Sun, 06 Nov 1994", None),
        ("Sun, 99 Nov 1994 08:50:37 GMT", None),
    ];
    for (value, expected) in rows {
        assert_eq!(read(value.as_bytes()), *expected, "{value:?}");
    }
    assert_eq!(read(b"\xff"), None);
    assert_eq!(retry_after(&HeaderMap::new()), None);
}

fn headers<const N: usize>(fields: [(&'static str, &'static str); N]) -> HeaderMap {
    let fields = fields.map(|(name, value)| {
        let name = HeaderName::from_static(name);
        (name, HeaderValue::from_static(value))
    });
    HeaderMap::from_iter(fields)
}

#[test]
fn milliseconds_are_read_first_and_nonsense_is_ignored() {
    let rows: &[(&str, Option<u64>)] = &[
        ("0", Some(0)),
        ("1500", Some(1_500_000)),
        ("1500.25", Some(1_500_250)),
        (".5", Some(500)),
        ("5.", Some(5_000)),
        (" 20 ", Some(20_000)),
        ("31536000000", Some(31_536_000_000_000)),
        // Longer than a year.
        ("31536000001", None),
        ("99999999999999999999999999", None),
        // No number, or none that a service could mean.
        ("", None),
        (".", None),
        ("1.2.3", None),
        ("-1", None),
        ("+1", None),
        ("1e3", None),
        ("inf", None),
        ("infinity", None),
        ("NaN", None),
        ("1_000", None),
        ("0x10", None),
        ("20ms", None),
    ];
    for (value, microseconds) in rows {
        let expected = microseconds.map(Duration::from_micros);
        let both = headers([("retry-after-ms", value), ("retry-after", "9")]);
        let nine = Some(Duration::from_secs(9));
        assert_eq!(retry_after(&both), expected.or(nine), "{value:?}");
        let alone = headers([("retry-after-ms", value)]);
        assert_eq!(retry_after(&alone), expected, "{value:?}");
    }
}

#[test]
fn a_service_says_true_or_false_or_nothing() {
    let rows = [
        ("true", Some(true)),
        ("True", Some(true)),
        (" false ", Some(false)),
        ("FALSE", Some(false)),
        ("", None),
        ("1", None),
        ("yes", None),
        ("true, false", None),
    ];
    for (value, expected) in rows {
        let headers = headers([("x-should-retry", value)]);
        assert_eq!(should_retry(&headers), expected, "{value:?}");
    }
    assert_eq!(should_retry(&HeaderMap::new()), None);
}

#[test]
fn without_a_date_of_its_own_the_answer_is_as_old_as_the_clock_says() {
    let minute = Duration::from_secs(60);
    let at = httpdate::fmt_http_date(SystemTime::now() + minute);
    for sent in [None, Some("no date")] {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, at.parse().unwrap());
        if let Some(sent) = sent {
            headers.insert(DATE, HeaderValue::from_static(sent));
        }
        let wait = retry_after(&headers).unwrap();
        assert!(wait <= minute && wait > minute / 2, "{wait:?}");
    }
}
