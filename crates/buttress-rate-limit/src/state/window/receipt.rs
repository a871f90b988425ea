use super::head::Head;
use super::{Turn, Window};

/// Where units were taken from, and how many of them have not been given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Receipt {
    /// Where the head stood just behind them.
    head: Head,
    units: u32,
    /// What was charged to the same call afterwards: it has no place, and cannot be given back.
    charged: u32,
}

/// What is between the units that a call took and those that it has cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Charge(u32),
    GiveBack(u32),
}

impl Receipt {
    #[inline]
    pub(super) const fn new(head: Head, units: u32) -> Self {
        Self {
            head,
            units,
            charged: 0,
        }
    }

    /// Units that come from no window.
    #[inline]
    pub(crate) const fn unplaced(units: u32) -> Self {
        Self::new(Head::NOWHERE, units)
    }

    /// The units that were taken or charged and not given back.
    #[inline]
    pub(crate) const fn units(self) -> u32 {
        self.units.saturating_add(self.charged)
    }

    /// What is to be done now that the call has cost so many units. What is to be charged is noted as charged.
    pub(crate) const fn settle(&mut self, cost: u32) -> Due {
        let taken = self.units();
        if cost <= taken {
            return Due::GiveBack(taken - cost);
        }
        self.charged = self.charged.saturating_add(cost - taken);
        Due::Charge(cost - taken)
    }

    /// Notes that so many units go back, and tells how many those are: what was charged does not.
    pub(crate) fn take_back(&mut self, units: u32) -> u32 {
        let units = units.min(self.units);
        self.units -= units;
        units
    }

    /// How many of the units can go back now. The places in a slot are alike, so those of the slot in use can, whoever took some
    /// after them; all of them when nobody did.
    fn returnable(&self, head: Head, units: u32) -> u32 {
        let units = units.min(self.units);
        if head == self.head {
            units
        } else if head.is_in_slot_of(self.head) {
            units.min(self.head.used()).min(head.used())
        } else {
            0
        }
    }

    fn give_back(&mut self, before: Head, after: Head, units: u32) {
        self.head = if before == self.head {
            after
        } else {
            self.head.minus(units)
        };
        self.units -= units;
    }
}

impl Window {
    /// Puts back what was taken, as far as it is of the slot in use, or nobody has taken anything since; tells how many units that
    /// were. The others stay taken until their slot leaves the window.
    pub(crate) fn give_back(&self, receipt: &mut Receipt, units: u32) -> u32 {
        loop {
            let head = self.open_head();
            let units = receipt.returnable(head, units);
            if units == 0 {
                return 0;
            }
            let (next, units) = self.back(head, units);
            if self.exchange(head, next) {
                receipt.give_back(head, next, units);
                return units;
            }
        }
    }

    /// Up to so many units back, and how many that are. It stops at the end of a slot rather than before the next one, so that those
    /// who took the last units there can give them back too; but it never goes before a slot that was started for a later round:
    /// what was in there has left the window.
    fn back(&self, head: Head, units: u32) -> (Head, u32) {
        let shape = self.shape();
        let (mut at, mut left) = (head, units);
        while left >= at.used() {
            let previous = at.previous(shape.slots().max(1));
            let started = self.slot(previous);
            if !started.is_ok_and(|slot| slot.turn(previous) == Turn::This) {
                break;
            }
            left -= at.used();
            at = previous.plus(shape.units(previous.place()));
        }
        let last = left.min(at.used());
        (at.minus(last), units - (left - last))
    }
}
