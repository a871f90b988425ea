use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use buttress_core::{ConfigError, Listener, Name, Observer, Priority};

use crate::component::Component;
use crate::event::Event;
use crate::handle::Bulkhead;
use crate::keyed_builder::KeyedBulkheadBuilder;
use crate::state::{MOST_CALLS, MOST_QUEUED, PerClass, Terms};

/// Every setting, once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Config {
    pub(crate) max_concurrent: u32,
    pub(crate) reserved: u32,
    pub(crate) max_wait: Duration,
    pub(crate) terms: Terms,
    pub(crate) retry_after: Duration,
}

/// What the shares of all classes come to at most, in percent: the rest is what priority means.
const MOST_SHARED: u32 = 50;

impl Default for Config {
    fn default() -> Self {
        Self {
            max_concurrent: 100,
            reserved: 0,
            max_wait: Duration::from_secs(30),
            terms: Terms {
                capacity: 200,
                caps: PerClass::from_fn(|_| MOST_QUEUED),
                shares: PerClass::from_fn(|class| if class == Priority::Critical { 0 } else { 5 }),
                patience: Duration::from_millis(10),
            },
            retry_after: Duration::from_secs(1),
        }
    }
}

impl Config {
    fn validate(&self) -> Result<(), ConfigError> {
        validate_max_concurrent(self.max_concurrent, self.reserved)?;
        validate_queue(self.terms.capacity)?;
        let shares = &self.terms.shares;
        let sum = shares
            .iter()
            .fold(0_u32, |sum, (_, share)| sum.saturating_add(*share));
        if sum > MOST_SHARED {
            let problem = format!("must be {MOST_SHARED} % at most together, not {sum} %");
            return Err(ConfigError::new("share", problem));
        }
        if *shares.get(Priority::Critical) > 0 {
            let problem = "must be 0 for the highest class, which goes first anyway";
            return Err(ConfigError::new("share", problem));
        }
        if self.terms.patience < Duration::from_millis(1) {
            let problem = format!("must be 1 ms at least, not {:?}", self.terms.patience);
            return Err(ConfigError::new("grant_timeout", problem));
        }
        Ok(())
    }
}

/// Says whether this many calls may wait.
pub(crate) fn validate_queue(calls: u32) -> Result<(), ConfigError> {
    if calls > MOST_QUEUED {
        let problem = format!("must be in 0..={MOST_QUEUED}, not {calls}");
        return Err(ConfigError::new("queue", problem));
    }
    Ok(())
}

/// Says whether this many calls at once can be a limit.
pub(crate) fn validate_max_concurrent(
    max_concurrent: u32,
    reserved: u32,
) -> Result<(), ConfigError> {
    if max_concurrent == 0 || max_concurrent > MOST_CALLS {
        let problem = format!("must be in 1..={MOST_CALLS}, not {max_concurrent}");
        return Err(ConfigError::new("max_concurrent", problem));
    }
    if max_concurrent <= reserved {
        let problem = format!("must be above the {reserved} reserved slots, not {max_concurrent}");
        return Err(ConfigError::new("max_concurrent", problem));
    }
    Ok(())
}

/// Configures a [`Bulkhead`]. Every setting has a default.
#[must_use = "a builder does nothing until `build`"]
pub struct BulkheadBuilder {
    pub(crate) name: Name,
    config: Config,
    listener: Listener<Event>,
}

impl BulkheadBuilder {
    pub(crate) fn new(name: Name) -> Self {
        Self {
            name,
            config: Config::default(),
            listener: Listener::none(),
        }
    }

    /// Lets this many calls be inside at once: 100 by default, 1 to 1 000 000.
    ///
    /// A good start is the rate of calls times the time that 99 of 100 of them stay below (Little's law), and no more than
    /// the dependency can work on at once.
    pub const fn max_concurrent(mut self, calls: u32) -> Self {
        self.config.max_concurrent = calls;
        self
    }

