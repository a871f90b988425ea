//! What of a call outlasts the levels that it asks.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use buttress_core::{Classify, Keeping, Level, Rejectable, Replay, Verdict};
use buttress_timer::Timer;
use tokio::time::Instant;
use tower_service::Service;

use super::exhausted::exhausted;
use crate::course::{Env, Shelves, Speaks};
use crate::descent::{Descent, Step, outcome, put_down, tell};
use crate::mark::MarkServed;
use crate::service::Template;

/// What of a call outlasts its levels: `A` is what the primary answers.
pub(crate) struct Call<S, Req, L, A, E, K: Keeping, P, M, Kept> {
    pub(crate) template: Arc<Template<S, Req, L, E, K, P, M>>,
    pub(crate) kept: Option<Kept>,
    /// Nothing in a call whose primary has not failed, and of which no time is kept: most calls never have it.
    pub(crate) under: Option<Under<S, Req, A, E, K::Value>>,
}

/// What a call has met, and what it began with. One field, so that there is one question when a call is dropped.
pub(crate) struct Under<S, Req, A, E, V> {
    pub(crate) descent: Descent<A, E>,
    pub(crate) cold: Option<Box<Cold<S, Req, V>>>,
}

/// What only calls of chains with caches have, and those that go to another level first.
pub(crate) struct Cold<S, Req, V> {
    pub(crate) shelves: Shelves<V>,
    /// When the primary was asked, or is to be.
    asked: Instant,
    /// The primary, while another level is asked before it.
    pub(crate) ahead: Option<(S, Req)>,
}

impl<S, Req, V> Cold<S, Req, V> {
    pub(crate) const fn of(shelves: Shelves<V>, asked: Instant) -> Self {
        Self {
            shelves,
            asked,
            ahead: None,
        }
    }
}

impl<S, Req, L, A, E, K: Keeping, P, M, Kept> Call<S, Req, L, A, E, K, P, M, Kept> {
    pub(crate) const fn new(
        template: Arc<Template<S, Req, L, E, K, P, M>>,
        kept: Option<Kept>,
        under: Option<Under<S, Req, A, E, K::Value>>,
    ) -> Self {
        Self {
            template,
            kept,
            under,
        }
    }

    /// Whether a good answer of the primary goes straight to the caller.
    #[inline(always)]
    pub(super) const fn keeps_nothing(&self) -> bool {
        match &self.under {
            None => true,
            Some(under) => under.cold.is_none(),
        }
    }
}

/// The levels, and where this call's answer is kept.
pub(crate) fn env<'a, S, Req, L, E, K, P, M>(
    template: &'a Template<S, Req, L, E, K, P, M>,
    cold: Option<&'a Cold<S, Req, K::Value>>,
) -> Env<'a, P, Req, L, E, K>
where
    E: Rejectable,
    K: Keeping,
{
    Env {
        shared: &template.chain.0,
        protocol: &template.protocol,
        shelves: cold.and_then(|cold| cold.shelves.if_any()),
        refusal: E::rejection,
        is_layered: true,
    }
}

