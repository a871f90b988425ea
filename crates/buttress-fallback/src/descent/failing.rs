//! What becomes of a call when a level is asked in vain.

use std::time::Duration;

use buttress_core::{Keeping, Name, Outcome, Reason, Rejected, Replay};
use tokio::time::Instant;

use super::Descent;
use crate::course::Env;
use crate::run::{Cause, Failed};

/// Takes in the errors of a call. A layer passes on that of the primary only, and keeps none.
pub(crate) trait Errors<E>: Default {
    fn push(&mut self, failed: Failed<E>);
}

impl<E> Errors<E> for () {
    fn push(&mut self, _: Failed<E>) {}
}

impl<E> Errors<E> for Vec<Failed<E>> {
    fn push(&mut self, failed: Failed<E>) {
        Self::push(self, failed);
    }
}

impl<T, E, F: Errors<E>> Descent<T, E, F> {
    /// Why the call was refused, where that is no failure of any level: nobody waits any more, or all of them were refused.
    pub(crate) fn refused(&self, name: Name) -> Option<Rejected> {
        let over = self.cut.filter(|_| self.is_over);
        let none = || {
            let refused = Rejected::new(Reason::Unavailable, name);
            let wait = self.trail.retry_after();
            wait.map_or(refused, |wait| refused.with_retry_after(wait))
        };
        over.or_else(|| self.trail.is_refused().then(none))
    }

    /// Takes in when a level may be asked again.
    pub(crate) fn come_back_after(&mut self, wait: Option<Duration>) {
        if let Some(wait) = wait {
            self.trail.come_back_after(wait);
        }
    }

    /// What the primary is asked after another level: the request once more, where that has had it. Nothing where it cannot be sent again.
    pub(crate) fn for_primary<P, R, Req, L, K>(
        &mut self,
        env: &Env<'_, P, Req, L, E, K>,
        sent: Req,
        kept: &mut Option<P::Kept>,
    ) -> Option<Req>
    where
        P: Replay<R, Sent = Req>,
        K: Keeping,
    {
        if !self.is_replayed {
            return Some(sent);
        }
        let again = kept.as_mut().and_then(|kept| env.protocol.replay(kept));
        if again.is_none() {
            self.fail(env, 0, Outcome::NotReplayable, None, Duration::ZERO);
        }
        again
    }

    /// How long the level took that is asked now.
    pub(crate) fn took(&self) -> Duration {
        let took = self.times.map(|times| times.took(Instant::now()));
        took.unwrap_or_default()
    }

    /// Takes in that a level was asked in vain, or passed over, which takes no time.
    pub(crate) fn fail<P, Req, L, K: Keeping>(
        &mut self,
        env: &Env<'_, P, Req, L, E, K>,
        place: u8,
        outcome: Outcome,
        cause: Option<Cause<E>>,
        took: Duration,
    ) {
        // Only whoever has asked the primary has heard of it.
        if place == 0 {
            env.come_back();
        }
        let is_past = || self.is_over || self.why_over() == Some(Reason::DeadlineExceeded);
        let has_gone = outcome == Outcome::Refused(Reason::DeadlineExceeded) && is_past();
        let tried = if has_gone {
            env.shared.tell_failed(place, outcome, took)
        } else {
            env.shared.failed(place, outcome, took)
        };
        let Some(tried) = tried else { return };
        self.trail.push(tried);
        if let Some(Cause::Error(error)) = &cause {
            env.shared.show(tried.level(), error);
        }
        let cause = cause.unwrap_or(Cause::None);
        self.failed.push(Failed { tried, cause });
    }

    /// The level that is asked has had its time, and is given up; `over` says that so is the call.
    pub(crate) fn give_up_level<P, Req, L, K: Keeping>(
        &mut self,
        env: &Env<'_, P, Req, L, E, K>,
        place: u8,
        over: Option<Reason>,
    ) {
        self.is_over |= over.is_some();
        let reason = over.unwrap_or(Reason::TimedOut);
        let rejected = Rejected::new(reason, env.shared.name);
        if place == 0 || over.is_some() {
            self.cut = Some(rejected);
        }
        let cause = Some(Cause::Refused(rejected));
        let took = self.took();
        self.fail(env, place, Outcome::Refused(reason), cause, took);
    }

    /// Why nobody waits any more, where that is so.
    pub(crate) fn why_over(&self) -> Option<Reason> {
        let times = self.times.as_ref()?;
        times.is_over(Instant::now()).then(|| {
            if times.is_callers() {
                Reason::DeadlineExceeded
            } else {
                Reason::TimedOut
            }
        })
    }
}
