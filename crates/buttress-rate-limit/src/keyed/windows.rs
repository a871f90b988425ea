//! A window for each key.

use std::hash::Hash;
use std::sync::atomic::{AtomicU64 as Statistic, Ordering};

use buttress_keyed::KeyedMap;
use buttress_timer::Moment;

use super::in_force::InForce;
use super::taken::{Origin, Taken};
use crate::rate::Rate;
use crate::state::window::{BUCKETED, Window};
use crate::state::{Level, Wait};

/// A window in slots for each key; one of 64 or less has a slot for each call.
pub(super) struct Windows<K> {
    in_force: InForce,
    windows: KeyedMap<K, Own>,
    /// How many were made for keys.
    made: Statistic,
}

/// The window of a key. It follows a change of the rate when it is used next.
pub(super) struct Own {
    window: Window,
    /// All windows begin at the same place: without this a call could give back what another has taken at the same place of a window
    /// of the same key that came after it was forgotten.
    origin: Origin,
    /// The change that it has followed.
    followed: u64,
}

impl<K: Clone + Eq + Hash> Windows<K> {
    pub(super) fn new(rate: Rate, map: KeyedMap<K, Own>) -> Self {
        let in_force = InForce::new(rate);
        let shared = Own::unspent(Origin::SHARED, &in_force, Moment::START);
        Self {
            in_force,
            windows: map.sharing(shared),
            made: Statistic::new(0),
        }
    }

    pub(super) const fn map(&self) -> &KeyedMap<K, Own> {
        &self.windows
    }

    /// Must not run twice at once.
    pub(super) fn set_rate(&self, rate: Rate) {
        self.in_force.set(rate);
    }

    pub(super) fn take(&self, key: &K, units: u32, now: Moment) -> Result<Taken, Wait> {
        self.with(key, now, |own| own.take(units, now))
    }

    pub(super) fn take_shared(&self, units: u32, now: Moment) -> Option<Result<Taken, Wait>> {
        self.share(now, |own| own.take(units, now))
    }

    pub(super) fn charge(&self, key: &K, taken: Taken, units: u32, now: Moment) {
        if taken.is_shared() {
            self.share(now, |own| own.window.charge(units, now));
        } else {
            self.with(key, now, |own| own.window.charge(units, now));
        }
    }

    pub(super) fn give_back(&self, key: &K, taken: &mut Taken, units: u32, now: Moment) {
        self.look(key, taken.is_shared(), now, |own| {
            if taken.is_from(own.origin) {
                own.window.give_back(&mut taken.receipt, units);
            }
        });
    }

    pub(super) fn level(&self, key: &K, is_shared: bool, now: Moment) -> Option<Level> {
        self.look(key, is_shared, now, |own| own.window.level(now))
    }

    fn with<R>(&self, key: &K, now: Moment, step: impl FnOnce(&Own) -> R) -> R {
        self.windows.with(
            key,
            || self.unspent(now),
            |own| own.window.is_idle(self.in_force.get().width, now),
            |own| step(own.follow(&self.in_force, now)),
        )
    }

    /// Does something with what a key has, or what all without a place share.
    fn look<R>(
        &self,
        key: &K,
        is_shared: bool,
        now: Moment,
        step: impl FnOnce(&Own) -> R,
    ) -> Option<R> {
        if is_shared {
            return self.share(now, step);
        }
        let step = |own: &mut Own| step(own.follow(&self.in_force, now));
        self.windows.get(key, step)
    }

    fn share<R>(&self, now: Moment, step: impl FnOnce(&Own) -> R) -> Option<R> {
        let step = |own: &mut Own| step(own.follow(&self.in_force, now));
        self.windows.overflow(step)
    }

    fn unspent(&self, now: Moment) -> Own {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        Own::unspent(Origin::numbered(number), &self.in_force, now)
    }
}

impl Own {
    fn unspent(origin: Origin, in_force: &InForce, now: Moment) -> Self {
        let terms = in_force.get();
        Self {
            window: Window::new(terms.limit, terms.width, BUCKETED, now),
            origin,
            followed: terms.change,
        }
    }

    fn take(&self, units: u32, now: Moment) -> Result<Taken, Wait> {
        let receipt = self.window.take(units, now)?;
        Ok(Taken::new(receipt, self.origin))
    }

    #[inline]
    fn follow(&mut self, in_force: &InForce, now: Moment) -> &Self {
        if in_force.change() != self.followed {
            self.catch_up(in_force, now);
        }
        self
    }

    #[cold]
    fn catch_up(&mut self, in_force: &InForce, now: Moment) {
        let terms = in_force.get();
        // To be laid anew costs the calls under way their way back: not for a rate that has come back meanwhile.
        if (self.window.limit(), self.window.width()) != (terms.limit, terms.width) {
            self.window.set(terms.limit, terms.width, now);
        }
        self.followed = terms.change;
    }
}
