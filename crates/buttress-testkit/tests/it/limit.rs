//! A small limit on calls that hold their slot until the response is read, and every fault it may have.

mod fault;
mod response;

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::AcqRel, Ordering::Acquire};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};
use std::thread;

use buttress_testkit::{Live, ProbeError, Reader, Subject};
use tower::{Layer, Service};

pub(crate) use fault::Fault;
pub(crate) use response::{LimitError, Response};

/// At most `max` calls inside; refuses the others.
#[derive(Clone, Debug)]
pub(crate) struct Limit {
    fault: Fault,
    max: usize,
    taken: Arc<AtomicUsize>,
}

impl Limit {
    pub(crate) fn new(max: usize, fault: Fault) -> Self {
        let max = max + usize::from(fault == Fault::AdmitsOneMore);
        Self {
            fault,
            max,
            taken: Arc::default(),
        }
    }

    /// A subject for the kit: responses have two parts, and slots are conserved.
    pub(crate) fn subject(
        max: usize,
        fault: Fault,
    ) -> Subject<Self, (), Live, ProbeError, impl Reader<Response> + Sync> {
        let limit = Self::new(max, fault);
        let taken = Arc::clone(&limit.taken);
        Subject::new(limit)
            .conserves("slots", move || taken.load(Acquire))
            .reads(|mut response, _| Poll::Ready(response.next_part()))
    }

    fn take(&self) -> Option<Slot> {
        let free = |taken| (taken < self.max).then_some(taken + 1);
        self.taken.fetch_update(AcqRel, Acquire, free).ok()?;
        Some(Slot {
            fault: self.fault,
            taken: Arc::clone(&self.taken),
        })
    }
}

impl<S> Layer<S> for Limit {
    type Service = LimitService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let limit = self.clone();
        LimitService {
            inner,
            limit,
            ready: false,
            reserved: None,
            waker: None,
            alive: Arc::default(),
        }
    }
}

// === Slot ===

#[derive(Debug)]
struct Slot {
    fault: Fault,
    taken: Arc<AtomicUsize>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !(thread::panicking() && self.fault == Fault::LeaksOnPanic) {
            self.taken.fetch_sub(1, AcqRel);
        }
    }
}

// === LimitService ===

#[derive(Debug)]
pub(crate) struct LimitService<S> {
    inner: S,
    limit: Limit,
    ready: bool,
    reserved: Option<Slot>,
    waker: Option<Waker>,
    alive: Arc<()>,
}

impl<S: Clone> Clone for LimitService<S> {
    fn clone(&self) -> Self {
        let ready = self.ready && self.limit.fault == Fault::CarriesReadinessToClones;
        let (inner, limit) = (self.inner.clone(), self.limit.clone());
        Self {
            inner,
            limit,
            ready,
            reserved: None,
            waker: None,
            alive: Arc::default(),
        }
    }
}

impl<S, Req> Service<Req> for LimitService<S>
where
    S: Service<Req, Response = Live, Error = ProbeError> + Clone,
    Req: Clone,
{
    type Response = Response;
    type Error = LimitError;
    type Future = LimitFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LimitError>> {
        let fault = self.limit.fault;
        if self.ready || fault == Fault::IgnoresReadiness {
            return Poll::Ready(Ok(()));
        }
        if fault.reserves_when_ready() && self.reserved.is_none() {
            self.reserved = self.limit.take();
        }
        let poll = fault.poll(cx, &mut self.waker, |cx| self.inner.poll_ready(cx));
        self.ready = fault == Fault::CarriesReadinessToClones && poll.is_ready();
        match poll {
            Poll::Ready(Err(_)) if fault == Fault::SwallowsTheReadinessError => Poll::Ready(Ok(())),
            poll => poll.map_err(LimitError::Inner),
        }
    }

    fn call(&mut self, request: Req) -> Self::Future {
        self.ready = false;
        let fault = self.limit.fault;
        let mut future = LimitFuture {
            fault,
            inner: None,
            slot: None,
            polled: false,
            waker: None,
            service: Arc::downgrade(&self.alive),
        };
        if fault == Fault::AnswersByItself {
            return future;
        }
        let Some(slot) = self.reserved.take().or_else(|| self.limit.take()) else {
            return future;
        };
        match catch_unwind(AssertUnwindSafe(|| self.call_inner(request))) {
            Ok(inner) => {
                future.inner = Some(Box::pin(inner));
                future.slot = Some(slot);
                future
            }
            Err(_) if fault == Fault::CatchesThePanic => future,
            Err(panic) => {
                if fault == Fault::RefusesAfterAPanic {
                    self.limit.max = 0;
                }
                let _unwound = slot;
                resume_unwind(panic)
            }
        }
    }
}

