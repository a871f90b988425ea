//! What all breakers of a component have in common: there is one, or one for each key.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use buttress_core::{Listener, Name, Rejected};
use buttress_sync::{OncePerSecond, Random};
use buttress_timer::Moment;
use tokio::time::Instant;

use crate::config::Config;
use crate::counts::Counts;
use crate::event::Event;
use crate::telling;

/// The settings, the clock, the counts, and whoever listens.
pub(crate) struct Component {
    pub(crate) name: Name,
    pub(crate) config: Arc<Config>,
    pub(crate) counts: Counts,
    /// What the breakers have refused that were forgotten, each with its key.
    refused_by_forgotten: AtomicU64,
    /// Whether there is a breaker for each key.
    pub(crate) keyed: bool,
    pub(crate) origin: Instant,
    random: Random,
    listener: Listener<Event>,
    refusals: OncePerSecond,
}

impl Component {
    pub(crate) fn new(
        name: Name,
        config: Config,
        seed: Option<u64>,
        listener: Listener<Event>,
        keyed: bool,
    ) -> Self {
        Self {
            name,
            config: Arc::new(config),
            counts: Counts::default(),
            refused_by_forgotten: AtomicU64::new(0),
            keyed,
            origin: Instant::now(),
            random: seed.map_or_else(Random::from_entropy, Random::seeded),
            listener,
            refusals: OncePerSecond::default(),
        }
    }

    pub(crate) fn draw(&self) -> u64 {
        self.random.next_u64()
    }

    /// No lock is held here: an observer may use the handle.
    pub(crate) fn tell(&self, event: Option<Event>) {
        if let Some(event) = event {
            telling::log(self.name, &event);
            self.listener.tell(&event);
        }
    }

    /// Whether anybody may want to know of refusals.
    #[inline]
    pub(crate) fn is_heard(&self) -> bool {
        self.listener.is_there() || telling::may_be_heard()
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn tell_refusal(&self, rejected: Rejected, now: Moment) {
        telling::log_refusal(&self.refusals, rejected, now);
        self.listener.tell(&Event::Refused { rejected });
    }

    /// A breaker goes, and with it its count of refusals.
    pub(crate) fn remember_refusals(&self, refused: u64) {
        self.refused_by_forgotten
            .fetch_add(refused, Ordering::Relaxed);
    }

    pub(crate) fn refused_by_forgotten(&self) -> u64 {
        self.refused_by_forgotten.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Component")
            .field("name", &self.name)
            .field("config", &self.config)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}
