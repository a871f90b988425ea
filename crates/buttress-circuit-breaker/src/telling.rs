//! What a breaker says in the log, under the target `buttress::circuit_breaker`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use buttress_core::{Name, Rejected};
use tracing::level_filters::LevelFilter;

use crate::event::Event;
use crate::state::Moment;

const TARGET: &str = "buttress::circuit_breaker";

/// Logs a transition: opening as a warning, the rest as information.
#[cold]
pub(crate) fn log(name: Name, event: &Event) {
    match *event {
        Event::Opened {
            sequence,
            cause,
            open_for,
            reopened,
        } => {
            tracing::warn!(target: TARGET, %name, sequence, ?cause, ?open_for, reopened, "opened");
        }
        Event::HalfOpened { sequence } => {
            tracing::info!(target: TARGET, %name, sequence, "half-open");
        }
        Event::Closed { sequence, story } => {
            tracing::info!(
                target: TARGET, %name, sequence, open_for = ?story.open_for,
                refused = story.refused, probes = ?story.probes, reopened = story.reopened, "closed"
            );
        }
        Event::Forced { sequence, state } => {
            tracing::info!(target: TARGET, %name, sequence, %state, "forced");
        }
        Event::Refused { .. } => {}
    }
}

/// Whether anybody may want to know of refusals: one load while nobody does.
#[inline]
pub(crate) fn may_be_heard() -> bool {
    LevelFilter::current() >= LevelFilter::DEBUG
}

/// Logs refusals, at most one line a second; the line says how many there were since the last.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    unlogged: AtomicU64,
    next_line: AtomicU64,
}

impl Refusals {
    pub(crate) fn log(&self, rejected: Rejected, now: Moment) {
        self.unlogged.fetch_add(1, Ordering::Relaxed);
        let due = self.next_line.load(Ordering::Relaxed);
        let next = now.plus(Duration::from_secs(1)).nanos();
        let is_due = due <= now.nanos();
        let take = || {
            self.next_line
                .compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed)
        };
        if is_due && take().is_ok() {
            let refused = self.unlogged.swap(0, Ordering::Relaxed);
            let (name, retry_after) = (rejected.component(), rejected.retry_after());
            tracing::debug!(target: TARGET, %name, refused, ?retry_after, "refusing");
        }
    }
}
