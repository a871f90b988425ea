//! The two headers in which a service tells the next how long it will wait.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::retry_after::whole_number;

/// The header in which an HTTP client says how long it will wait: `x-request-timeout`, whole milliseconds.
///
/// Written by the protocol [`Http`](crate::Http) on a client. Read only where the application says that it trusts its peers:
/// [`trust_request_timeout`](crate::Respond::trust_request_timeout).
pub const TIMEOUT_HEADER: HeaderName = HeaderName::from_static("x-request-timeout");

/// The header in which a gRPC client says how long it will wait: `grpc-timeout`, one to eight digits and a unit.
///
/// Written by the protocol [`Grpc`](crate::Grpc) on a client, read by [`respond_grpc`](crate::respond_grpc).
pub const GRPC_TIMEOUT_HEADER: HeaderName = HeaderName::from_static("grpc-timeout");

/// What `grpc-timeout` has room for.
const MOST_DIGITS: usize = 8;
const MOST: u128 = 99_999_999;

/// The units of `grpc-timeout` in nanoseconds, the finest first.
const UNITS: [(u128, char); 6] = [
    (1, 'n'),
    (1_000, 'u'),
    (1_000_000, 'm'),
    (1_000_000_000, 'S'),
    (60_000_000_000, 'M'),
    (3_600_000_000_000, 'H'),
];

/// Reads how long the caller will wait from [`GRPC_TIMEOUT_HEADER`]: one to eight ASCII digits, then one of `H`, `M`, `S`, `m`,
/// `u`, `n`.
///
/// What is malformed is ignored, as if it were not there; of several values the shortest counts. Zero means that the caller has
/// gone already.
#[must_use]
pub fn grpc_timeout(headers: &HeaderMap) -> Option<Duration> {
    shortest(headers, &GRPC_TIMEOUT_HEADER, parse_grpc)
}

/// Reads how long the caller will wait from [`TIMEOUT_HEADER`]: ASCII digits, a number of milliseconds.
///
/// What is malformed, or has no room in 64 bits, is ignored, as if it were not there; of several values the shortest counts.
/// Zero means that the caller has gone already.
#[must_use]
pub fn request_timeout(headers: &HeaderMap) -> Option<Duration> {
    shortest(headers, &TIMEOUT_HEADER, parse_milliseconds)
}

/// Writes what remains into [`GRPC_TIMEOUT_HEADER`], unless a shorter time stands there.
pub(crate) fn announce_grpc(headers: &mut HeaderMap, remaining: Duration) {
    if grpc_timeout(headers).is_some_and(|said| said <= remaining) {
        return;
    }
    if let Ok(value) = HeaderValue::try_from(as_grpc(remaining)) {
        // Fails only for a map that is full.
        let _ = headers.try_insert(GRPC_TIMEOUT_HEADER, value);
    }
}

/// Writes what remains into [`TIMEOUT_HEADER`], unless a shorter time stands there.
pub(crate) fn announce_http(headers: &mut HeaderMap, remaining: Duration) {
    if request_timeout(headers).is_none_or(|said| said > remaining) {
        let _ = headers.try_insert(TIMEOUT_HEADER, as_milliseconds(remaining).into());
    }
}

/// Each value may only shorten what another says, so nobody gains time by sending two.
fn shortest(
    headers: &HeaderMap,
    name: &HeaderName,
    parse: impl Fn(&[u8]) -> Option<Duration>,
) -> Option<Duration> {
    let values = headers.get_all(name).iter();
    values.filter_map(|value| parse(value.as_bytes())).min()
}

fn parse_grpc(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.len() > MOST_DIGITS {
        return None;
    }
    // Eight digits of hours are far from the end of 64 bits of seconds.
    let amount = number(digits)?;
    Some(match unit {
        b'H' => Duration::from_secs(amount * 3600),
        b'M' => Duration::from_secs(amount * 60),
        b'S' => Duration::from_secs(amount),
        b'm' => Duration::from_millis(amount),
        b'u' => Duration::from_micros(amount),
        b'n' => Duration::from_nanos(amount),
        _ => return None,
    })
}

fn parse_milliseconds(value: &[u8]) -> Option<Duration> {
    number(value).map(Duration::from_millis)
}

fn number(digits: &[u8]) -> Option<u64> {
    str::from_utf8(digits).ok().and_then(whole_number)
}

/// In the finest unit that has room, rounded down: the next service must not wait longer than we do.
///
/// The grammar knows positive numbers only, and servers differ over a zero. So nothing left is one nanosecond: gone by the time
/// that anybody looks.
fn as_grpc(remaining: Duration) -> String {
    let nanos = remaining.as_nanos().max(1);
    let fitting = UNITS.into_iter().find_map(|(size, unit)| {
        let amount = nanos / size;
        (amount <= MOST).then(|| format!("{amount}{unit}"))
    });
    fitting.unwrap_or_else(|| format!("{MOST}H"))
}

/// Rounded down, at least one: a zero is what a caller says who has gone.
fn as_milliseconds(remaining: Duration) -> u64 {
    u64::try_from(remaining.as_millis())
        .unwrap_or(u64::MAX)
        .max(1)
}

#[cfg(test)]
mod tests;
