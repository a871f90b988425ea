//! seatbelt: its breaker under tower. Its window is one of time.

use std::time::Duration;

use seatbelt::breaker::{Breaker, BreakerLayer};
use seatbelt::{RecoveryInfo, ResilienceContext};
use tick::Clock;

use super::Case;
use crate::inner::Down;
use crate::subject::{refused, served};

const WHO: &str = "seatbelt";

pub(super) const CASES: &[Case] = &[
    Case::serving(WHO, "breaker closed: time window", |inner| {
        served(inner, breaker())
    }),
    Case::special(WHO, "breaker open: refuse", || refused(breaker())),
];

type Answer = Result<u64, Down>;

fn breaker() -> BreakerLayer<u64, Answer> {
    let context = ResilienceContext::new(Clock::new_tokio()).name("bench");
    Breaker::layer("bench", &context)
        .recovery_with(|answer: &Answer, _| match answer {
            Ok(_) => RecoveryInfo::never(),
            Err(Down) => RecoveryInfo::retry(),
        })
        .rejected_input_error(|_, _| Down)
        .break_duration(Duration::from_secs(60))
}
