//! What all bulkheads of a component have in common: there is one, or one for each key.

use buttress_core::{Listener, Name};
use buttress_histogram::Histogram;
use buttress_sync::{Mutex, Striped};

use crate::config::Config;
use crate::event::Event;
use crate::permit::Ending;
use crate::refusals::{Refusals, TARGET};
use crate::snapshot::ClassSnapshot;
use crate::state::PerClass;

/// The settings, the counts, and whoever listens.
pub(crate) struct Component {
    pub(crate) name: Name,
    pub(crate) config: Config,
    /// Whether there is a bulkhead for each key.
    pub(crate) keyed: bool,
    pub(crate) ended: Striped<{ Ending::KINDS }>,
    pub(crate) refusals: Refusals,
    pub(crate) listener: Listener<Event>,
    pub(crate) waits: Histogram,
    /// What happened in the queues of bulkheads that were forgotten, each with its key.
    forgotten: Mutex<PerClass<ClassSnapshot>>,
}

impl Component {
    pub(crate) fn new(name: Name, config: Config, listener: Listener<Event>, keyed: bool) -> Self {
        Self {
            name,
            config,
            keyed,
            ended: Striped::new(),
            refusals: Refusals::new(name, config.retry_after, listener.is_there()),
            listener,
            waits: Histogram::new(),
            forgotten: Mutex::new(PerClass::default()),
        }
    }

    #[cold]
    pub(crate) fn tell(&self, event: Event) {
        tracing::info!(target: TARGET, name = %self.name, ?event);
        self.listener.tell(&event);
    }

    /// A bulkhead goes, and with it what it has counted.
    pub(crate) fn remember(&self, classes: &PerClass<ClassSnapshot>) {
        let mut forgotten = self.forgotten.lock();
        *forgotten = ClassSnapshot::sums(&forgotten, classes);
    }

    pub(crate) fn forgotten(&self) -> PerClass<ClassSnapshot> {
        *self.forgotten.lock()
    }
}
