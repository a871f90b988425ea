//! seatbelt under tower: its breaker, whose window is one of time, its retry, which has no budget, and its timeout.

use std::time::Duration;

use seatbelt::breaker::{Breaker, BreakerLayer};
use seatbelt::retry::{Backoff, Retry, RetryLayer};
use seatbelt::timeout::{Timeout, TimeoutLayer};
use seatbelt::{RecoveryInfo, ResilienceContext};
use tick::Clock;

use super::Case;
use super::bare::{FALTERS, WAITS};
use crate::inner::Down;
use crate::subject::{first_attempt_fails, pending_once, refused, served};

const WHO: &str = "seatbelt";

pub(super) const CASES: &[Case] = &[
    Case::serving(WHO, "breaker closed: time window", |inner| {
        served(inner, breaker())
    }),
    Case::special(WHO, "breaker open: refuse", || refused(breaker())),
    Case::serving(WHO, "retry: none needed", |inner| served(inner, retry())),
    Case::special(
        WHO,
        "retry: one, zero wait",
        || first_attempt_fails(retry()),
    )
    .over(FALTERS),
    Case::serving(WHO, "timeout fixed: ready", |inner| {
        served(inner, timeout())
    }),
    Case::special(WHO, "timeout fixed: pending", || pending_once(timeout())).over(WAITS),
];

type Answer = Result<u64, Down>;

fn breaker() -> BreakerLayer<u64, Answer> {
    Breaker::layer("bench", &context())
        .recovery_with(|answer, _| recovery(answer))
        .rejected_input_error(|_, _| Down)
        .break_duration(Duration::from_secs(60))
}

fn retry() -> RetryLayer<u64, Answer> {
    Retry::layer("bench", &context())
        .clone_input()
        .recovery_with(|answer, _| recovery(answer))
        .backoff(Backoff::Constant)
        .base_delay(Duration::ZERO)
        .use_jitter(false)
}

fn timeout() -> TimeoutLayer<u64, Answer> {
    Timeout::layer("bench", &context())
        .timeout(Duration::from_secs(30))
        .timeout_error(|_| Down)
}

fn context() -> ResilienceContext<u64, Answer> {
    ResilienceContext::new(Clock::new_tokio()).name("bench")
}

fn recovery(answer: &Answer) -> RecoveryInfo {
    match answer {
        Ok(_) => RecoveryInfo::never(),
        Err(Down) => RecoveryInfo::retry(),
    }
}
