//! A sliding window for each key.

use std::hash::Hash;
use std::sync::atomic::AtomicU64 as Counter;
use std::sync::atomic::Ordering;

use buttress_keyed::{KeyedMap, Whose};
use buttress_timer::{Moment, nanos};

use super::KeySettings;
use super::place::{Place, Taken};
use super::published::{Edition, Published};
use crate::rate::Rate;
use crate::state::window::{BUCKETED, Window};
use crate::state::{Receipt, Wait};

/// A window in slots for each key; one of 64 or less has a slot for each call.
pub(super) struct Windows<K> {
    rate: Published,
    /// How many windows there have been.
    lives: Counter,
    pub(super) windows: KeyedMap<K, Living>,
}

/// The window of a key, from when the key comes until it is forgotten.
pub(super) struct Living {
    /// No two are the same: a receipt of a window that was forgotten is none of the next one's.
    life: u64,
    /// Of the rate that it goes by.
    version: u64,
    window: Window,
}

impl<K: Clone + Eq + Hash> Windows<K> {
    pub(super) fn new(rate: Rate, keys: KeySettings) -> Self {
        let rate = Published::new(rate.units(), nanos(rate.per()));
        let shared = Living::new(rate.read(), 0);
        Self {
            rate,
            lives: Counter::new(1),
            windows: keys.map().sharing(shared),
        }
    }

    #[inline(always)]
    pub(super) fn take(&self, key: &K, units: u32, now: Moment) -> Result<Taken, Wait> {
        self.with(key, now, move |living, whose| {
            Ok(Taken {
                receipt: living.window.take(units, now)?,
                place: match whose {
                    Whose::Own => Place::Own(living.life),
                    Whose::Shared => Place::Shared,
                },
            })
        })
    }

    pub(super) fn take_shared(&self, units: u32, now: Moment) -> Option<Result<Receipt, Wait>> {
        self.share(now, |window| window.take(units, now))
    }

    pub(super) fn charge(&self, key: &K, units: u32, now: Moment) {
        self.with(key, now, |living, _| living.window.charge(units, now));
    }

    /// Puts back what was taken, if the key has not been forgotten since.
    pub(super) fn give_back(
        &self,
        (key, life): (&K, u64),
        receipt: &mut Receipt,
        units: u32,
        now: Moment,
    ) {
        self.windows.get(key, |living| {
            if living.life == life {
                self.renewed(living, now).window.give_back(receipt, units);
            }
        });
    }

    /// Changes the rate of all keys; must not run twice at once. Each takes it on when it comes next.
    pub(super) fn set_rate(&self, rate: Rate) {
        self.rate.publish(rate.units(), nanos(rate.per()));
    }

    #[inline(always)]
    fn with<R>(&self, key: &K, now: Moment, step: impl FnOnce(&Living, Whose) -> R) -> R {
        self.windows.with_whose(
            key,
            || self.fresh(),
            move |living| self.is_idle(living, now),
            move |living, whose| step(self.renewed(living, now), whose),
        )
    }

    pub(super) fn look<R>(
        &self,
        key: &K,
        now: Moment,
        step: impl FnOnce(&Window) -> R,
    ) -> Option<R> {
        self.windows
            .get(key, |living| step(&self.renewed(living, now).window))
    }

    pub(super) fn share<R>(&self, now: Moment, step: impl FnOnce(&Window) -> R) -> Option<R> {
        self.windows
            .overflow(|living| step(&self.renewed(living, now).window))
    }

    /// The window of a key that comes.
    fn fresh(&self) -> Living {
        Living::new(self.rate.read(), self.lives.fetch_add(1, Ordering::Relaxed))
    }

    /// By the rate in force, which the key may not have taken on: a longer window would hold again what has left this one.
    fn is_idle(&self, living: &Living, now: Moment) -> bool {
        let is_up_to_date = living.version == self.rate.version();
        living.window.is_clean(now)
            && (is_up_to_date || living.window.would_be_clean(self.rate.read().width, now))
    }

    /// Takes on the rate in force.
    #[inline(always)]
    fn renewed<'a>(&self, living: &'a mut Living, now: Moment) -> &'a Living {
        if living.version != self.rate.version() {
            living.renew(self.rate.read(), now);
        }
        living
    }
}

impl Living {
    fn new(rate: Edition, life: u64) -> Self {
        Self {
            life,
            version: rate.version,
            window: Window::new(rate.limit, rate.width, BUCKETED),
        }
    }

    #[cold]
    #[inline(never)]
    fn renew(&mut self, rate: Edition, now: Moment) {
        self.version = rate.version;
        if (self.window.limit(), self.window.width()) != (rate.limit, rate.width) {
            self.window.set(rate.limit, rate.width, now);
        }
    }
}
