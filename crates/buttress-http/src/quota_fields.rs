use std::fmt::{self, Write};
use std::time::Duration;

use buttress_core::{Adopt, Quota, QuotaPolicy, Settle};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{Protocol, whole_seconds};

/// In which header fields a client is told of its quota: on answers, and beside the `Retry-After` of a refusal.
///
/// The standard is a draft, and its fields have changed their form from one revision to the next; so the revision stands in the
/// name. [`Draft11`](Self::Draft11) is what [`respond`](crate::respond()) writes unless it is told otherwise; outside of it and over
/// gRPC nothing is written unless something is chosen, because there a limit may be one of calls that go out.
///
/// | | on an answer |
/// |---|---|
/// | `Draft11` | `RateLimit: "default";r=50;t=30` and `RateLimit-Policy: "default";q=100;w=60` |
/// | `XRateLimit` | `x-ratelimit-limit: 100`, `x-ratelimit-remaining: 50`, `x-ratelimit-reset: 30` |
///
/// Times are whole seconds from now, rounded up; a policy of less than a second is told without its `w`, which can say no such time. A
/// leaky bucket has no quota to tell of. The policy is always called `default`: no client learns what a component is called.
/// On an admitted answer `r` is what is left and `t` is when all of it is there again; on a refusal `r` is 0 and `t` is its
/// `Retry-After`. Where an answer has such fields already, those of the limit with fewer calls left stay, however long its time is; what others have written in another
/// form stays in any case. An answer that a handler has got from another service and hands on has the fields of that service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum QuotaFields {
    /// None at all.
    #[default]
    None,
    /// `RateLimit` and `RateLimit-Policy`, as draft-ietf-httpapi-ratelimit-headers-11 has them.
    Draft11,
    /// `x-ratelimit-limit`, `-remaining` and `-reset`, which many clients read, and no standard describes.
    XRateLimit,
    /// The fields of `Draft11` and those of `XRateLimit`.
    Draft11AndXRateLimit,
}

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const X_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// What a structured field has room for.
const LARGEST: u64 = 999_999_999_999_999;

impl QuotaFields {
    /// Tells what is left where a permit knows. Most never do, and for those nothing of this is left in the program.
    #[inline(always)]
    pub(crate) fn tell(self, permit: &impl Settle, headers: &mut HeaderMap) {
        if self != Self::None
            && let Some(quota) = permit.quota()
        {
            self.write(headers, quota);
        }
    }

    #[inline(never)]
    fn write(self, headers: &mut HeaderMap, quota: Quota) {
        let reset = seconds(quota.reset);
        self.put(headers, quota.policy, quota.remaining, Some(reset));
    }

    /// Tells a client that is refused.
    pub(crate) fn refuse(
        self,
        headers: &mut HeaderMap,
        policy: QuotaPolicy,
        wait: Option<Duration>,
    ) {
        self.put(headers, policy, 0, wait.map(whole_seconds));
    }

    fn put(self, headers: &mut HeaderMap, policy: QuotaPolicy, remaining: u64, reset: Option<u64>) {
        let told = Told {
            limit: policy.limit.min(LARGEST),
            window: (policy.window >= Duration::from_secs(1))
                .then(|| whole_seconds(policy.window).min(LARGEST)),
            remaining: remaining.min(LARGEST),
            reset: reset.map(|reset| reset.min(LARGEST)),
        };
        if matches!(self, Self::Draft11 | Self::Draft11AndXRateLimit) {
            told.as_draft(headers);
        }
        if matches!(self, Self::XRateLimit | Self::Draft11AndXRateLimit) {
            told.as_x_rate_limit(headers);
        }
    }
}

/// Rounded up: a client that comes then has not come too early.
const fn seconds(reset: Duration) -> u64 {
    if reset.is_zero() {
        0
    } else {
        whole_seconds(reset)
    }
}

struct Told {
    limit: u64,
    window: Option<u64>,
    remaining: u64,
    reset: Option<u64>,
}

impl Told {
    fn as_draft(&self, headers: &mut HeaderMap) {
        let is_less = match headers.get(RATE_LIMIT) {
            Some(there) => self.remaining_is_below(available(there)),
            None => !headers.contains_key(RATE_LIMIT_POLICY),
        };
        if !is_less {
            return;
        }
        let Self {
            limit,
            window,
            remaining,
            ..
        } = self;
        match self.reset {
            Some(reset) => put(
                headers,
                RATE_LIMIT,
                format_args!(r#""default";r={remaining};t={reset}"#),
            ),
            None => put(
                headers,
                RATE_LIMIT,
                format_args!(r#""default";r={remaining}"#),
            ),
        }
        match window {
            Some(window) => put(
                headers,
                RATE_LIMIT_POLICY,
                format_args!(r#""default";q={limit};w={window}"#),
            ),
            None => put(
                headers,
                RATE_LIMIT_POLICY,
                format_args!(r#""default";q={limit}"#),
            ),
        }
    }

    fn as_x_rate_limit(&self, headers: &mut HeaderMap) {
        let is_less = match headers.get(X_REMAINING) {
            Some(there) => self.remaining_is_below(number(there.as_bytes())),
            None => !headers.contains_key(X_LIMIT),
        };
        if !is_less {
            return;
        }
        let mut insert = |name, value: u64| {
            // Fails only for a map that is full.
            let _ = headers.try_insert(name, value.into());
        };
        insert(X_LIMIT, self.limit);
        insert(X_REMAINING, self.remaining);
        if let Some(reset) = self.reset {
            insert(X_RESET, reset);
        }
    }

    /// Of what another has written in a form that we do not write, nobody knows what it means.
    fn remaining_is_below(&self, there: Option<u64>) -> bool {
        there.is_some_and(|there| self.remaining < there)
    }
}

/// What is left by a `RateLimit` field as we write it.
fn available(value: &HeaderValue) -> Option<u64> {
    let parameters = value.as_bytes().strip_prefix(br#""default";r="#)?;
    number(parameters.split(|byte| *byte == b';').next()?)
}

fn number(digits: &[u8]) -> Option<u64> {
    str::from_utf8(digits)
        .ok()
        .and_then(crate::retry_after::whole_number)
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: fmt::Arguments<'_>) {
    let mut text = Text::default();
    if text.write_fmt(value).is_ok()
        && let Ok(value) = HeaderValue::from_bytes(text.as_bytes())
    {
        let _ = headers.try_insert(name, value);
    }
}

/// Room for a field on the stack: a header value copies what it is made of.
struct Text {
    bytes: [u8; 64],
    length: usize,
}

impl Default for Text {
    fn default() -> Self {
        Self {
            bytes: [0; 64],
            length: 0,
        }
    }
}

impl Text {
    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        let room = self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

/// Chosen before the protocol, it waits for one.
impl<Q: Protocol> Adopt<Q> for QuotaFields {
    type Adopted = Q;

    fn adopt(self, protocol: Q) -> Q {
        protocol.with_quota_fields(self)
    }
}

#[cfg(test)]
mod tests;
