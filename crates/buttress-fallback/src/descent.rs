//! The way of a call below its primary.

use std::future::Future;
use std::pin::pin;
use std::task::Context;
use std::time::Duration;

use buttress_core::{
    Deadline, Keeping, Level, Levels, Mark, Name, Outcome, Rejected, Replay, RequestContext,
    ResponseContext, ServedBy, Trail, Tried,
};
use buttress_sync::atomic::Ordering;
use tokio::time::Instant;

pub(crate) use self::failing::Errors;
pub(crate) use self::running::Running;
use self::running::Work;
use crate::course::{Env, Judged};
use crate::run::Cause;
use crate::shared::Shared;
use crate::state::{Times, Walk};

mod asking;
mod failing;
mod running;

/// What a call has met so far.
pub(crate) struct Descent<T, E, F = ()> {
    pub(crate) walk: Walk,
    pub(crate) trail: Trail,
    /// Nothing as long as nobody had to wait.
    pub(crate) times: Option<Times>,
    /// How the primary has failed: the answer, if there is no other.
    pub(crate) first: Option<Result<T, E>>,
    /// Why the call is given up, where the primary has not said anything.
    pub(crate) cut: Option<Rejected>,
    /// Whether nobody waits any more.
    is_over: bool,
    /// Whether the request was sent again: then the one before is of no use any more.
    pub(crate) is_replayed: bool,
    /// Every error, for whoever wants them all.
    pub(crate) failed: F,
}

/// Where a call is.
pub(crate) enum Step<O, L, E, V> {
    Served(O, ServedBy),
    /// A level has failed in a way that is not moved on from, which is an answer: a caller's error.
    Failed(Tried, E),
    Running(Running<L, E, V>),
    /// It is the primary's turn.
    Primary,
    Exhausted,
    /// The call has ended.
    Over,
}

/// The same, or that the next level is to be asked.
type Taken<O, L, E, V> = Option<Step<O, L, E, V>>;

impl<T, E, F: Errors<E>> Descent<T, E, F> {
    pub(crate) fn new(walk: Walk, times: Option<Times>) -> Self {
        Self {
            walk,
            trail: Trail::new(),
            times,
            first: None,
            cut: None,
            is_over: false,
            is_replayed: false,
            failed: F::default(),
        }
    }

    /// Keeps the time from now on, the primary being asked first.
    pub(crate) fn start<Req, L, K: Keeping>(
        &mut self,
        shared: &Shared<Req, L, E, K>,
        deadline: Option<Deadline>,
    ) {
        self.times = Some(shared.times(Instant::now(), deadline));
    }

    /// It is the primary's turn.
    pub(crate) fn ask_primary<Req, L, K: Keeping>(&mut self, shared: &Shared<Req, L, E, K>) {
        self.walk.ask(0);
        if let Some(times) = &mut self.times {
            let now = if times.is_new() {
                times.since
            } else {
                Instant::now()
            };
            times.ask(now, self.walk, shared.primary_time());
        }
    }

    /// The clock, if time is kept of this call.
    fn now(&self) -> Option<Instant> {
        self.times.as_ref().map(|_| Instant::now())
    }

    /// The primary has answered, for better or worse.
    pub(crate) fn by_primary(&self) -> ServedBy {
        self.by(Level::Primary, 0, None)
    }

    /// When the level was asked that answers now: where nobody had to wait, that is this moment.
    pub(crate) fn asked(&self) -> Instant {
        self.times
            .as_ref()
            .map_or_else(Instant::now, |times| times.since)
    }

    /// Gives the call up, if nobody waits any more.
    pub(crate) fn give_up_if_over(&mut self, name: Name) -> bool {
        let over = self.why_over();
        self.cut = over.map(|reason| Rejected::new(reason, name)).or(self.cut);
        self.is_over |= over.is_some();
        over.is_some()
    }

    fn by(&self, level: Level, place: u8, found: Option<(Duration, bool)>) -> ServedBy {
        let fresh = found.is_some_and(|(_, fresh)| fresh);
        ServedBy {
            level,
            place,
            degraded: level != Level::Primary && !fresh,
            age: found.map(|(age, _)| age),
            errors: self.trail,
        }
    }

    /// Serves what is fresh, or asks a level before its turn, where the call is one of those; or says that it comes too late.
    pub(crate) fn begin<P, R, Req, L, K>(
        &mut self,
        env: &Env<'_, P, Req, L, E, K>,
        kept: &mut Option<P::Kept>,
    ) -> Taken<P::Output, L, E, K::Value>
    where
        P: Replay<R, Sent = Req> + RequestContext<Req> + Levels<T, L, K>,
        K: Keeping,
    {
        if self.give_up_if_over(env.shared.name) {
            return Some(Step::Exhausted);
        }
        if env.shelves.is_some()
            && let Some((place, found)) = env.first::<T>(Instant::now())
        {
            return Some(self.found(env, place, found));
        }
        let place = env.shared.draw_exercise()?;
        if !env.may_exercise(place, kept.is_some()) {
            return None;
        }
        let place = self.walk.ask(place)?;
        let step = self.ask::<P, R, Req, L, K>(env, place, kept)?;
        env.shared.exercised.fetch_add(1, Ordering::Relaxed);
        Some(step)
    }

    /// Asks the next levels, until one answers at once or is to be waited for.
    pub(crate) fn advance<P, R, Req, L, K>(
        &mut self,
        env: &Env<'_, P, Req, L, E, K>,
        kept: &mut Option<P::Kept>,
    ) -> Step<P::Output, L, E, K::Value>
    where
        P: Replay<R, Sent = Req> + RequestContext<Req> + Levels<T, L, K>,
        K: Keeping,
    {
        loop {
            if self.give_up_if_over(env.shared.name) {
                return Step::Exhausted;
            }
            let Some(place) = self.walk.next() else {
                return Step::Exhausted;
            };
            if let Some(step) = self.ask::<P, R, Req, L, K>(env, place, kept) {
                return step;
            }
        }
    }
}

/// Tells a level how long its answer is waited for.
pub(crate) fn tell<P: RequestContext<Req>, Req>(
    protocol: &P,
    request: &mut Req,
    times: &Times,
    announce: bool,
) {
    if protocol.carries_deadline() {
        let deadline: Deadline = times.told();
        let now = times.since;
        let mark = Mark::Deadline {
            deadline,
            now,
            announce,
        };
        protocol.stamp(request, mark);
    }
}

pub(crate) fn outcome(judged: &Judged) -> Outcome {
    match judged.refusal {
        Some(rejected) => Outcome::Refused(rejected.reason()),
        None => judged.verdict.into(),
    }
}

/// Drops an answer that nobody wants; what of it is there is read, so that its connection may be used again, and nothing is waited
/// for.
pub(crate) fn put_down<P, A, E>(
    protocol: &P,
    result: Result<A, E>,
    cx: &mut Context<'_>,
) -> Cause<E>
where
    P: ResponseContext<A>,
{
    match result {
        Err(error) => Cause::Error(error),
        Ok(answer) => {
            let _ = pin!(protocol.discard(answer)).poll(cx);
            Cause::Answer
        }
    }
}
