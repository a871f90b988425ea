//! A level that is waited for.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use buttress_core::{
    Classify, Keeping, Level, Outcome, Reason, Settle, Tried, Verdict, failing_on_unwind,
};
use buttress_sync::Mutex;
use buttress_timer::Timer;
use tokio::time::Instant;

use super::{Descent, Step, Taken, outcome, put_down};
use crate::cache::Found;
use crate::course::{Env, Judged, Speaks};
use crate::gate::Permits;
use crate::source::BoxFuture;

/// A level below the primary that is asked now.
pub(crate) struct Running<L, E, V> {
    place: u8,
    // The order matters: the work ends before what it has taken is given back. The lock makes the future `Sync`; nobody waits for it.
    work: Mutex<Work<L, E, V>>,
    permits: Option<Permits>,
}

pub(super) enum Work<L, E, V> {
    Call(BoxFuture<Result<L, E>>),
    Look(BoxFuture<Result<Option<Found<V>>, ()>>),
}

/// What a level has come back with.
enum Came<L, E, V> {
    Call(Result<L, E>),
    Look(Result<Option<Found<V>>, ()>),
}

impl<L, E, V> Running<L, E, V> {
    pub(super) fn new(place: u8, work: Work<L, E, V>, permits: Option<Permits>) -> Self {
        Self {
            place,
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

impl<T, E> Descent<T, E> {
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
        } = running;
        drop(work);
        let result = match came {
            Came::Call(result) => result,
            Came::Look(Ok(Some(found))) if env.fits::<T>(&found) => {
                return Some(self.found(env, place, found));
            }
            Came::Look(looked) => {
                let outcome = looked.map_or(Outcome::Failed, |_| Outcome::Missing);
                self.fail(env, place, outcome, None);
                return None;
            }
        };
        let verdict = Classify::<L, E>::classify(env.protocol, result.as_ref());
        let judged = env.judge(result.as_ref(), verdict);
        match result {
            Ok(answer) if !judged.moves_on => {
                Some(self.serve(env, place, verdict, answer, permits.unwrap_or_default()))
            }
            result => {
                if let Some(permits) = permits {
                    permits.settle(verdict);
                }
                self.failed(env, place, &judged, result, cx)
            }
        }
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
                self.fail(env, place, outcome(judged), Some(cause));
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
        if judged.verdict == Verdict::Success {
            let by = || self.by(level, place, None);
            env.shared.served(place, self.now(), by);
        }
        let took = self.times.map(|times| times.took(Instant::now()));
        let took = took.unwrap_or_default();
        Step::Failed(Tried::new(level, place, outcome(judged), took), error)
    }

    /// A level has answered. What it has taken is given back when the answer is over, which the protocol knows.
    fn serve<P, Req, L, K>(
        &self,
        env: &Env<'_, P, Req, L, E, K>,
        place: u8,
        verdict: Verdict,
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
        let is_good = verdict == Verdict::Success;
        let now = self.now().filter(|_| is_good);
        env.shared.served(place, now, || by);
        let is_full = is_good && !env.protocol.is_degraded(&answer);
        let mut answer = env.protocol.lower_holding(answer, permits, verdict);
        if is_full {
            answer = env.keep::<T>(level, self.asked(), answer);
        }
        Step::Served(answer, by)
    }
}
