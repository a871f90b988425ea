//! Asks one level.

use std::sync::Arc;
use std::time::Duration;

use buttress_core::{
    Keeping, Level, Levels, Outcome, Reason, Rejected, Replay, RequestContext, failing_on_unwind,
};
use buttress_sync::atomic::Ordering;
use tokio::time::Instant;

use super::{Descent, Errors, Running, Step, Taken, Work, tell};
use crate::cache::{Found, Look};
use crate::course::Env;
use crate::gate::Permits;
use crate::run::Cause;
use crate::rung::{Ask, Rung};

impl<T, E, F: Errors<E>> Descent<T, E, F> {
    /// Asks this level.
    pub(crate) fn ask<P, R, Req, L, K>(
        &mut self,
        env: &Env<'_, P, Req, L, E, K>,
        place: u8,
        kept: &mut Option<P::Kept>,
    ) -> Taken<P::Output, L, E, K::Value>
    where
        P: Replay<R, Sent = Req> + RequestContext<Req> + Levels<T, L, K>,
        K: Keeping,
    {
        let rung = env.rung(place)?;
        if place == 0 && env.is_layered {
            return Some(Step::Primary);
        }
        match &rung.asks {
            Ask::Wrapped => Some(Step::Primary),
            Ask::Value(make) => {
                let answer = make();
                let by = self.by(rung.level, place, None);
                env.shared.served(place, None, || by);
                Some(Step::Served(env.protocol.lower(answer), by))
            }
            Ask::Cache(_) => self.look(env, rung, place),
            Ask::Call(call) => {
                let request = kept.as_mut().and_then(|kept| env.protocol.replay(kept));
                self.is_replayed |= request.is_some();
                let Some(mut request) = request else {
                    self.fail(env, place, Outcome::NotReplayable, None, Duration::ZERO);
                    return None;
                };
                let taken = Permits::take(rung.slots.as_ref(), &rung.gates, &mut request);
                let mut permits = Some(self.admit(env, place, taken)?);
                let request = self.told(env, request);
                // A function may panic before it has made its future.
                let call = failing_on_unwind(&mut permits, || call.call(request));
                let running = Running::new(place, Work::Call(call), permits);
                Some(Step::Running(running))
            }
        }
    }

    fn look<P, Req, L, K>(
        &mut self,
        env: &Env<'_, P, Req, L, E, K>,
        rung: &Rung<Req, L, E, K::Value>,
        place: u8,
    ) -> Taken<P::Output, L, E, K::Value>
    where
        P: Levels<T, L, K>,
        K: Keeping,
    {
        let Some(shelf) = env.shelf(place) else {
            self.fail(env, place, Outcome::Missing, None, Duration::ZERO);
            return None;
        };
        match Arc::clone(shelf).look(Instant::now()) {
            Look::Now(Some(found)) if env.fits::<T>(&found) => Some(self.found(env, place, found)),
            Look::Now(_) => {
                self.fail(env, place, Outcome::Missing, None, Duration::ZERO);
                None
            }
            Look::Later(look) => {
                let taken = Permits::take(rung.slots.as_ref(), &rung.look_gates, &mut ());
                let permits = self.admit(env, place, taken)?;
                let running = Running::new(place, Work::Look(look), Some(permits));
                Some(Step::Running(running))
            }
        }
    }

    /// Serves what was kept.
    pub(crate) fn found<P, Req, L, K>(
        &self,
        env: &Env<'_, P, Req, L, E, K>,
        place: u8,
        found: Found<K::Value>,
    ) -> Step<P::Output, L, E, K::Value>
    where
        P: Levels<T, L, K>,
        K: Keeping,
    {
        let level = env.rung(place).map_or(Level::LocalCache, |rung| rung.level);
        let by = self.by(level, place, Some((found.age, found.fresh)));
        if found.fresh {
            env.shared.fresh.fetch_add(1, Ordering::Relaxed);
        }
        env.shared.served(place, Some(Instant::now()), || by);
        Step::Served(env.protocol.restore(found.value), by)
    }

    /// Starts the time of a level that has taken what it needs; or takes in that it could not.
    fn admit<P, Req, L, K: Keeping>(
        &mut self,
        env: &Env<'_, P, Req, L, E, K>,
        place: u8,
        taken: Result<Permits, Option<Rejected>>,
    ) -> Option<Permits> {
        let rejected = match taken {
            Ok(permits) => {
                let now = Instant::now();
                let start = || env.shared.times(now, None);
                let own = env.rung(place).and_then(|rung| rung.time);
                let times = self.times.get_or_insert_with(start);
                times.ask(now, self.walk, own);
                if times.due > now {
                    return Some(permits);
                }
                Rejected::new(Reason::TimedOut, env.shared.name)
            }
            Err(rejected) => {
                let own = || Rejected::new(Reason::Overloaded, env.shared.name);
                rejected.unwrap_or_else(own)
            }
        };
        let outcome = Outcome::Refused(rejected.reason());
        self.fail(
            env,
            place,
            outcome,
            Some(Cause::Refused(rejected)),
            Duration::ZERO,
        );
        self.come_back_after(rejected.retry_after());
        None
    }

    /// Lets a request know how long its answer is waited for.
    fn told<P, Req, L, K: Keeping>(&self, env: &Env<'_, P, Req, L, E, K>, mut request: Req) -> Req
    where
        P: RequestContext<Req>,
    {
        if let Some(times) = &self.times {
            tell(env.protocol, &mut request, times, env.shared.announces);
        }
        request
    }
}
