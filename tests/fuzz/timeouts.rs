//! How long a caller says that it will wait: `grpc-timeout` and `x-request-timeout`.

use std::time::Duration;

use buttress_http::{GRPC_TIMEOUT_HEADER, TIMEOUT_HEADER, grpc_timeout, request_timeout};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::mutation::Chance;

/// Lines, each the value of a header; all are tried as one header and as the other, together and alone.
pub(crate) fn target(data: &[u8]) {
    let lines: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
    let headers = |name: HeaderName, lines: &[&[u8]]| {
        let values = lines
            .iter()
            .filter_map(|line| HeaderValue::from_bytes(line).ok());
        values
            .map(|value| (name.clone(), value))
            .collect::<Vec<_>>()
    };
    let both = headers(GRPC_TIMEOUT_HEADER, &lines).into_iter();
    let both: HeaderMap = collect(both.chain(headers(TIMEOUT_HEADER, &lines)));
    let values = || {
        lines
            .iter()
            .filter(|line| HeaderValue::from_bytes(line).is_ok())
    };
    assert_eq!(
        grpc_timeout(&both),
        values().filter_map(|line| naive_grpc(line)).min()
    );
    assert_eq!(
        request_timeout(&both),
        values().filter_map(|line| naive_milliseconds(line)).min()
    );
    for line in &lines {
        let one = collect(headers(GRPC_TIMEOUT_HEADER, &[line]).into_iter());
        assert_eq!(request_timeout(&one), None, "the other's header");
        let wait = grpc_timeout(&one);
        assert!(wait.is_none_or(|wait| wait <= Duration::from_secs(99_999_999 * 3600)));
        let one = collect(headers(TIMEOUT_HEADER, &[line]).into_iter());
        assert_eq!(grpc_timeout(&one), None, "the other's header");
    }
}

/// Several values of one name stay several.
fn collect(fields: impl Iterator<Item = (HeaderName, HeaderValue)>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(name, value);
    }
    headers
}

/// One to eight digits and a unit, read in another way: digit by digit, in nanoseconds.
fn naive_grpc(value: &[u8]) -> Option<Duration> {
    if !(2..=9).contains(&value.len()) {
        return None;
    }
    let nanos: u128 = match value[value.len() - 1] {
        b'H' => 3600 * 1_000_000_000,
        b'M' => 60 * 1_000_000_000,
        b'S' => 1_000_000_000,
        b'm' => 1_000_000,
        b'u' => 1_000,
        b'n' => 1,
        _ => return None,
    };
    let amount = digits(&value[..value.len() - 1])? * nanos;
    Some(Duration::new(
        (amount / 1_000_000_000) as u64,
        (amount % 1_000_000_000) as u32,
    ))
}

fn naive_milliseconds(value: &[u8]) -> Option<Duration> {
    let amount = digits(value)?;
    u64::try_from(amount).ok().map(Duration::from_millis)
}

fn digits(text: &[u8]) -> Option<u128> {
    let mut amount: u128 = 0;
    for digit in text {
        if !digit.is_ascii_digit() {
            return None;
        }
        amount = amount
            .saturating_mul(10)
            .saturating_add(u128::from(digit - b'0'));
    }
    (!text.is_empty()).then_some(amount)
}

pub(crate) fn generate(chance: &mut Chance) -> Vec<u8> {
    let lines: Vec<_> = (0..=chance.below(3)).map(|_| value(chance)).collect();
    lines.join("\n").into_bytes()
}

fn value(chance: &mut Chance) -> String {
    let number = chance.u64() >> chance.below(64);
    let unit = chance.one_of(&[
        "H", "M", "S", "m", "u", "n", "", "", "s", "h", "ms", "\u{b5}",
    ]);
    let sign = chance.one_of(&["", "", "", "", "+", "-", " ", "0", "00000000"]);
    match chance.below(8) {
        0 => format!("{sign}{}{unit}", number % 100_000_000),
        1 => format!("{sign}{number}{unit}"),
        2 => format!(
            "{}{unit}",
            chance.one_of(&["0", "00000000", "99999999", "100000000", "1"])
        ),
        3 => (*chance.one_of(&[
            "18446744073709551615",
            "18446744073709551616",
            "",
            "H",
            "1e3",
            "0x1",
            "1_0",
        ]))
        .to_owned(),
        4 => format!("{number}.5{unit}"),
        5 => format!("{}{unit} ", number % 1000),
        6 => format!("{}{unit},{}{unit}", number % 1000, number % 10),
        _ => format!("{:08}{unit}", number % 100_000_000),
    }
}
