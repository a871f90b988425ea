use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use buttress_core::{Deadline, Priority, Rejected};
use buttress_queue::Key;
use buttress_timer::Alarm;
use tokio::time::Instant;

use crate::permit::Permit;
use crate::shared::Shared;
use crate::state::{Call, Fate, NoPlace, Turn};
use crate::waiter::Waiter;

/// Waits for a slot of a bulkhead: the future of [`Bulkhead::acquire`](crate::Bulkhead::acquire).
///
/// Nothing happens before the first poll. That takes a slot if one is free for it, or a place in the queue, behind all of its
/// class that are there.
///
/// # Errors
/// A [`Rejected`] for one of these reasons:
/// * [`Overloaded`](buttress_core::Reason::Overloaded): the queue was full of calls that are no less important, or a more
///   important one took the place, or the longest wait was over;
/// * [`DeadlineExceeded`](buttress_core::Reason::DeadlineExceeded): the caller's deadline has passed;
/// * [`Unavailable`](buttress_core::Reason::Unavailable): the bulkhead was closed.
///
/// # Panics
/// When it has to wait outside of a tokio runtime with its time driver enabled.
///
/// # Cancel safety
/// Dropping it leaves the queue; a slot that it was granted meanwhile goes to the next in the same moment. Not polling it is
/// no harm to others either: a grant that is not taken up in time (10 ms, see
/// [`grant_timeout`](crate::BulkheadBuilder::grant_timeout)) goes to the next, and the call is passed over until it is polled.
#[must_use = "futures do nothing unless polled"]
pub struct Acquire {
    shared: Arc<Shared>,
    priority: Priority,
    /// That of the caller: a moment is all that is needed of it.
    deadline: Option<Instant>,
    stage: Stage,
}

enum Stage {
    New,
    Queued(Place),
    /// It has its slot, and may start until then; the timer is there once somebody waits for that.
    Admitted(Instant, Option<Box<Alarm>>),
    Over,
}

/// A place in the queue, left when dropped.
struct Place {
    waiter: Arc<Waiter>,
    key: Key,
    /// Whether the queue knows nothing of it any more.
    left: bool,
}

impl Acquire {
    pub(crate) const fn new(shared: Arc<Shared>, priority: Priority) -> Self {
        Self {
            shared,
            priority,
            deadline: None,
            stage: Stage::New,
        }
    }

    /// Waits no longer than until `deadline`, after which nothing may start.
    pub const fn before(mut self, deadline: Deadline) -> Self {
        self.deadline = Some(deadline.instant());
        self
    }

    fn arrive(&mut self, cx: &Context<'_>) -> Poll<Result<Permit, Rejected>> {
        let now = Instant::now();
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            return Poll::Ready(Err(self.shared.turn_away(Fate::PastDeadline)));
        }
        if let Some(claim) = self.shared.try_take(|| self.priority) {
            self.stage = Stage::Admitted(self.call(now).limit, None);
            return Poll::Ready(Ok(Permit::new(Arc::clone(&self.shared), claim)));
        }
        if !self.shared.may_wait() {
            return Poll::Ready(Err(*self.shared.refuse()));
        }
        self.join(now, cx)
    }

    fn join(&mut self, now: Instant, cx: &Context<'_>) -> Poll<Result<Permit, Rejected>> {
        let shared = &self.shared;
        let call = self.call(now);
        let waiter = Waiter::new(Arc::clone(shared), now, call.limit, cx.waker().clone());
        let waiter = Arc::new(waiter);
        let arrival = shared.state.join(call, Arc::clone(&waiter));
        let place = arrival.place.map(|key| Place {
            waiter,
            key,
            left: false,
        });
        if let Some(notice) = arrival.turned_out {
            shared.deliver(notice);
        }
        if arrival.serve {
            shared.serve(now);
        }
        match place {
            Err(NoPlace::Full) => Poll::Ready(Err(*shared.refuse())),
            Err(NoPlace::Closed) => Poll::Ready(Err(shared.turn_away(Fate::Closed))),
            Ok(mut place) => {
                let polled = if arrival.serve {
                    place.poll()
                } else {
                    place.arm()
                };
                self.stage = Stage::Queued(place);
                polled
            }
        }
    }

    /// Refuses a call that has its slot and could not start in time.
    pub(crate) fn poll_overdue(&mut self, cx: &Context<'_>) -> Poll<Rejected> {
        let Stage::Admitted(limit, timer) = &mut self.stage else {
            return Poll::Pending;
        };
        let limit = *limit;
        let timer = timer.get_or_insert_with(|| Box::new(Alarm::new(limit)));
        ready!(timer.arm(cx.waker()));
        self.stage = Stage::Over;
        let by_deadline = self.deadline.is_some_and(|own| own <= limit);
        let fate = if by_deadline {
            Fate::PastDeadline
        } else {
            Fate::Expired
        };
        Poll::Ready(self.shared.turn_away(fate))
    }

    fn call(&self, now: Instant) -> Call {
        let longest = Deadline::after(now, self.shared.max_wait()).instant();
        Call {
            priority: self.priority,
            joined: now,
            limit: self.deadline.map_or(longest, |own| own.min(longest)),
            deadline: self.deadline,
        }
    }
}

