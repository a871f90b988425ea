use buttress_core::{Adopt, Chosen, Deadline, Mark, Plain, Reclassify, RequestContext};
use http::Request;
use proptest::prelude::*;
use tokio::time::Instant;

use super::*;
use crate::{Grpc, Http, HttpExt};

fn of(name: &HeaderName, values: &[&[u8]]) -> HeaderMap {
    let value = |value: &&[u8]| HeaderValue::from_bytes(value).unwrap();
    values
        .iter()
        .map(|bytes| (name.clone(), value(bytes)))
        .collect()
}

fn read(value: &str) -> Option<Duration> {
    grpc_timeout(&of(&GRPC_TIMEOUT_HEADER, &[value.as_bytes()]))
}

#[test]
fn grpc_timeout_is_one_to_eight_digits_and_a_unit() {
    let hour = 3600;
    for (value, timeout) in [
        ("1H", Duration::from_secs(hour)),
        ("2M", Duration::from_secs(120)),
        ("3S", Duration::from_secs(3)),
        ("4m", Duration::from_millis(4)),
        ("5u", Duration::from_micros(5)),
        ("6n", Duration::from_nanos(6)),
        ("00000007S", Duration::from_secs(7)),
        ("0S", Duration::ZERO),
        ("99999999H", Duration::from_secs(99_999_999 * hour)),
    ] {
        assert_eq!(read(value), Some(timeout), "{value}");
    }
    for value in [
        "",
        "S",
        "1",
        "1s",
        "1h",
        "1 S",
        " 1S",
        "1S ",
        "+1S",
        "-1S",
        "1.5S",
        "123456789n",
        "000000001S",
        "1SS",
        "1m1u",
        "S1",
        "0x1S",
        "\u{661}S",
        "1\u{b5}",
    ] {
        assert_eq!(read(value), None, "{value:?}");
    }
    assert_eq!(grpc_timeout(&HeaderMap::new()), None);
}

#[test]
fn request_timeout_is_a_number_of_milliseconds() {
    for (value, timeout) in [
        ("0", Some(Duration::ZERO)),
        ("1500", Some(Duration::from_millis(1500))),
        (
            "18446744073709551615",
            Some(Duration::from_millis(u64::MAX)),
        ),
        ("18446744073709551616", None),
        ("", None),
        ("+1", None),
        ("-1", None),
        ("1.5", None),
        ("1s", None),
        (" 1", None),
        ("\u{661}", None),
    ] {
        let headers = of(&TIMEOUT_HEADER, &[value.as_bytes()]);
        assert_eq!(request_timeout(&headers), timeout, "{value:?}");
    }
    assert_eq!(request_timeout(&HeaderMap::new()), None);
}

#[test]
fn of_several_values_the_shortest_counts_and_what_is_malformed_does_not() {
    let headers = of(&GRPC_TIMEOUT_HEADER, &[b"2S", b"forever", b"1500m", b"3S"]);
    assert_eq!(grpc_timeout(&headers), Some(Duration::from_millis(1500)));
    let headers = of(&TIMEOUT_HEADER, &[b"2000", b"soon", b"1500"]);
    assert_eq!(request_timeout(&headers), Some(Duration::from_millis(1500)));
}

#[test]
fn what_is_written_is_as_exact_as_there_is_room_for() {
    for (remaining, value) in [
        (Duration::ZERO, "1n"),
        (Duration::from_nanos(1), "1n"),
        (Duration::from_nanos(99_999_999), "99999999n"),
        (Duration::from_nanos(100_000_999), "100000u"),
        (Duration::from_millis(250), "250000u"),
        (Duration::from_secs(30), "30000000u"),
        (Duration::from_secs(100), "100000m"),
        (Duration::from_secs(100_000), "100000S"),
        (Duration::from_secs(100_000_000), "1666666M"),
        (Duration::MAX, "99999999H"),
    ] {
        assert_eq!(as_grpc(remaining), value, "{remaining:?}");
    }
    for (remaining, value) in [
        (Duration::ZERO, 1),
        (Duration::from_micros(300), 1),
        (Duration::from_micros(1999), 1),
        (Duration::from_secs(30), 30_000),
        (Duration::MAX, u64::MAX),
    ] {
        assert_eq!(as_milliseconds(remaining), value, "{remaining:?}");
    }
}

/// Of every size: a number of nanoseconds alone is nearly always longer than a century.
fn durations() -> impl Strategy<Value = Duration> {
    (
        any::<u64>(),
        0..u64::BITS,
        0..1_000_000_000_u32,
        any::<bool>(),
    )
        .prop_map(|(bits, shift, nanos, whole)| {
            Duration::new(bits >> shift, if whole { 0 } else { nanos }).max(Duration::from_nanos(1))
        })
}

