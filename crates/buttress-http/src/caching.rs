//! What HTTP says of answers that are kept (RFC 9111, 5861): who asks for what, and what may be kept, for how long, and is outdated.

use std::sync::Arc;
use std::time::Duration;

use buttress_core::{Asking, Keep};
use http::header::{AGE, CACHE_CONTROL, EXPIRES, HeaderName, PRAGMA, SET_COOKIE, VARY};
use http::{HeaderMap, Request, Response, StatusCode};

use crate::retry_after::{until, whole_number};
use crate::timed::is_event_stream;

/// What a request says. Its headers are kept, for an answer that varies with them.
///
/// `no-store` keeps the answer to it from being kept. `no-cache`, and a limit of the age, let the primary be asked first; where that
/// fails what was kept is still better than nothing, which is all that these promise (RFC 9111, 5.2.1.4 "prefers"). A method that is
/// not safe outdates what was kept (RFC 9111, 4.4).
pub(crate) fn asking<B>(request: &Request<B>) -> Asking {
    let headers = request.headers();
    let changes = !request.method().is_safe();
    if changes {
        return Asking {
            keeps: false,
            takes_kept: false,
            changes,
            variant: None,
        };
    }
    let says = |words: &[&str]| says(headers, &CACHE_CONTROL, words);
    let is_old_style =
        !headers.contains_key(CACHE_CONTROL) && self::says(headers, &PRAGMA, &["no-cache"]);
    Asking {
        keeps: !says(&["no-store"]),
        takes_kept: !is_old_style && !says(&["no-cache", "no-store", "max-age", "min-fresh"]),
        changes,
        variant: Some(Arc::new(headers.clone())),
    }
}

/// What becomes of a good answer, and of the one that was kept before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is kept so. Its bytes are not counted yet.
    Keep(Keep),
    /// It is not kept, and the one before is outdated.
    Forget,
    /// It is not kept, and says nothing of the one before.
    Leave,
}

impl Fate {
    pub(crate) fn of<B>(answer: &Response<B>, asking: &Asking) -> Self {
        let headers = answer.headers();
        let status = answer.status();
        if asking.changes {
            return Self::forget_if(status.is_success() || status.is_redirection());
        }
        if !status.is_success() || status == StatusCode::PARTIAL_CONTENT {
            return Self::forget_if(supersedes(status));
        }
        // It has no end that would be waited for.
        if is_event_stream(headers) {
            return Self::Leave;
        }
        let fresh = fresh(headers);
        let is_own = headers.contains_key(SET_COOKIE)
            || (fresh.is_none() && !is_whole(status))
            || says(
                headers,
                &CACHE_CONTROL,
                &["no-store", "private", "no-cache"],
            )
            || says(headers, &VARY, &["*"]);
        let (age, longest) = (age(headers), longest(headers));
        if is_own || age >= longest {
            return Self::Forget;
        }
        Self::Keep(Keep {
            age,
            fresh: fresh.unwrap_or(Duration::MAX),
            longest,
            ..Keep::of(0)
        })
    }

    const fn forget_if(is_outdated: bool) -> Self {
        if is_outdated {
            Self::Forget
        } else {
            Self::Leave
        }
    }
}

/// Whether an answer with this status may be kept though it does not say for how long (RFC 9110, 15.1).
fn is_whole(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::OK | StatusCode::NON_AUTHORITATIVE_INFORMATION | StatusCode::NO_CONTENT
    )
}

/// How old an answer is already. Of several the first counts; a number that is too large is a large one (RFC 9111, 1.2.2 and 5.1).
fn age(headers: &HeaderMap) -> Duration {
    let first = headers.get(AGE).and_then(|age| age.to_str().ok());
    let first = first
        .and_then(|age| age.split(',').next())
        .unwrap_or_default()
        .trim();
    let is_number = !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_digit());
    match first.parse() {
        Ok(seconds) if is_number => Duration::from_secs(seconds),
        Err(_) if is_number => Duration::MAX,
        _ => Duration::ZERO,
    }
}

/// Whether an answer without a good one's status says that the good one before is outdated: it has moved, is gone, or is not for
/// everybody any more. One to a part of it, to a condition, or to a bad question says nothing.
fn supersedes(status: StatusCode) -> bool {
    match status {
        StatusCode::NOT_MODIFIED | StatusCode::PARTIAL_CONTENT => false,
        StatusCode::UNAUTHORIZED
        | StatusCode::FORBIDDEN
        | StatusCode::NOT_FOUND
        | StatusCode::GONE
        | StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS => true,
        status => status.is_redirection(),
    }
}

/// How long an answer is fresh, where it says so (RFC 9111, 4.2.1). What cannot be read says that it is stale.
fn fresh(headers: &HeaderMap) -> Option<Duration> {
    let directive =
        |word| argument(headers, word).map(|age| seconds(Some(age)).unwrap_or_default());
    directive("s-maxage")
        .or_else(|| directive("max-age"))
        .or_else(|| Some(until(headers.get(EXPIRES)?, headers).unwrap_or_default()))
}

/// How old an answer may get, where it must not be given once it is stale, or says for how long it may.
fn longest(headers: &HeaderMap) -> Duration {
    let says = |words: &[&str]| says(headers, &CACHE_CONTROL, words);
    let fresh = fresh(headers).unwrap_or_default();
    if says(&["must-revalidate", "proxy-revalidate"]) {
        return fresh;
    }
    match seconds(argument(headers, "stale-if-error")) {
        Some(stale) => fresh.saturating_add(stale),
        None if says(&["s-maxage"]) => fresh,
        None => Duration::MAX,
    }
}

fn seconds(text: Option<&str>) -> Option<Duration> {
    let text = text?.trim().trim_matches('"');
    whole_number(text).map(Duration::from_secs)
}

/// The argument of a directive.
fn argument<'a>(headers: &'a HeaderMap, word: &str) -> Option<&'a str> {
    let values = headers.get_all(CACHE_CONTROL).iter();
    let items = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    items
        .filter_map(|item| item.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case(word))
        .map(|(_, argument)| argument)
}

/// Whether one of these words stands in a header that lists some; a word may have an argument. What cannot be read says anything.
fn says(headers: &HeaderMap, name: &HeaderName, words: &[&str]) -> bool {
    headers.get_all(name).iter().any(|value| {
        let Ok(value) = value.to_str() else {
            return true;
        };
        value.split(',').any(|item| {
            let word = item.split('=').next().unwrap_or_default().trim();
            words.iter().any(|of| word.eq_ignore_ascii_case(of))
        })
    })
}

/// The names that a header lists.
pub(crate) fn names(headers: &HeaderMap, list: &HeaderName) -> Vec<HeaderName> {
    let values = headers.get_all(list).iter();
    let items = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    items.filter_map(|name| name.trim().parse().ok()).collect()
}

#[cfg(test)]
mod tests;