impl<S, Req, L, A, E, K, P, M, Kept> Call<S, Req, L, A, E, K, P, M, Kept>
where
    S: Service<Req, Response = A, Error = E>,
    E: Rejectable,
    K: Keeping,
    P: Speaks<Req, A, L, E, K>,
{
    fn under(&mut self) -> &mut Under<S, Req, A, E, K::Value> {
        let shared = &self.template.chain.0;
        self.under.get_or_insert_with(|| {
            let mut descent = Descent::new(shared.walk(), None);
            descent.walk.ask(0);
            Under {
                descent,
                cold: None,
            }
        })
    }

    /// Waits until the primary has had its time, which begins with the first wait.
    pub(super) fn poll_time(&mut self, timer: Pin<&mut Timer>, cx: &mut Context<'_>) -> Poll<()> {
        let template = Arc::clone(&self.template);
        let descent = &mut self.under().descent;
        if descent.times.is_none() {
            descent.start(&template.chain.0, None);
            descent.ask_primary(&template.chain.0);
        }
        match &descent.times {
            Some(times) => timer.poll_until(times.due, cx),
            None => Poll::Pending,
        }
    }

    /// The primary has had its time, and is given up.
    pub(super) fn give_up_primary(&mut self) {
        self.under();
        if let Some(Under { descent, cold }) = &mut self.under {
            let over = descent.why_over();
            descent.give_up_level(&env(&self.template, cold.as_deref()), 0, over);
        }
    }

    /// Whether the primary, which is ready at last, may be asked: not if nobody waits any more.
    pub(super) fn may_ask_primary(&mut self) -> bool {
        let Some(Under { descent, cold }) = &mut self.under else {
            return true;
        };
        if let Some(cold) = cold {
            cold.asked = Instant::now();
        }
        descent.why_over().is_none()
    }

    /// The primary, which has its turn after another level, and what it is asked. Nothing where that has left it no time, or no request
    /// that could be sent again.
    pub(super) fn ahead<R>(&mut self) -> Option<(S, Req)>
    where
        P: Replay<R, Sent = Req, Kept = Kept>,
    {
        let Under { descent, cold } = self.under.as_mut()?;
        let (service, sent) = cold.as_mut()?.ahead.take()?;
        let shared = &self.template.chain.0;
        let protocol = &self.template.protocol;
        descent.ask_primary(shared);
        let env = env(&self.template, cold.as_deref());
        let request = descent.for_primary::<P, R, Req, L, K>(&env, sent, &mut self.kept);
        let mut request = request?;
        if let Some(times) = &descent.times {
            if times.due <= times.since {
                let over = descent.why_over();
                descent.give_up_level(&env, 0, over);
                return None;
            }
            tell(protocol, &mut request, times, shared.announces);
        }
        Some((service, request))
    }

    /// Judges how the primary has ended, and takes it in.
    pub(super) fn judged<R>(&mut self, result: Result<A, E>) -> Option<Result<P::Output, E>>
    where
        P: Replay<R, Kept = Kept>,
    {
        let protocol = &self.template.protocol;
        let verdict = Classify::<A, E>::classify(protocol, result.as_ref());
        self.ended::<R>(result, verdict)
    }

    /// Takes in how the primary has ended. Nothing when the next level is to be asked.
    #[cold]
    #[inline(never)]
    pub(super) fn ended<R>(
        &mut self,
        result: Result<A, E>,
        verdict: Verdict,
    ) -> Option<Result<P::Output, E>>
    where
        P: Replay<R, Kept = Kept>,
    {
        self.under();
        let Under { descent, cold } = self.under.as_mut()?;
        let env = env(&self.template, cold.as_deref());
        // Whoever reads the body slowly holds up nobody.
        env.come_back();
        let judged = env.judge(result.as_ref(), verdict);
        if judged.moves_on {
            let took = descent.took();
            descent.fail(&env, 0, outcome(&judged), None, took);
            if let Err(error) = &result {
                env.shared.show(Level::Primary, error);
            }
            descent.come_back_after(env.retry_after(result.as_ref(), &judged));
            descent.first = Some(result);
            return None;
        }
        let is_good = verdict == Verdict::Success;
        if is_good {
            env.shared.primary_served();
        } else if judged.refusal.is_some() {
            env.shared.failed(0, outcome(&judged), descent.took());
        } else {
            env.shared.served(0, None, || descent.by_primary());
        }
        let answer = match result {
            Ok(answer) => answer,
            Err(error) => return Some(Err(error)),
        };
        let is_full = is_good && !env.protocol.is_degraded(&answer);
        let mut answer = env.protocol.first(answer);
        if is_full {
            let asked = cold.as_ref().map_or_else(Instant::now, |cold| cold.asked);
            answer = env.keep::<A>(Level::Primary, asked, answer);
        }
        if !descent.trail.as_slice().is_empty() {
            answer = env.note::<A>(answer, descent.by_primary());
        }
        Some(Ok(answer))
    }

    /// Asks the levels below the primary. Ready with nothing when that has its turn.
    pub(super) fn below<R>(
        &mut self,
        step: &mut Option<Step<P::Output, L, E, K::Value>>,
        mut timer: Pin<&mut Timer>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<P::Output, E>>>
    where
        P: Replay<R, Sent = Req, Kept = Kept>,
        M: MarkServed<P::Output>,
    {
        self.under();
        let Some(Under { descent, cold }) = &mut self.under else {
            return Poll::Pending;
        };
        let env = env(&self.template, cold.as_deref());
        loop {
            // Polled again after a panic, or after its end, it asks nobody.
            let taken = match step.replace(Step::Over) {
                Some(taken) => taken,
                None => descent.advance::<P, R, Req, L, K>(&env, &mut self.kept),
            };
            let ended = match taken {
                Step::Running(running) => {
                    let mut running = Some(running);
                    match descent.poll_running(&env, &mut running, timer.as_mut(), cx) {
                        Poll::Ready(next) => {
                            *step = next;
                            continue;
                        }
                        Poll::Pending => {
                            *step = running.map(Step::Running);
                            return Poll::Pending;
                        }
                    }
                }
                Step::Primary => return Poll::Ready(None),
                Step::Over => return Poll::Pending,
                Step::Served(answer, by) => {
                    let answer = env.note::<A>(answer, by);
                    Ok(self.template.mark.mark(answer, &by))
                }
                Step::Failed(_, error) => Err(error),
                Step::Exhausted => exhausted(&env, descent),
            };
            // What the primary said is of no use any more.
            if let Some(first) = descent.first.take() {
                put_down(env.protocol, first, cx);
            }
            return Poll::Ready(Some(ended));
        }
    }
}
