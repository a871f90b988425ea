//! A level that is waited for.

use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use buttress_core::{
    Classify, Keeping, Level, Outcome, Reason, Settle, Tried, Verdict, failing_on_unwind,
};
use buttress_sync::Mutex;
use buttress_timer::Timer;

use super::{Descent, Errors, Step, Taken, outcome, put_down};
use crate::cache::{BoxError, Found};
use crate::course::{Env, Judged, Speaks};
use crate::gate::Permits;
use crate::run::Cause;
use crate::source::BoxFuture;

/// A level below the primary that is asked now.
pub(crate) struct Running<L, E, V> {
    place: u8,
    is_new: bool,
    // The order matters: the work ends before what it has taken is given back. The lock makes the future `Sync`; nobody waits for it.
    work: Mutex<Work<L, E, V>>,
    permits: Option<Permits>,
}

pub(super) enum Work<L, E, V> {
    Call(BoxFuture<Result<L, E>>),
    Look(BoxFuture<Result<Option<Found<V>>, BoxError>>),
}

/// What a level has come back with.
enum Came<L, E, V> {
    Call(Result<L, E>),
    Look(Result<Option<Found<V>>, BoxError>),
}

impl<L, E, V> Running<L, E, V> {
    pub(super) fn new(place: u8, work: Work<L, E, V>, permits: Option<Permits>) -> Self {
        Self {
            place,
            is_new: true,
            work: Mutex::new(work),
            permits,
        }
    }

    /// A panic settles what was taken as a failure, on its way up.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Came<L, E, V>> {
        let work = &self.work;
        failing_on_unwind(&mut self.permits, || match &mut *work.lock() {
            Work::Call(call) => call.as_mut().poll(cx).map(Came::Call),
            Work::Look(look) => look.as_mut().poll(cx).map(Came::Look),
        })
    }

    /// Its time is over: a failure, unless whoever waited is gone. That a total of ours is over is one.
    fn end(self, over: Option<Reason>) {
        // The work ends before anybody hears of it.
        drop(self.work);
        if let Some(permits) = self.permits
            && over != Some(Reason::DeadlineExceeded)
        {
            permits.settle(Verdict::Failure);
        }
    }
}

impl<T, E, F: Errors<E>> Descent<T, E, F> {
    /// Waits for a level, as long as it may take. Ready with nothing when the next is to be asked.
    pub(crate) fn poll_running<P, Req, L, K>(
        &mut self,
        env: &Env<'_, P, Req, L, E, K>,
        running: &mut Option<Running<L, E, K::Value>>,
        timer: Pin<&mut Timer>,
        cx: &mut Context<'_>,
    ) -> Poll<Taken<P::Output, L, E, K::Value>>
    where
        P: Speaks<Req, T, L, E, K>,
        K: Keeping,
    {
        let Some(asked) = running else {
            return Poll::Ready(None);
        };
        let place = asked.place;
        // What was made in time may be polled too late to begin.
        if mem::take(&mut asked.is_new)
            && let Some(over) = self.why_over()
        {
            drop(running.take());
            self.give_up_level(env, place, Some(over));
            return Poll::Ready(None);
        }
        match (asked.poll(cx), running.take()) {
            (Poll::Ready(came), Some(asked)) => Poll::Ready(self.came(env, asked, came, cx)),
            (_, asked) => {
                *running = asked;
                if let Some(times) = &self.times {
                    ready!(timer.poll_until(times.due, cx));
                }
                let over = self.why_over();
                if let Some(asked) = running.take() {
                    asked.end(over);
                }
                self.give_up_level(env, place, over);
                Poll::Ready(None)
            }
        }
    }

    /// Takes in what a level has come back with. Nothing when the next is to be asked.
    fn came<P, Req, L, K>(
        &mut self,
        env: &Env<'_, P, Req, L, E, K>,
        running: Running<L, E, K::Value>,
        came: Came<L, E, K::Value>,
        cx: &mut Context<'_>,
    ) -> Taken<P::Output, L, E, K::Value>
    where
        P: Speaks<Req, T, L, E, K>,
        K: Keeping,
    {
        let Running {
            place,
            work,
            permits,
            ..
        } = running;
        drop(work);
        let result = match came {
            Came::Call(result) => result,
            Came::Look(looked) => return self.looked(env, place, looked, permits),
        };
        let verdict = Classify::<L, E>::classify(env.protocol, result.as_ref());
        let mut judged = env.judge(result.as_ref(), verdict);
        // Whoever was asked before the primary has the last word only where all is well.
        judged.moves_on |= self.walk.is_before_primary() && verdict != Verdict::Success;
        match result {
            Ok(answer) if !judged.moves_on => {
                Some(self.serve(env, place, &judged, answer, permits.unwrap_or_default()))
            }
            result => {
                if let Some(permits) = permits {
                    permits.settle(verdict);
                }
                self.failed(env, place, &judged, result, cx)
            }
        }
    }

