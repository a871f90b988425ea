use std::time::{Duration, SystemTime};

use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue};

/// The longest wait that is believed. A server that names a longer one has made a mistake.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// The same in milliseconds, and more exact: some services of language models send both.
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
/// What a service says itself about another try.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// Reads when to come back: from `retry-after-ms`, milliseconds with or without decimals, else from `Retry-After`, whole seconds
/// or a date.
///
/// A date is counted from the answer's own `Date`, else from the system clock; one that has passed means "now". What is
/// malformed, negative or longer than a year is ignored, as if the header were not there.
#[must_use]
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    in_milliseconds(headers).or_else(|| in_seconds(headers))
}

/// Reads what the service says itself about another try, from `x-should-retry: true` or `false`.
#[must_use]
pub fn should_retry(headers: &HeaderMap) -> Option<bool> {
    let value = headers.get(SHOULD_RETRY)?.to_str().ok()?.trim();
    let is = |word| value.eq_ignore_ascii_case(word);
    (is("true") || is("false")).then(|| is("true"))
}

fn in_milliseconds(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER_MS)?.to_str().ok()?.trim();
    // What `parse` takes beyond digits and a point: signs, exponents, `inf`, `nan`.
    let digits = value
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    let milliseconds: f64 = digits.then(|| value.parse().ok())??;
    believed(Duration::try_from_secs_f64(milliseconds / 1000.0).ok()?)
}

fn in_seconds(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?;
    let wait = match whole_number(value.to_str().ok()?.trim()) {
        Some(seconds) => Duration::from_secs(seconds),
        None => until(value, headers)?,
    };
    believed(wait)
}

/// The wait, unless it is longer than anyone would mean.
pub(crate) fn believed(wait: Duration) -> Option<Duration> {
    (wait <= LONGEST).then_some(wait)
}

/// Reads ASCII digits and nothing else; `parse` alone would take a sign.
pub(crate) fn whole_number(value: &str) -> Option<u64> {
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| value.parse().ok())?
}

/// How long it is until a date, from the answer's own `Date`, else from the system clock; nothing where it is no date.
pub(crate) fn until(date: &HeaderValue, headers: &HeaderMap) -> Option<Duration> {
    let sent = headers.get(DATE).and_then(read_date);
    let now = sent.unwrap_or_else(SystemTime::now);
    Some(read_date(date)?.duration_since(now).unwrap_or_default())
}

fn read_date(value: &HeaderValue) -> Option<SystemTime> {
    httpdate::parse_http_date(value.to_str().ok()?.trim()).ok()
}

#[cfg(test)]
mod tests;
