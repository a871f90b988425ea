//! What is known of a call while it runs: how long it may take, and who wants to know how long it took.

use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use buttress_core::{Deadline, Name, Reason, Rejected, Verdict};
use buttress_timer::{Moment, Timer};
use tokio::time::Instant;

use crate::event::Phase;
use crate::registry;
use crate::shared::Shared;
use crate::state::{Allowance, Outcome};
use crate::watch::BodyWatch;

/// A call under way.
pub(crate) enum Call {
    /// Under a fixed limit and nothing else: the clock is not read before somebody waits, and no reference is counted.
    Fixed(Fixed),
    /// Whose time is to be known, or that has a deadline, or an answer that goes on after its head.
    Timed(Timed),
    /// Ended.
    Over,
}

pub(crate) struct Fixed {
    pub(crate) name: Name,
    pub(crate) number: u64,
    pub(crate) limit: Duration,
    /// Once somebody waits.
    pub(crate) due: Option<Instant>,
}

pub(crate) struct Timed {
    shared: Arc<Shared>,
    started: Moment,
    allowance: Allowance,
    deadline: Option<Deadline>,
    has_head: bool,
    /// Whether nobody has said yet how it ended.
    is_open: bool,
    /// Once somebody waits.
    due: Option<(Instant, Reason)>,
}

impl Call {
    /// Waits until the call has taken too long.
    #[inline]
    pub(crate) fn poll_overdue(
        &mut self,
        timer: Pin<&mut Timer>,
        cx: &mut Context<'_>,
    ) -> Poll<Rejected> {
        match self {
            Self::Fixed(call) => call.poll_overdue(timer, cx),
            Self::Timed(call) => {
                let reason = ready!(call.poll_overdue(timer, cx));
                Poll::Ready(self.cut(reason))
            }
            Self::Over => Poll::Pending,
        }
    }

    #[cold]
    fn cut(&mut self, reason: Reason) -> Rejected {
        let Self::Timed(mut call) = mem::replace(self, Self::Over) else {
            // Only such a call has said that it is overdue.
            return Rejected::new(reason, Name::new("timeout"));
        };
        let outcome = match reason {
            Reason::TimedOut => Outcome::TimedOut,
            _ => Outcome::Censored,
        };
        call.settle(outcome, Instant::now());
        call.shared.cut(reason, call.phase())
    }

    /// Takes in how the call ended. Gives what it turns into, when it ended badly and nobody waits for it any more.
    #[inline]
    pub(crate) fn end(&mut self, judge: impl FnOnce() -> Verdict) -> Ended {
        match mem::replace(self, Self::Over) {
            Self::Fixed(_) | Self::Over => Ended::Unwatched,
            Self::Timed(call) => call.end(judge),
        }
    }
}

/// What is left of a call after its future.
pub(crate) enum Ended {
    /// Nobody who could keep the time of what follows.
    Unwatched,
    /// Who can keep the time of what follows.
    Timed(Timed),
    /// It ended badly, after its deadline.
    Late(Timed),
}

impl Fixed {
    fn poll_overdue(&mut self, timer: Pin<&mut Timer>, cx: &mut Context<'_>) -> Poll<Rejected> {
        let limit = self.limit;
        let due = *self
            .due
            .get_or_insert_with(|| Deadline::after(Instant::now(), limit).instant());
        ready!(timer.poll_until(due, cx));
        Poll::Ready(self.cut())
    }

    #[cold]
    fn cut(&self) -> Rejected {
        match registry::find(self.number) {
            Some(shared) => shared.cut(Reason::TimedOut, Phase::Head),
            None => Rejected::new(Reason::TimedOut, self.name),
        }
    }
}

impl Timed {
    /// Lets a call begin at `now`, which its deadline does not forbid.
    #[inline]
    pub(crate) fn begin(
        shared: Arc<Shared>,
        now: Instant,
        deadline: Option<Deadline>,
        has_head: bool,
    ) -> Self {
        let started = shared.moment(now);
        let allowance = shared.allow(started, has_head);
        Self {
            shared,
            started,
            allowance,
            deadline,
            has_head,
            is_open: true,
            due: None,
        }
    }

    fn poll_overdue(&mut self, timer: Pin<&mut Timer>, cx: &mut Context<'_>) -> Poll<Reason> {
        let (due, reason) = self.due.unwrap_or_else(|| self.first_due());
        self.due = Some((due, reason));
        ready!(timer.poll_until(due, cx));
        Poll::Ready(reason)
    }

    fn first_due(&self) -> (Instant, Reason) {
        let own = self.shared.instant(self.started, self.allowance.limit);
        match self.deadline {
            Some(deadline) if deadline.instant() <= own => {
                (deadline.instant(), Reason::DeadlineExceeded)
            }
            _ => (own, Reason::TimedOut),
        }
    }

    /// What took too long, where it did.
    fn phase(&self) -> Phase {
        let is_total = self.shared.limits.total == Some(self.allowance.limit);
        if self.has_head && is_total {
            Phase::Total
        } else {
            Phase::Head
        }
    }

    #[inline]
    fn end(mut self, judge: impl FnOnce() -> Verdict) -> Ended {
        if self.shared.state.is_none() && self.deadline.is_none() {
            self.is_open = false;
            return Ended::Timed(self);
        }
        let outcome = match judge() {
            Verdict::Success => Outcome::Completed,
            Verdict::Neutral => Outcome::Nothing,
            _ => Outcome::Censored,
        };
        let now = Instant::now();
        if outcome != Outcome::Completed && self.is_past_deadline(now) {
            self.settle(Outcome::Censored, now);
            return Ended::Late(self);
        }
        self.settle(outcome, now);
        Ended::Timed(self)
    }

    fn is_past_deadline(&self, now: Instant) -> bool {
        self.deadline
            .is_some_and(|deadline| deadline.has_passed(now))
    }

    #[inline]
    fn settle(&mut self, outcome: Outcome, now: Instant) {
        self.is_open = false;
        let now = self.shared.moment(now);
        self.shared
            .settle(self.allowance.trial, outcome, self.started, now);
    }

    /// What becomes of a call that ended badly after its deadline.
    #[cold]
    pub(crate) fn too_late(&self) -> Rejected {
        self.shared.cut(Reason::DeadlineExceeded, self.phase())
    }

    /// Keeps the time of what follows the head.
    pub(crate) fn watch(self) -> BodyWatch {
        let total = self.shared.limits.total;
        let end = total.map(|total| self.shared.instant(self.started, total));
        let deadline = self.deadline;
        BodyWatch::new(Arc::clone(&self.shared), end, deadline)
    }
}

/// Whoever waited has gone: an answer would have taken at least as long as this.
impl Drop for Timed {
    #[inline]
    fn drop(&mut self) {
        if self.is_open && self.shared.state.is_some() {
            self.settle(Outcome::Censored, Instant::now());
        }
    }
}