    /// A cache has said what it has, or cannot be asked.
    fn looked<P, Req, L, K>(
        &mut self,
        env: &Env<'_, P, Req, L, E, K>,
        place: u8,
        looked: Result<Option<Found<K::Value>>, BoxError>,
        permits: Option<Permits>,
    ) -> Taken<P::Output, L, E, K::Value>
    where
        P: Speaks<Req, T, L, E, K>,
        K: Keeping,
    {
        if let Some(permits) = permits {
            permits.settle(match looked {
                Ok(_) => Verdict::Success,
                Err(_) => Verdict::Failure,
            });
        }
        let (outcome, cause) = match looked {
            Ok(Some(found)) if env.fits::<T>(&found) => return Some(self.found(env, place, found)),
            Ok(_) => (Outcome::Missing, None),
            Err(error) => (Outcome::Failed, Some(Cause::Cache(error))),
        };
        let took = self.took();
        self.fail(env, place, outcome, cause, took);
        None
    }

    /// A level has failed: in vain, or in a way that is not moved on from.
    fn failed<P, Req, L, K>(
        &mut self,
        env: &Env<'_, P, Req, L, E, K>,
        place: u8,
        judged: &Judged,
        result: Result<L, E>,
        cx: &mut Context<'_>,
    ) -> Taken<P::Output, L, E, K::Value>
    where
        P: Speaks<Req, T, L, E, K>,
        K: Keeping,
    {
        match result {
            Err(error) if !judged.moves_on => Some(self.answer(env, place, judged, error)),
            result => {
                self.come_back_after(env.retry_after(result.as_ref(), judged));
                let cause = put_down(env.protocol, result, cx);
                let took = self.took();
                self.fail(env, place, outcome(judged), Some(cause), took);
                None
            }
        }
    }

    /// An error that is an answer: nobody else would have another.
    fn answer<O, P, Req, L, K: Keeping>(
        &self,
        env: &Env<'_, P, Req, L, E, K>,
        place: u8,
        judged: &Judged,
        error: E,
    ) -> Step<O, L, E, K::Value> {
        let level = env.rung(place).map_or(Level::Backup, |rung| rung.level);
        let outcome = outcome(judged);
        let took = self.took();
        let tried = if judged.refusal.is_some() {
            env.shared.failed(place, outcome, took)
        } else {
            let now = self.now().filter(|_| judged.verdict == Verdict::Success);
            env.shared
                .served(place, now, || self.by(level, place, None));
            None
        };
        let tried = tried.unwrap_or_else(|| Tried::new(level, place, outcome, took));
        Step::Failed(tried, error)
    }

    /// A level has answered. What it has taken is given back when the answer is over, which the protocol knows.
    fn serve<P, Req, L, K>(
        &self,
        env: &Env<'_, P, Req, L, E, K>,
        place: u8,
        judged: &Judged,
        answer: L,
        permits: Permits,
    ) -> Step<P::Output, L, E, K::Value>
    where
        P: Speaks<Req, T, L, E, K>,
        K: Keeping,
    {
        env.come_back();
        let level = env.rung(place).map_or(Level::Backup, |rung| rung.level);
        let by = self.by(level, place, None);
        let is_good = judged.verdict == Verdict::Success;
        if judged.refusal.is_some() {
            env.shared.failed(place, outcome(judged), self.took());
        } else {
            let now = self.now().filter(|_| is_good);
            env.shared.served(place, now, || by);
        }
        let is_full = is_good && !env.protocol.is_degraded(&answer);
        let mut answer = env.protocol.lower_holding(answer, permits, judged.verdict);
        if is_full {
            answer = env.keep::<T>(level, self.asked(), answer);
        }
        Step::Served(answer, by)
    }
}