impl<S> LimitService<S> {
    fn call_inner<Req: Clone>(&mut self, request: Req) -> S::Future
    where
        S: Service<Req> + Clone,
    {
        match self.limit.fault {
            Fault::ClonesInCall => self.inner.clone().call(request),
            Fault::HidesABreach => {
                let mut clone = self.inner.clone();
                let wrong = AssertUnwindSafe(|| drop(clone.call(request.clone())));
                assert!(catch_unwind(wrong).is_err());
                self.inner.call(request)
            }
            _ => self.inner.call(request),
        }
    }
}

impl<S> Drop for LimitService<S> {
    fn drop(&mut self) {
        if self.limit.fault == Fault::LeaksTheReservation {
            mem::forget(self.reserved.take());
        }
    }
}

// === LimitFuture ===

/// Without an inner future the call is refused.
#[derive(Debug)]
pub(crate) struct LimitFuture<F> {
    fault: Fault,
    inner: Option<Pin<Box<F>>>,
    slot: Option<Slot>,
    polled: bool,
    waker: Option<Waker>,
    service: Weak<()>,
}

impl<F> Future for LimitFuture<F>
where
    F: Future<Output = Result<Live, ProbeError>>,
{
    type Output = Result<Response, LimitError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        this.polled = true;
        let fault = this.fault;
        if fault == Fault::StallsWithoutItsService && this.service.strong_count() == 0 {
            return Poll::Pending;
        }
        let Some(inner) = &mut this.inner else {
            return Poll::Ready(match fault {
                Fault::AnswersByItself => Ok(Response::new(fault, None, None)),
                _ => Err(LimitError::Full),
            });
        };
        // On the stack, so that a panic finds the slot there.
        let slot = this.slot.take();
        let poll =
            AssertUnwindSafe(|| fault.poll(cx, &mut this.waker, |cx| inner.as_mut().poll(cx)));
        let poll = match catch_unwind(poll) {
            Ok(poll) => poll,
            Err(_) if fault == Fault::CatchesThePanic => return Poll::Ready(Err(LimitError::Full)),
            Err(panic) => {
                let _unwound = slot;
                resume_unwind(panic)
            }
        };
        match poll {
            Poll::Pending => {
                this.slot = slot;
                Poll::Pending
            }
            Poll::Ready(Ok(live)) => Poll::Ready(Ok(Response::new(fault, Some(live), slot))),
            Poll::Ready(Err(error)) => Poll::Ready(Err(fail(fault, error, slot))),
        }
    }
}

fn fail(fault: Fault, error: ProbeError, slot: Option<Slot>) -> LimitError {
    if fault == Fault::LeaksOnError {
        mem::forget(slot);
    }
    if fault == Fault::ReplacesTheError {
        LimitError::Full
    } else {
        LimitError::Inner(error)
    }
}

impl<F> Drop for LimitFuture<F> {
    fn drop(&mut self) {
        let leaks = match self.fault {
            Fault::LeaksBeforeTheFirstPoll => !self.polled,
            Fault::LeaksWhileRunning => self.polled,
            _ => false,
        };
        if leaks {
            mem::forget(self.slot.take());
        }
        if self.fault == Fault::KeepsTheFuture {
            mem::forget(self.inner.take());
        }
    }
}