impl Place {
    fn poll(&mut self) -> Poll<Result<Permit, Rejected>> {
        loop {
            let rejected = match self.waiter.shared().state.poll(self.key, Instant::now) {
                Turn::Waits(_) => return self.wait_on(),
                Turn::Served => {
                    self.waiter.shared().serve(Instant::now());
                    continue;
                }
                Turn::Admitted {
                    claim,
                    waited,
                    others,
                } => {
                    self.left = true;
                    let shared = self.waiter.shared();
                    // First of all: from here on the slot is given back whatever happens.
                    let permit = Permit::new(Arc::clone(shared), claim);
                    shared.note_wait(waited);
                    if others {
                        shared.watch(Instant::now());
                    }
                    return Poll::Ready(Ok(permit));
                }
                Turn::Over(fate) => {
                    // Perhaps it held a slot, which is free now.
                    self.waiter.shared().serve(Instant::now());
                    self.waiter.shared().turn_away(fate)
                }
                // Counted and told of when it was turned out.
                Turn::Gone => {
                    let fate = self.waiter.fate().unwrap_or(Fate::Closed);
                    self.waiter.shared().component.refusals.of(fate)
                }
            };
            self.left = true;
            return Poll::Ready(Err(rejected));
        }
    }

    fn wait_on(&self) -> Poll<Result<Permit, Rejected>> {
        self.waiter.look_again(Instant::now());
        self.arm()
    }

    fn arm(&self) -> Poll<Result<Permit, Rejected>> {
        if self.waiter.arm().is_ready() {
            // Due already: what that means is found out by the next poll.
            self.waiter.wake_task();
        }
        Poll::Pending
    }
}

impl Drop for Place {
    // Out of line, or the drop of every call would be a call of a function.
    #[cold]
    #[inline(never)]
    fn drop(&mut self) {
        self.waiter.dismiss();
        if !self.left && self.waiter.shared().state.leave(self.key) {
            self.waiter.shared().serve(Instant::now());
        }
    }
}

impl Future for Acquire {
    type Output = Result<Permit, Rejected>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let polled = match &mut this.stage {
            Stage::New => this.arrive(cx),
            Stage::Queued(place) => {
                place.waiter.remember(cx.waker());
                place.poll()
            }
            // Polled after its end: there is nothing left to say.
            Stage::Admitted(..) | Stage::Over => return Poll::Pending,
        };
        match (&polled, &this.stage) {
            (Poll::Ready(Ok(_)), Stage::Queued(place)) => {
                this.stage = Stage::Admitted(place.waiter.limit(), None);
            }
            (Poll::Ready(Err(_)), _) => this.stage = Stage::Over,
            _ => {}
        }
        polled
    }
}

impl fmt::Debug for Acquire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire")
            .field("name", &self.shared.name())
            .field("priority", &self.priority)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
