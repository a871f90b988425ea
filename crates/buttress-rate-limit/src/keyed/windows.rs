//! A window for each key.

use std::hash::Hash;

use buttress_keyed::KeyedMap;
use buttress_timer::Moment;

use super::in_force::InForce;
use crate::rate::Rate;
use crate::state::window::{BUCKETED, Window};

/// A window in slots for each key; one of 64 or less has a slot for each call.
pub(super) struct Windows<K> {
    in_force: InForce,
    windows: KeyedMap<K, Own>,
}

/// The window of a key. It follows a change of the rate when it is used next.
pub(super) struct Own {
    window: Window,
    /// The change that it has followed.
    followed: u64,
}

impl<K: Clone + Eq + Hash> Windows<K> {
    pub(super) fn new(rate: Rate, map: KeyedMap<K, Own>) -> Self {
        let in_force = InForce::new(rate);
        let windows = map.sharing(Own::unspent(&in_force, Moment::START));
        Self { in_force, windows }
    }

    pub(super) const fn map(&self) -> &KeyedMap<K, Own> {
        &self.windows
    }

    /// Must not run twice at once.
    pub(super) fn set_rate(&self, rate: Rate) {
        self.in_force.set(rate);
    }

    pub(super) fn with<R>(&self, key: &K, now: Moment, step: impl FnOnce(&Window) -> R) -> R {
        self.windows.with(
            key,
            || Own::unspent(&self.in_force, now),
            |own| own.window.is_idle(self.in_force.get().width, now),
            |own| step(own.follow(&self.in_force, now)),
        )
    }

    pub(super) fn look<R>(
        &self,
        key: &K,
        now: Moment,
        step: impl FnOnce(&Window) -> R,
    ) -> Option<R> {
        let step = |own: &mut Own| step(own.follow(&self.in_force, now));
        self.windows.get(key, step)
    }

    pub(super) fn share<R>(&self, now: Moment, step: impl FnOnce(&Window) -> R) -> Option<R> {
        let step = |own: &mut Own| step(own.follow(&self.in_force, now));
        self.windows.overflow(step)
    }
}

impl Own {
    fn unspent(in_force: &InForce, now: Moment) -> Self {
        let terms = in_force.get();
        Self {
            window: Window::new(terms.limit, terms.width, BUCKETED, now),
            followed: terms.change,
        }
    }

    #[inline]
    fn follow(&mut self, in_force: &InForce, now: Moment) -> &Window {
        if in_force.change() != self.followed {
            self.catch_up(in_force, now);
        }
        &self.window
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