    /// Lets this many calls wait for a slot: 200 by default, 0 to 100 000. With 0 nobody waits.
    ///
    /// A call that finds the queue full takes the place of the newest of the lowest class, if that is lower than its own;
    /// else it is refused.
    pub const fn queue(mut self, calls: u32) -> Self {
        self.config.terms.capacity = calls;
        self
    }

    /// Lets at most this many calls of one class wait, within [`queue`](Self::queue). As many as the queue holds by default.
    pub const fn queue_for(mut self, priority: Priority, calls: u32) -> Self {
        *self.config.terms.caps.get_mut(priority) = calls;
        self
    }

    /// Lets a call wait this long for a slot: 30 s by default. With zero nobody waits; above 584 years is 584 years.
    ///
    /// The caller's deadline shortens the wait.
    pub const fn max_wait(mut self, duration: Duration) -> Self {
        self.config.max_wait = duration;
        self
    }

    /// Guarantees a lower class this many percent of the slots that those who wait are granted: 5 for each of the four lower
    /// classes by default, at most 50 together; the highest has none.
    ///
    /// A class in which somebody always waits gets at least ⌊share × G⌋ − 1 of any G grants, however many of the higher ones
    /// wait. Grants of reserved slots do not count.
    pub const fn share(mut self, priority: Priority, percent: u32) -> Self {
        *self.config.terms.shares.get_mut(priority) = percent;
        self
    }

    /// Keeps this many slots for critical calls: 0 by default, below [`max_concurrent`](Self::max_concurrent).
    ///
    /// All other calls together may hold the other slots; critical ones may hold any.
    pub const fn reserved_for_critical(mut self, slots: u32) -> Self {
        self.config.reserved = slots;
        self
    }

    /// Lets a slot that was granted to a waiting call pass on to the next when the call's future does not take it up within
    /// this time: 10 ms by default, at least 1 ms.
    ///
    /// That happens when nobody polls the future: a task that is busy with something else, or with another branch of a
    /// `select!`. The call keeps its place, and is passed over until it is polled. When that proves the time too short, it is
    /// lengthened for a while, to a second at most.
    pub const fn grant_timeout(mut self, duration: Duration) -> Self {
        self.config.terms.patience = duration;
        self
    }

    /// What a refusal says about when to come back. 1 s by default: a bulkhead cannot know when a slot gets free.
    pub const fn retry_after(mut self, duration: Duration) -> Self {
        self.config.retry_after = duration;
        self
    }

    /// Tells every refusal, every change of a limit and every grant that passed on to `observer`.
    pub fn observer(mut self, observer: impl Observer<Event>) -> Self {
        self.listener = Listener::new(observer);
        self
    }

    /// Builds the bulkhead.
    ///
    /// # Panics
    /// When a setting makes no sense; see [`try_build`](Self::try_build) for values that are read at run time.
    #[must_use]
    #[track_caller]
    pub fn build(self) -> Bulkhead {
        let name = self.name;
        match self.try_build() {
            Ok(bulkhead) => bulkhead,
            #[expect(
                clippy::panic,
                reason = "documented, at the caller's line; `try_build` does not"
            )]
            Err(error) => panic!("bulkhead `{name}`: {error}"),
        }
    }

    /// Builds the bulkhead, or says which setting makes no sense.
    ///
    /// # Errors
    /// A limit of zero, above 1 000 000 or not above the reserved slots; a queue above 100 000; shares above 50 % together or
    /// one for the highest class; a grant timeout below 1 ms; a name that is none.
    pub fn try_build(self) -> Result<Bulkhead, ConfigError> {
        let component = self.component(false)?;
        Ok(Bulkhead::of(Arc::new(component)))
    }

    /// Keeps one bulkhead for each key instead, all with these settings.
    pub const fn keyed(self) -> KeyedBulkheadBuilder {
        KeyedBulkheadBuilder::new(self)
    }

    pub(crate) fn component(self, keyed: bool) -> Result<Component, ConfigError> {
        self.name.validate()?;
        self.config.validate()?;
        Ok(Component::new(self.name, self.config, self.listener, keyed))
    }
}

impl fmt::Debug for BulkheadBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkheadBuilder")
            .field("name", &self.name)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
