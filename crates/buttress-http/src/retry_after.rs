use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};

/// The longest wait that is believed. A server that names a longer one has made a mistake.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// Reads when to come back from a `Retry-After` header: whole seconds, or a date.
///
/// A date is counted from the answer's own `Date`, else from the system clock; one that has passed means "now". What is
/// malformed, negative or longer than a year is ignored, as if the header were not there.
#[must_use]
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match whole_number(value) {
        Some(seconds) => Duration::from_secs(seconds),
        None => until(httpdate::parse_http_date(value).ok()?, headers),
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

fn until(date: SystemTime, headers: &HeaderMap) -> Duration {
    let sent = headers.get(DATE).and_then(|value| value.to_str().ok());
    let now = sent.and_then(|value| httpdate::parse_http_date(value).ok());
    date.duration_since(now.unwrap_or_else(SystemTime::now))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
