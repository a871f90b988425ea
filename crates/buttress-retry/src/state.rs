//! The machine: whether a call that failed is sent again, and when. No clock, no chance of its own, no task.

use std::time::Duration;

use buttress_core::{Again, Deadline, Mark};
use buttress_sync::Random;
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::event::Stop;

/// What bounds the attempts of every call.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) retries: u32,
    pub(crate) backoff: Backoff,
    pub(crate) total: Option<Duration>,
    pub(crate) throttled_base: Duration,
}

/// What is known of one call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempts {
    /// How many retries there were.
    pub(crate) retries: u32,
    /// How long the last one waited.
    pub(crate) waited: Duration,
    /// When the first attempt started, where that matters.
    pub(crate) started: Option<Instant>,
    /// When the attempt that runs has started, where that matters.
    pub(crate) attempt_started: Option<Instant>,
    pub(crate) deadline: Option<Deadline>,
    pub(crate) repeatable: bool,
    pub(crate) retried_above: bool,
}

impl Attempts {
    /// Notes that another attempt starts now, where that matters; gives what its request is to be told then, for what was written for
    /// the first one is more than is left.
    pub(crate) fn start_again(&mut self, now: Instant, announce: bool) -> Option<Mark> {
        let deadline = self.deadline?;
        self.attempt_started = Some(now);
        Some(Mark::Deadline {
            deadline,
            now,
            announce,
        })
    }
}

impl Policy {
    /// How long to wait before the next attempt of a call that failed.
    ///
    /// # Errors
    /// Why there is none; nothing at all when the failure is none to be tried again.
    pub(crate) fn next(
        &self,
        call: &Attempts,
        again: Again,
        now: Instant,
        fastest: Duration,
        random: &Random,
    ) -> Result<Duration, Option<Stop>> {
        if again == Again::No {
            return Err(None);
        }
        if !call.repeatable && again != Again::NotSent {
            return Err(Some(Stop::NotRepeatable));
        }
        if call.retried_above {
            return Err(Some(Stop::RetriedAbove));
        }
        if call.retries >= self.retries {
            return Err(Some(Stop::Attempts));
        }
        let delay = self.delay(call, again, random).ok_or(Stop::Hint)?;
        self.check_time(call, delay, now, fastest)?;
        Ok(delay)
    }

    fn delay(&self, call: &Attempts, again: Again, random: &Random) -> Option<Duration> {
        let own = |least| {
            let retry = call.retries.saturating_add(1);
            self.backoff.delay(retry, call.waited, least, random)
        };
        match again {
            Again::Later(Some(hint)) => self.backoff.hinted(hint, own(Duration::ZERO), random),
            Again::Later(None) => Some(own(self.throttled_base)),
            _ => Some(own(Duration::ZERO)),
        }
    }

    fn check_time(
        &self,
        call: &Attempts,
        delay: Duration,
        now: Instant,
        fastest: Duration,
    ) -> Result<(), Stop> {
        if let (Some(total), Some(started)) = (self.total, call.started)
            && now.saturating_duration_since(started).saturating_add(delay) >= total
        {
            return Err(Stop::TotalTime);
        }
        if let Some(deadline) = call.deadline
            && delay.saturating_add(fastest) >= deadline.remaining(now)
        {
            return Err(Stop::Deadline);
        }
        Ok(())
    }
}
