//! What a breaker says in the log, under the target `buttress::circuit_breaker`.

use buttress_core::{Name, Rejected};
use buttress_sync::OncePerSecond;
use tracing::level_filters::LevelFilter;

use crate::event::Event;
use buttress_timer::Moment;

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
#[cold]
pub(crate) fn log_refusal(refusals: &OncePerSecond, rejected: Rejected, now: Moment) {
    if !tracing::enabled!(target: TARGET, tracing::Level::DEBUG) {
        return;
    }
    if let Some(refused) = refusals.take(now.nanos()) {
        let (name, retry_after) = (rejected.component(), rejected.retry_after());
        tracing::debug!(target: TARGET, %name, refused, ?retry_after, "refusing");
    }
}
