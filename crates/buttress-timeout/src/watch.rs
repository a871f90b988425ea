use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use buttress_core::{Deadline, Reason, Rejected, Watch};
use buttress_timer::Timer;
use pin_project_lite::pin_project;
use tokio::time::Instant;

use crate::event::Phase;
use crate::shared::Shared;

pin_project! {
    /// Keeps the time of an answer's body: to its first piece, between its pieces, and of the whole call.
    ///
    /// One timer for all of them, made when a piece is first waited for.
    pub struct BodyWatch {
        #[pin]
        timer: Timer,
        // Nothing where the time is not limited.
        course: Option<Course>,
    }
}

/// Where the body is.
struct Course {
    shared: Arc<Shared>,
    /// When the whole call must be over.
    end: Option<Instant>,
    deadline: Option<Deadline>,
    has_begun: bool,
    /// While the next piece is awaited: how long that may last, and what it means when it lasts longer.
    awaited: Option<(Instant, Reason, Phase)>,
}

impl BodyWatch {
    pub(crate) const fn new(
        shared: Arc<Shared>,
        end: Option<Instant>,
        deadline: Option<Deadline>,
    ) -> Self {
        Self {
            timer: Timer::new(),
            course: Some(Course {
                shared,
                end,
                deadline,
                has_begun: false,
                awaited: None,
            }),
        }
    }

    /// Says that nothing is ever overdue.
    pub(crate) const fn of_nobody() -> Self {
        Self {
            timer: Timer::new(),
            course: None,
        }
    }
}

impl Watch for BodyWatch {
    fn poll_overdue(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Rejected> {
        let this = self.project();
        let Some(course) = this.course else {
            return Poll::Pending;
        };
        let (due, reason, phase) = match course.awaited {
            Some(awaited) => awaited,
            None => *course.awaited.insert(course.wait(Instant::now())),
        };
        ready!(this.timer.poll_until(due, cx));
        Poll::Ready(course.shared.cut(reason, phase))
    }

    fn progressed(self: Pin<&mut Self>) -> Result<(), Rejected> {
        let Some(course) = self.project().course else {
            return Ok(());
        };
        course.has_begun = true;
        course.awaited = None;
        match course.last() {
            Some((due, reason, phase)) if due <= Instant::now() => {
                Err(course.shared.cut(reason, phase))
            }
            _ => Ok(()),
        }
    }

    fn spare_stream(&mut self) {
        if let Some(course) = &mut self.course {
            course.end = None;
            course.deadline = course.deadline.and_then(Deadline::for_stream);
        }
    }

    fn deadline(&self) -> Option<Deadline> {
        self.course.as_ref()?.deadline?.callers()
    }
}

impl Course {
    /// The first of what a piece that is awaited from `now` on can be too late for.
    fn wait(&self, now: Instant) -> (Instant, Reason, Phase) {
        let limits = &self.shared.limits;
        let (phase, pause) = if self.has_begun {
            (Phase::Idle, limits.idle)
        } else {
            (Phase::FirstByte, limits.first_byte())
        };
        let pause = (
            Deadline::after(now, pause).instant(),
            Reason::TimedOut,
            phase,
        );
        match self.last() {
            Some(last) if last.0 <= pause.0 => last,
            _ => pause,
        }
    }

    /// When all of the answer must be there, whatever comes of it until then.
    fn last(&self) -> Option<(Instant, Reason, Phase)> {
        let end = self.end.map(|end| (end, Reason::TimedOut, Phase::Total));
        let deadline = self
            .deadline
            .map(|deadline| (deadline.instant(), reason(deadline), Phase::Total));
        match (end, deadline) {
            (Some(end), Some(deadline)) if end.0 < deadline.0 => Some(end),
            (end, None) => end,
            (_, deadline) => deadline,
        }
    }
}

/// Why a call is cut at this deadline: because its caller is gone, or because a total timeout of ours further out is over.
pub(crate) fn reason(deadline: Deadline) -> Reason {
    if deadline.is_callers() {
        Reason::DeadlineExceeded
    } else {
        Reason::TimedOut
    }
}

impl fmt::Debug for BodyWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("BodyWatch");
        if let Some(course) = &self.course {
            debug
                .field("name", &course.shared.name)
                .field("end", &course.end)
                .field("deadline", &course.deadline);
        }
        debug.finish_non_exhaustive()
    }
}
