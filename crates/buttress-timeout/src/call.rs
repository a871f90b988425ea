//! What is known of a call while it runs: how long it may take, and who wants to know how long it took.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use buttress_core::{Deadline, Name, Reason, Rejected, Verdict};
use buttress_timer::{Moment, Timer};
use pin_project_lite::pin_project;
use tokio::time::Instant;

use crate::event::Phase;
use crate::shared::{HANDLES, Shared};
use crate::state::{Allowance, Outcome};
use crate::watch::{BodyWatch, reason};

pin_project! {
    /// A call under way.
    // With a tag of its own, so that one comparison says that there is nothing to drop, and as wide as what follows, so that that is
    // written where it stays.
    #[repr(u64)]
    #[project = CallProjection]
    pub(crate) enum Call {
        /// Under a fixed limit and nothing else, and nobody has had to wait: the clock is not read, and no reference is counted.
        Fixed { fixed: Fixed },
        /// The same once somebody waits.
        Waiting { #[pin] timer: Timer, fixed: Fixed },
        /// Whose time is to be known, or that has a deadline, or an answer that goes on after its head.
        Timed { #[pin] timer: Timer, timed: Timed },
    }
}

/// All that such a call takes along: each has a copy.
#[derive(Clone, Copy)]
pub(crate) struct Fixed {
    pub(crate) name: Name,
    pub(crate) number: u64,
    /// In nanoseconds.
    pub(crate) limit: u64,
}

pub(crate) struct Timed {
    shared: Arc<Shared>,
    started: Moment,
    allowance: Allowance,
    deadline: Option<Deadline>,
    has_head: bool,
    /// Whether somebody wants to know how it ended, and has not been told.
    is_open: bool,
}

/// What is to be said of a call that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    InTime,
    /// It ended badly, after its deadline.
    Late,
}

impl Call {
    // Field by field: as a whole it would be copied by way of the stack.
    #[inline(always)]
    pub(crate) const fn fixed(of: &Fixed) -> Self {
        let &Fixed {
            name,
            number,
            limit,
        } = of;
        let fixed = Fixed {
            name,
            number,
            limit,
        };
        Self::Fixed { fixed }
    }

    #[inline(always)]
    pub(crate) const fn timed(timed: Timed) -> Self {
        let timer = Timer::new();
        Self::Timed { timer, timed }
    }

    /// Waits until the call has taken too long.
    #[inline]
    pub(crate) fn poll_overdue(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Rejected> {
        if let Self::Fixed { fixed } = *self {
            let timer = Timer::new();
            self.set(Self::Waiting { timer, fixed });
        }
        match self.project() {
            CallProjection::Waiting { timer, fixed } => {
                ready!(timer.poll_first(|| fixed.due(), cx));
                Poll::Ready(fixed.cut())
            }
            CallProjection::Timed { timer, timed } => timed.poll_overdue(timer, cx),
            // It has just become one that waits.
            CallProjection::Fixed { .. } => Poll::Pending,
        }
    }
}

impl Fixed {
    fn due(&self) -> Instant {
        Deadline::after(Instant::now(), Duration::from_nanos(self.limit)).instant()
    }

    #[cold]
    fn cut(&self) -> Rejected {
        match HANDLES.find(self.number) {
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
        let is_open = shared.state.is_some() || deadline.and_then(Deadline::callers).is_some();
        Self {
            shared,
            started,
            allowance,
            deadline,
            has_head,
            is_open,
        }
    }

    fn poll_overdue(&mut self, timer: Pin<&mut Timer>, cx: &mut Context<'_>) -> Poll<Rejected> {
        ready!(timer.poll_first(|| self.first_due().0, cx));
        Poll::Ready(self.cut())
    }

    #[cold]
    fn cut(&mut self) -> Rejected {
        let (due, reason) = self.first_due();
        let outcome = if due == self.own_due() {
            Outcome::TimedOut
        } else {
            Outcome::Censored
        };
        if self.is_open {
            self.settle(outcome, Instant::now());
        }
        self.shared.cut(reason, self.phase())
    }

    /// When it has taken too long, and why.
    fn first_due(&self) -> (Instant, Reason) {
        let own = self.own_due();
        match self.deadline {
            Some(deadline) if deadline.instant() <= own => (deadline.instant(), reason(deadline)),
            _ => (own, Reason::TimedOut),
        }
    }

    fn own_due(&self) -> Instant {
        self.shared.instant(self.started, self.allowance.limit)
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
    pub(crate) const fn is_open(&self) -> bool {
        self.is_open
    }

    /// Takes in how the call ended.
    #[inline]
    pub(crate) fn end(&mut self, verdict: Verdict) -> Ended {
        // How long a failure took says nothing of how long an answer does.
        let outcome = match verdict {
            Verdict::Success => Outcome::Completed,
            _ => Outcome::Nothing,
        };
        let now = Instant::now();
        if outcome != Outcome::Completed && self.is_past_deadline(now) {
            self.settle(Outcome::Censored, now);
            return Ended::Late;
        }
        self.settle(outcome, now);
        Ended::InTime
    }

    /// Whether its caller is gone.
    fn is_past_deadline(&self, now: Instant) -> bool {
        let callers = self.deadline.and_then(Deadline::callers);
        callers.is_some_and(|deadline| deadline.has_passed(now))
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
    pub(crate) fn watch(&self) -> BodyWatch {
        let total = self.shared.limits.total;
        let end = total.map(|total| self.shared.instant(self.started, total));
        BodyWatch::new(Arc::clone(&self.shared), end, self.deadline)
    }

    #[cold]
    #[inline(never)]
    fn give_up(&mut self) {
        self.settle(Outcome::Censored, Instant::now());
    }
}

/// Whoever waited has gone: an answer would have taken at least as long as this.
impl Drop for Timed {
    #[inline]
    fn drop(&mut self) {
        if self.is_open {
            self.give_up();
        }
    }
}
