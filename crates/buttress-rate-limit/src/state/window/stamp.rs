use buttress_sync::atomic::Ordering;

use super::head::Head;
use super::shape::Shape;
use super::{Miss, Slot, Turn, Window};

/// How slots are used: stamped with a time, and started for their round, before the head goes there.
impl Window {
    /// Stamps the slots that so many units come from, first what is free of the one in use, then others as long as `may_use` allows
    /// it; tells where the head would stand.
    #[inline]
    pub(super) fn advance(
        &self,
        shape: Shape,
        (head, mut seen, rest): (Head, Slot, u32),
        units: u32,
        now: u64,
        may_use: impl Fn(Head, Slot, u64) -> bool,
    ) -> Result<Head, Miss> {
        let rest = rest.min(units);
        if rest > 0 {
            seen = self.stamp(head, seen, now)?;
        }
        let (mut at, mut left, mut time) = (head.plus(rest), units - rest, now.max(seen.time()));
        while left > 0 {
            at = at.next(shape.slots());
            let slot = self.start(at, time, &may_use)?;
            time = time.max(slot.time());
            let taken = slot.room(at, shape).min(left);
            left -= taken;
            at = at.plus(taken);
        }
        Ok(at)
    }

    /// Sees to it that the slot in use says at least this time.
    #[inline]
    pub(super) fn stamp(&self, at: Head, mut seen: Slot, time: u64) -> Result<Slot, Miss> {
        while seen.turn(at) == Turn::This {
            if seen.time() >= time {
                return Ok(seen);
            }
            match self.restamp(at, seen, seen.at(time))? {
                Ok(stamped) => return Ok(stamped),
                Err(changed) => seen = changed,
            }
        }
        Err(Miss::Stale)
    }

    /// Sees to it that a slot has been started for its round, and says at least this time. One that was started for a later round
    /// already, because the head went back meanwhile, stays as it is: it has no room.
    #[inline]
    pub(super) fn start(
        &self,
        at: Head,
        time: u64,
        may_use: impl Fn(Head, Slot, u64) -> bool,
    ) -> Result<Slot, Miss> {
        let mut seen = self.slot(at)?;
        loop {
            let next = match seen.turn(at) {
                Turn::Later => return Ok(seen),
                Turn::This if seen.time() >= time => return Ok(seen),
                Turn::This => seen.at(time),
                Turn::Before if may_use(at, seen, time) => seen.anew(at, time),
                Turn::Before | Turn::Foreign => return Err(Miss::Stale),
            };
            match self.restamp(at, seen, next)? {
                Ok(stamped) => return Ok(stamped),
                Err(changed) => seen = changed,
            }
        }
    }

    #[inline]
    fn restamp(&self, at: Head, seen: Slot, next: Slot) -> Result<Result<Slot, Slot>, Miss> {
        let cell = self.slots.get(at.place()).ok_or(Miss::Stale)?;
        Ok(cell
            .compare_exchange(
                seen.bits(),
                next.bits(),
                Ordering::AcqRel,
                Ordering::Acquire,
            )
            .map(|_| next)
            .map_err(Slot::from_bits))
    }
}
