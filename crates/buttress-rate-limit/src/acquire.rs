use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use buttress_core::{Deadline, Rejected};
use buttress_queue::Key;
use buttress_timer::{Alarm, Moment};

use crate::permit::Permit;
use crate::shared::Shared;
use crate::state::Receipt;
use crate::state::line::{Arrival, Call, Fate, Supply, Turn};
use crate::waiter::Waiter;

/// Waits for units of a rate limit: the future of [`RateLimit::acquire`](crate::RateLimit::acquire).
///
/// Nothing happens before the first poll. That takes the units if they are there and nobody waits, or a place at the end of the
/// line. Who waits has taken nothing yet; whoever is first takes its units as soon as they are there. One that was
/// [reserved](crate::RateLimit::reserve) has its place in the line from the start.
///
/// # Errors
/// A [`Rejected`] for one of these reasons:
/// * [`Throttled`](buttress_core::Reason::Throttled): too many wait already, or its turn is known to come after the longest wait, or
///   did not come before it was over, or so many units are never there at once;
/// * [`DeadlineExceeded`](buttress_core::Reason::DeadlineExceeded): the caller's deadline has passed, or is known to come before its turn;
/// * [`Unavailable`](buttress_core::Reason::Unavailable): the limit was closed.
///
/// # Panics
/// When it has to wait outside of a tokio runtime with its time driver enabled.
///
/// # Cancel safety
/// Dropping it leaves the line, and those behind it move up. Not polling it is no harm to others either: a call that does not come
/// within 10 ms when it is its turn keeps its place, but is passed over until it is polled. Where polls come later than that, because
/// the runtime is busy, the 10 ms grow with what was too short, to a second at the most, and shrink again.
///
/// Once it has ended it is pending for ever, and wakes nobody: poll it no more.
#[must_use = "futures do nothing unless polled"]
pub struct Acquire {
    shared: Arc<Shared>,
    units: u32,
    /// That of the caller.
    deadline: Option<Moment>,
    stage: Stage,
}

enum Stage {
    New,
    Waiting(Place),
    /// It has its units, and may start until then; the timer is there once somebody waits for that.
    Admitted(Moment, Receipt, Option<Box<Alarm>>),
    /// It is to be told so.
    Refused(Fate),
    Over,
}

/// A place in the line, left when dropped.
struct Place {
    waiter: Arc<Waiter>,
    key: Key,
    /// When its turn comes, as was thought when it joined.
    turn: Option<Moment>,
    /// Whether the line knows nothing of it any more.
    left: bool,
}

impl Acquire {
    pub(crate) const fn new(shared: Arc<Shared>, units: u32) -> Self {
        Self {
            shared,
            units,
            deadline: None,
            stage: Stage::New,
        }
    }

    /// Takes a place at once, and no units yet.
    pub(crate) fn reserve(shared: Arc<Shared>, units: u32) -> Result<Self, Rejected> {
        let mut acquire = Self::new(shared, units);
        let now = acquire.shared.now();
        match acquire.join(now, None) {
            Poll::Ready(Err(rejected)) => Err(rejected),
            Poll::Ready(Ok(_)) | Poll::Pending => Ok(acquire),
        }
    }

    /// Waits no longer than until `deadline`, after which nothing may start.
    pub fn before(mut self, deadline: Deadline) -> Self {
        let deadline = self.shared.moment(deadline.instant());
        self.deadline = Some(deadline);
        if let Stage::Waiting(place) = &mut self.stage {
            place.shorten(deadline);
            if place.turn.is_some_and(|turn| deadline <= turn) {
                self.stage = Stage::Refused(Fate::PastDeadline);
            }
        }
        self
    }

    /// How long it takes from now until its turn comes, as was thought when it took its place: others that leave make it shorter.
    ///
    /// `None` before it has a place, and where nobody can tell: behind others at a window.
    #[must_use]
    pub fn expected_wait(&self) -> Option<Duration> {
        match &self.stage {
            Stage::Waiting(place) => Some(place.turn?.since(self.shared.now())),
            Stage::Admitted(..) => Some(Duration::ZERO),
            Stage::New | Stage::Refused(_) | Stage::Over => None,
        }
    }

