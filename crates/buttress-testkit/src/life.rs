//! The whole life of one call, in steps: whoever holds it may cut it off after any of them.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::Poll;

use tower_service::Service;

use crate::ending::End;
use crate::error::{ProbeError, ScriptedPanic};
use crate::hang;
use crate::testable::Testable;
use crate::waker::CountingWaker;

/// No honest call takes as many steps.
pub(crate) const MOST_STEPS: usize = 1_000;

pub(crate) type FutureOf<X> =
    <<X as Testable>::Service as Service<<X as Testable>::Request>>::Future;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

pub(crate) struct Life<X: Testable> {
    // Dropped in this order: a future goes before the service that made it.
    work: Work<X>,
    service: X::Service,
    waker: CountingWaker,
    hangs: bool,
}

enum Work<X: Testable> {
    Readying,
    Ready,
    Calling {
        future: Pin<Box<FutureOf<X>>>,
        polled: bool,
    },
    Reading {
        response: Pin<Box<X::Response>>,
        begun: bool,
    },
    Over {
        end: End,
        error: Option<BoxError>,
    },
}

/// What one step did.
pub(crate) enum Step {
    /// The life went on to its next work, or is over.
    Moved,
    /// A poll was pending.
    Pending,
}

/// Why a run of steps stopped.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Halt {
    /// All steps were done.
    Cut,
    /// The last poll was pending and its waker was not woken.
    Stalled,
    /// The life is over.
    Over,
}

impl<X: Testable> Life<X> {
    pub(crate) fn new(service: X::Service) -> Self {
        Self::woken_by(service, CountingWaker::new())
    }

    pub(crate) fn woken_by(service: X::Service, waker: CountingWaker) -> Self {
        Self {
            work: Work::Readying,
            service,
            waker,
            hangs: false,
        }
    }

    /// Takes up to so many steps, each pending poll followed by another only when it was woken.
    pub(crate) fn run(&mut self, subject: &X, steps: usize) -> Halt {
        for _ in 0..steps {
            match self.step(subject) {
                Step::Pending if !self.is_woken() => return Halt::Stalled,
                Step::Moved if self.is_over() => return Halt::Over,
                _ => {}
            }
        }
        Halt::Cut
    }

    /// Takes one step; a panic that a script asked for ends the life, any other goes on.
    pub(crate) fn step(&mut self, subject: &X) -> Step {
        self.waker.take();
        hang::take();
        let step = catch_unwind(AssertUnwindSafe(|| self.advance(subject)));
        self.hangs = hang::take();
        match step {
            Ok(step) => step,
            Err(panic) if ScriptedPanic::is(&*panic) => self.finish(End::Panicked, None),
            Err(panic) => resume_unwind(panic),
        }
    }

    /// Whether the last step found the inner future hanging.
    pub(crate) fn hangs(&self) -> bool {
        self.hangs
    }

    /// Whether anything has woken it since the last step began.
    pub(crate) fn is_woken(&self) -> bool {
        self.waker.is_woken()
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(self.work, Work::Over { .. })
    }

    /// How the life ends when it is cut off here.
    pub(crate) fn end(&self) -> End {
        match &self.work {
            Work::Readying => End::DroppedUnready,
            Work::Ready => End::DroppedReady,
            Work::Calling { polled: false, .. } => End::DroppedUnpolled,
            Work::Calling { polled: true, .. } => End::DroppedRunning,
            Work::Reading { begun: false, .. } => End::DroppedUnread,
            Work::Reading { begun: true, .. } => End::DroppedReading,
            Work::Over { end, .. } => *end,
        }
    }

    /// Drops the work; the service lives on when it was called, and is dropped when it was not.
    pub(crate) fn cut(self) -> Option<X::Service> {
        let Self { work, service, .. } = self;
        (!matches!(work, Work::Readying | Work::Ready)).then_some(service)
    }

    pub(crate) fn into_service(self) -> X::Service {
        self.service
    }

    /// How the life stands, for a message.
    pub(crate) fn story(&self) -> String {
        match &self.work {
            Work::Over {
                end,
                error: Some(error),
            } => format!("{end}: {error}"),
            _ => self.end().to_string(),
        }
    }

    fn advance(&mut self, subject: &X) -> Step {
        match &mut self.work {
            Work::Readying => self.get_ready(),
            Work::Ready => self.call(subject),
            Work::Calling { .. } => self.poll(),
            Work::Reading { .. } => self.read(subject),
            Work::Over { .. } => Step::Moved,
        }
    }

    fn get_ready(&mut self) -> Step {
        match self.service.poll_ready(&mut self.waker.context()) {
            Poll::Pending => Step::Pending,
            Poll::Ready(Ok(())) => self.move_on(Work::Ready),
            Poll::Ready(Err(error)) => self.fail(error),
        }
    }

    fn call(&mut self, subject: &X) -> Step {
        let future = Box::pin(self.service.call(subject.request()));
        self.move_on(Work::Calling {
            future,
            polled: false,
        })
    }

    fn poll(&mut self) -> Step {
        let Work::Calling { future, polled } = &mut self.work else {
            return Step::Moved;
        };
        *polled = true;
        match future.as_mut().poll(&mut self.waker.context()) {
            Poll::Pending => Step::Pending,
            Poll::Ready(Ok(response)) => self.move_on(Work::Reading {
                response: Box::pin(response),
                begun: false,
            }),
            Poll::Ready(Err(error)) => self.fail(error),
        }
    }

    fn read(&mut self, subject: &X) -> Step {
        let Work::Reading { response, begun } = &mut self.work else {
            return Step::Moved;
        };
        *begun = true;
        match subject.read(response.as_mut(), &mut self.waker.context()) {
            Poll::Pending => Step::Pending,
            Poll::Ready(Some(())) => Step::Moved,
            Poll::Ready(None) => self.finish(End::Answered, None),
        }
    }

    fn fail(&mut self, error: X::Error) -> Step {
        let error = error.into();
        let end = if ProbeError::is_in(&*error) {
            End::Failed
        } else {
            End::Refused
        };
        self.finish(end, Some(error))
    }

    fn finish(&mut self, end: End, error: Option<BoxError>) -> Step {
        self.move_on(Work::Over { end, error })
    }

    fn move_on(&mut self, work: Work<X>) -> Step {
        self.work = work;
        Step::Moved
    }
}
