//! What was taken before, as far as the ring does not hold it.

use super::Slot;
use super::head::Head;
use super::rounds::Rounds;
use super::shape::{MOST_WIDTH, Shape};

/// Units that leave the window together: when they were taken, at the latest, and how many they are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    pub(super) time: u64,
    /// When the first of them was taken, as far as that is known.
    pub(super) oldest: u64,
    pub(super) units: u32,
}

/// What a window remembers beside its ring, for when its limit or its width changes: until then it is of no account.
#[derive(Clone, Debug)]
pub(super) struct Past {
    /// What the ring had no room for, or no use, when it was laid; from the newest to the oldest.
    pub(super) older: Vec<Group>,
    pub(super) rounds: Rounds,
}

/// The fewest groups that are kept. A group is as large as three slots, and there may be many small rings.
const LEAST_KEPT: usize = 16;
/// So many windows back units are said window by window; before that by two of them, by four, by eight …
const FINE: usize = 32;

impl Group {
    pub(super) const fn of(units: u32, time: u64) -> Self {
        Self {
            time,
            oldest: time,
            units,
        }
    }
}

impl Past {
    pub(super) const fn new(now: u64) -> Self {
        Self {
            older: Vec::new(),
            rounds: Rounds::new(Head::FIRST, now),
        }
    }

    /// What was taken since the ring was laid and stands in it no more, because its slots were used anew.
    ///
    /// How many those are the head knows; of their times no more than that a unit has left the window when its place is taken
    /// again, so that each of them was taken a window before the one that came in its place. They are taken to be that young.
    pub(super) fn overwritten(
        &self,
        shape: Shape,
        head: Head,
        in_ring: &[Group],
        latest: u64,
        now: u64,
    ) -> Vec<Group> {
        let (width, limit) = (shape.width(), u64::from(shape.limit()));
        let there: u64 = in_ring.iter().map(|group| u64::from(group.units)).sum();
        let mut left = self
            .taken(shape, head, now.max(latest))
            .saturating_sub(there);
        let oldest = in_ring.last().map_or(u64::MAX, |group| group.time);
        let (mut groups, mut windows, mut step) = (Vec::new(), 1_u64, 1_u64);
        // Whatever would be from before the clock began was charged beyond the limit, and so forgiven; or there is no more.
        while left > 0
            && let Some(time) = latest.checked_sub(width.saturating_mul(windows))
        {
            let time = time.min(oldest.saturating_sub(width.saturating_mul(windows - 1)));
            let units = left.min(limit.saturating_mul(step));
            groups.push(Group::of(saturated(units), time));
            left -= units;
            windows = windows.saturating_add(step);
            if groups.len() >= FINE {
                step = step.saturating_mul(2);
            }
        }
        groups
    }

    /// How many units were taken since the ring was laid; as many as there can be, if nobody knows.
    pub(super) fn taken(&self, shape: Shape, head: Head, now: u64) -> u64 {
        let Some(rounds) = self.rounds.until(head, shape.width(), now).count() else {
            return u64::MAX;
        };
        let before = u64::from(shape.units_before(head.place()));
        rounds.saturating_mul(shape.limit().into()) + before + u64::from(head.used())
    }

    /// Keeps what is not laid: half as many groups as there are slots.
    pub(super) fn keep(&mut self, older: Vec<Group>, slots: usize, now: u64) {
        self.older = older;
        self.older
            .retain(|group| group.units > 0 && group.time + MOST_WIDTH > now);
        merge(&mut self.older, (slots / 2).max(LEAST_KEPT), now);
        self.older.shrink_to_fit();
    }
}

/// Keeps the newest units that are in the window, so many of them, and gives out the others.
pub(super) fn split_off(newest_first: &mut Vec<Group>, shape: Shape, now: u64) -> Vec<Group> {
    let (mut older, mut room) = (Vec::new(), shape.limit());
    for group in newest_first.iter_mut() {
        let is_inside = !Slot::FREE.at(group.time).has_left(shape, now);
        let kept = if is_inside { group.units.min(room) } else { 0 };
        room -= kept;
        let units = group.units - kept;
        if units > 0 {
            older.push(Group { units, ..*group });
        }
        group.units = kept;
    }
    newest_first.retain(|group| group.units > 0);
    older
}

/// Puts neighbours together until there are no more than so many groups. All units of a group are then as late as its newest; so
/// those go together first whose ages differ least, seen as a share of their ages.
fn merge(groups: &mut Vec<Group>, most: usize, now: u64) {
    let age = |time: u64| u128::from(now.saturating_sub(time));
    // In parts of 128.
    let mut more = 1_u128;
    while groups.len() > most {
        groups.dedup_by(|older, newer| {
            let together = age(older.oldest) * 128 <= age(newer.time).max(1) * (128 + more);
            if together {
                newer.units = newer.units.saturating_add(older.units);
                newer.oldest = older.oldest.min(newer.oldest);
            }
            together
        });
        more *= 2;
    }
}

fn saturated(units: u64) -> u32 {
    u32::try_from(units).unwrap_or(u32::MAX)
}