    fn arrive(&mut self, cx: &Context<'_>) -> Poll<Result<Permit, Rejected>> {
        let now = self.shared.now();
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            return self.refuse(Fate::PastDeadline, now);
        }
        if self.shared.line.is_empty()
            && let Ok(receipt) = self.shared.supply().take(self.units, now)
        {
            return self.admit(receipt, self.call(now).limit);
        }
        self.join(now, Some(cx.waker().clone()))
    }

    fn join(&mut self, now: Moment, task: Option<Waker>) -> Poll<Result<Permit, Rejected>> {
        let shared = Arc::clone(&self.shared);
        let call = self.call(now);
        let reserves = task.is_none();
        let arrival = shared.line.arrive(call, reserves, shared.supply(), || {
            Arc::new(Waiter::new(Arc::clone(&shared), now, call.limit, task))
        });
        match arrival {
            Arrival::Admitted(receipt) => self.admit(receipt, call.limit),
            Arrival::Refused(fate) => self.refuse(fate, now),
            Arrival::Waits {
                who: waiter,
                key,
                turn,
                turned_out,
            } => {
                let place = Place {
                    waiter,
                    key,
                    turn,
                    left: false,
                };
                if let Some((waiter, fate)) = turned_out {
                    waiter.announce(fate, now);
                }
                if !reserves {
                    place.arm(now);
                }
                self.stage = Stage::Waiting(place);
                shared.attend(now);
                Poll::Pending
            }
        }
    }

    fn admit(&mut self, receipt: Receipt, limit: Moment) -> Poll<Result<Permit, Rejected>> {
        self.stage = Stage::Admitted(limit, receipt, None);
        self.shared.note_admitted();
        let shared = Some(Arc::clone(&self.shared));
        Poll::Ready(Ok(Permit::new(shared, receipt)))
    }

    fn refuse(&mut self, fate: Fate, now: Moment) -> Poll<Result<Permit, Rejected>> {
        self.stage = Stage::Over;
        Poll::Ready(Err(self.shared.turn_away(fate, now)))
    }

    fn poll_place(&mut self, cx: &Context<'_>) -> Poll<Result<Permit, Rejected>> {
        let Stage::Waiting(place) = &mut self.stage else {
            return Poll::Pending;
        };
        place.waiter.remember(cx.waker());
        let now = self.shared.now();
        let turn = place.poll(now);
        let limit = place.waiter.limit();
        match turn {
            Turn::Waits => Poll::Pending,
            Turn::Admitted(receipt) => self.admit(receipt, limit),
            Turn::Over(fate) => self.refuse(fate, now),
            // Counted and told of when it was turned out.
            Turn::Gone => {
                let fate = place.waiter.fate().unwrap_or(Fate::Closed);
                self.stage = Stage::Over;
                Poll::Ready(Err(self.shared.rejection(fate, now)))
            }
        }
    }

    /// Refuses a call that has its units and could not start in time.
    pub(crate) fn poll_overdue(&mut self, cx: &Context<'_>) -> Poll<Rejected> {
        let Stage::Admitted(limit, receipt, timer) = &mut self.stage else {
            return Poll::Pending;
        };
        let (limit, receipt) = (*limit, *receipt);
        let due = self.shared.instant(limit);
        let timer = timer.get_or_insert_with(|| Box::new(Alarm::new(due)));
        ready!(timer.arm(cx.waker()));
        self.stage = Stage::Over;
        let by_deadline = self.deadline.is_some_and(|own| own <= limit);
        let fate = if by_deadline {
            Fate::PastDeadline
        } else {
            Fate::Expired { turn: None }
        };
        Poll::Ready(self.shared.withdraw(receipt, fate))
    }

    fn call(&self, now: Moment) -> Call {
        let longest = now.plus(self.shared.max_wait());
        Call {
            units: self.units,
            joined: now,
            limit: self.deadline.map_or(longest, |own| own.min(longest)),
            deadline: self.deadline,
        }
    }
}

impl Place {
    fn poll(&mut self, now: Moment) -> Turn<Receipt> {
        let shared = self.waiter.shared();
        let turn = shared.line.poll(self.key, now, shared.supply());
        self.left = !matches!(turn, Turn::Waits);
        match turn {
            Turn::Gone => return turn,
            Turn::Waits => self.arm(now),
            Turn::Admitted(_) | Turn::Over(_) => {}
        }
        // Somebody else is first now perhaps, or is to look after the first.
        shared.attend(now);
        turn
    }

    fn arm(&self, now: Moment) {
        if self.waiter.arm(now).is_ready() {
            // Due already: what that means is found out by the next poll.
            self.waiter.wake_task();
        }
    }

    fn shorten(&self, deadline: Moment) {
        self.waiter.shorten(deadline);
        self.waiter.shared().line.shorten(self.key, deadline);
    }
}

impl Drop for Place {
    // Out of line, or the drop of every call would be a call of a function.
    #[cold]
    #[inline(never)]
    fn drop(&mut self) {
        self.waiter.dismiss();
        let shared = self.waiter.shared();
        if !self.left && shared.line.leave(self.key) {
            shared.attend(shared.now());
        }
    }
}

impl Future for Acquire {
    type Output = Result<Permit, Rejected>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        match this.stage {
            Stage::New => this.arrive(cx),
            Stage::Waiting(_) => this.poll_place(cx),
            Stage::Refused(fate) => this.refuse(fate, this.shared.now()),
            // Polled after its end: there is nothing left to say.
            Stage::Admitted(..) | Stage::Over => Poll::Pending,
        }
    }
}

impl fmt::Debug for Acquire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire")
            .field("name", &self.shared.name())
            .field("units", &self.units)
            .field("expected_wait", &self.expected_wait())
            .finish_non_exhaustive()
    }
}