proptest! {
    #[test]
    fn what_is_read_is_never_longer_than_what_was_left_and_hardly_shorter(left in durations()) {
        let mut headers = HeaderMap::new();
        announce_grpc(&mut headers, left);
        let said = grpc_timeout(&headers).unwrap();
        prop_assert!(said <= left);
        prop_assert!(said > Duration::ZERO);
        // A unit is left only for one that has three orders of magnitude less of precision than eight digits.
        let limit = Duration::from_secs(99_999_999 * 3600);
        prop_assert!(said >= limit || said.as_secs_f64() >= left.as_secs_f64() * (1.0 - 1e-5));

        let mut headers = HeaderMap::new();
        announce_http(&mut headers, left);
        let said = request_timeout(&headers).unwrap();
        prop_assert!(said <= left.max(Duration::from_millis(1)));
        prop_assert!(said >= Duration::from_millis(1));
        prop_assert!(left.saturating_sub(said) < Duration::from_millis(1) || said.as_millis() == u128::from(u64::MAX));
    }

    #[test]
    fn any_bytes_are_read_or_ignored(value in prop::collection::vec(any::<u8>(), 0..12)) {
        let _ = (parse_grpc(&value), parse_milliseconds(&value));
    }

    #[test]
    fn what_is_read_is_what_the_grammar_says(digits in "[0-9]{1,8}", unit in 0..6_usize) {
        let (size, unit) = UNITS[unit];
        let nanos = digits.parse::<u128>().unwrap() * size;
        prop_assert_eq!(read(&format!("{digits}{unit}")).unwrap().as_nanos(), nanos);
    }
}

// === Who writes ===

const REMAINING: Duration = Duration::from_secs(2);

fn stamped(protocol: &impl RequestContext<Request<()>>, headers: HeaderMap) -> Request<()> {
    let now = Instant::now();
    let deadline = Deadline::after(now, REMAINING);
    let mut request = Request::new(());
    *request.headers_mut() = headers;
    assert!(protocol.carries_deadline());
    protocol.stamp(
        &mut request,
        Mark::Deadline {
            deadline,
            now,
            announce: true,
        },
    );
    assert_eq!(protocol.deadline(&request), Some(deadline));
    assert_eq!(request.extensions().get::<Mark>(), None);
    request
}

#[test]
fn a_client_tells_the_next_service_and_never_grants_more_than_was_said() {
    for (there, written) in [
        (None, "2000000u"),
        (Some("10S"), "2000000u"),
        (Some("1S"), "1S"),
        (Some("2S"), "2S"),
        (Some("0S"), "0S"),
        (Some("for ever"), "2000000u"),
    ] {
        let there = there.map(|value| of(&GRPC_TIMEOUT_HEADER, &[value.as_bytes()]));
        let request = stamped(&Grpc::new(), there.unwrap_or_default());
        assert_eq!(request.headers()[GRPC_TIMEOUT_HEADER], written);
        assert_eq!(request.headers().len(), 1);
    }
    for (there, written) in [
        (None, "2000"),
        (Some("10000"), "2000"),
        (Some("1000"), "1000"),
        (Some("2000"), "2000"),
        (Some("0"), "0"),
        (Some("10s"), "2000"),
    ] {
        let there = there.map(|value| of(&TIMEOUT_HEADER, &[value.as_bytes()]));
        let request = stamped(&Http::new(), there.unwrap_or_default());
        assert_eq!(request.headers()[TIMEOUT_HEADER], written);
        assert_eq!(request.headers().len(), 1);
    }
    let two = of(&GRPC_TIMEOUT_HEADER, &[b"10S", b"11S"]);
    let request = stamped(&Grpc::new(), two);
    assert_eq!(request.headers().len(), 1);
}

fn writes(protocol: &impl RequestContext<Request<()>>) -> bool {
    !stamped(protocol, HeaderMap::new()).headers().is_empty()
}

#[test]
fn only_a_client_writes_headers_whatever_was_chosen_beside() {
    assert!(writes(&Plain::new().http()) && writes(&Plain::new().grpc()));
    assert!(writes(&<Http>::default()) && writes(&<Grpc>::default()));
    assert!(writes(&Plain::new().http().until_headers()));
    assert!(writes(&Plain::new().until_headers().grpc()));
    assert!(writes(&Http::new().with(Chosen::new(()))));

    let (http, grpc) = (Http::new().serving(), Grpc::new().serving());
    assert!(!writes(&Plain::new().adopt(http)) && !writes(&Plain::new().adopt(grpc)));
    assert!(!writes(&http.until_headers()) && !writes(&grpc.until_headers()));
    assert!(!writes(&Plain::new().until_headers().adopt(http)));
    assert!(!writes(&Plain::new().until_headers().adopt(grpc)));
    let chosen = || Plain::new().with(Chosen::new(()));
    assert!(!writes(&chosen().adopt(http)) && !writes(&chosen().adopt(grpc)));
    let chosen = chosen().until_headers();
    assert!(!writes(&chosen.adopt(http)) && !writes(&chosen.adopt(grpc)));
    // The first choice stays, and its side with it.
    assert!(!writes(&http.http()) && writes(&Http::new().adopt(http)));
    assert!(!writes(&grpc.grpc()) && writes(&Grpc::new().adopt(grpc)));
}

#[test]
fn a_mark_never_puts_a_deadline_off() {
    let soon = Deadline::at(Instant::now());
    let mut request = Request::new(());
    request.extensions_mut().insert(soon);
    let deadline = Deadline::after(soon.instant(), REMAINING);
    let now = soon.instant();
    Http::new().stamp(
        &mut request,
        Mark::Deadline {
            deadline,
            now,
            announce: true,
        },
    );
    assert_eq!(request.extensions().get(), Some(&soon));
}
