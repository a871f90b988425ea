/// What a table keeps of a key's hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tag(u32);

impl Tag {
    /// The upper half of the hash; the lower bits have chosen the shard.
    #[inline]
    pub(crate) const fn of(hash: u64) -> Self {
        Self((hash >> 32) as u32)
    }
}

/// Where an entry lies: `tag:32 | position:32`. Below 2^32 - 1 entries no entry has the word of an empty slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot(u64);

impl Slot {
    const EMPTY: Self = Self(u64::MAX);

    const fn new(tag: Tag, position: usize) -> Self {
        Self(((tag.0 as u64) << 32) | position as u64)
    }

    #[inline]
    const fn tag(self) -> Tag {
        Tag::of(self.0)
    }

    /// The position, if the tag is this one; above all positions for an empty slot.
    #[inline]
    fn position(self, tag: Tag) -> Option<usize> {
        let position = self.0 ^ (u64::from(tag.0) << 32);
        u32::try_from(position)
            .ok()
            .map(|position| position as usize)
    }
}

/// Positions by hash: open addressing, linear probing, and no tombstones (Knuth, The Art of Computer Programming 3, 6.4,
/// algorithms L and R). A slot carries the tag of its entry, so that neither a probe that misses nor growing looks at an entry.
///
/// A search begins at the tag's share of the first slots, the homes, so that their number need not be a power of two. It never
/// goes back to the start: behind the homes are some more slots, for those who are kept from the last.
#[derive(Debug)]
pub(crate) struct Index {
    slots: Vec<Slot>,
    homes: usize,
    used: usize,
}

impl Index {
    pub(crate) const fn new() -> Self {
        Self {
            slots: Vec::new(),
            homes: 0,
            used: 0,
        }
    }

    /// The position with this tag that `is_it` takes for its own.
    #[inline(always)]
    pub(crate) fn find(&self, tag: Tag, is_it: impl Fn(usize) -> bool) -> Option<usize> {
        let mut at = self.home(tag);
        while let Some(&slot) = self.slots.get(at) {
            if let Some(position) = slot.position(tag)
                && is_it(position)
            {
                return Some(position);
            }
            if slot == Slot::EMPTY {
                return None;
            }
            at += 1;
        }
        None
    }

    /// Takes in a position, which must not be there.
    pub(crate) fn insert(&mut self, tag: Tag, position: usize) {
        if self.used >= self.homes / 8 * 5 {
            // Full again after an eighth more: 0.55 to 0.63 of the homes are in use, and a key is in the second slot on average.
            let homes = (self.used + self.used / 8 + 2) * 8 / 5;
            self.rebuild(homes.next_multiple_of(8), self.spare());
        }
        self.used += 1;
        self.put(Slot::new(tag, position));
    }

    fn put(&mut self, slot: Slot) {
        while !self.try_put(slot) {
            self.rebuild(self.homes, self.spare() * 2);
        }
    }

    fn try_put(&mut self, slot: Slot) -> bool {
        let free = self.seek(slot.tag(), Slot::EMPTY);
        free.is_some_and(|free| self.set(free, slot))
    }

    fn rebuild(&mut self, homes: usize, spare: usize) {
        let more = vec![Slot::EMPTY; homes + spare];
        let slots = std::mem::replace(&mut self.slots, more);
        self.homes = homes;
        for slot in slots.into_iter().filter(|slot| *slot != Slot::EMPTY) {
            self.put(slot);
        }
    }

    /// How many slots there are behind the homes.
    fn spare(&self) -> usize {
        (self.slots.len() - self.homes).max(4)
    }

    /// Takes out a position.
    pub(crate) fn remove(&mut self, tag: Tag, position: usize) {
        let Some(mut hole) = self.seek(tag, Slot::new(tag, position)) else {
            return;
        };
        self.used -= 1;
        self.set(hole, Slot::EMPTY);
        // Whoever was kept from the hole, or from a place before it, moves up: no search may end before it has seen all of its kind.
        let mut at = hole + 1;
        while let Some(&slot) = self.slots.get(at).filter(|slot| **slot != Slot::EMPTY) {
            if self.home(slot.tag()) <= hole {
                self.set(hole, slot);
                self.set(at, Slot::EMPTY);
                hole = at;
            }
            at += 1;
        }
    }

    /// Lets two entries change places.
    pub(crate) fn swap(&mut self, one: (Tag, usize), other: (Tag, usize)) {
        let slot_of = |(tag, position)| self.seek(tag, Slot::new(tag, position));
        if let (Some(of_one), Some(of_other)) = (slot_of(one), slot_of(other)) {
            self.set(of_one, Slot::new(one.0, other.1));
            self.set(of_other, Slot::new(other.0, one.1));
        }
    }

    #[inline(always)]
    const fn home(&self, tag: Tag) -> usize {
        ((tag.0 as u64 * self.homes as u64) >> 32) as usize
    }

    /// The place of exactly this slot, from the home of `tag` on.
    fn seek(&self, tag: Tag, wanted: Slot) -> Option<usize> {
        let home = self.home(tag);
        let mut from_home = self.slots.get(home..)?.iter();
        from_home
            .position(|&slot| slot == wanted)
            .map(|steps| home + steps)
    }

    fn set(&mut self, place: usize, slot: Slot) -> bool {
        let old = self.slots.get_mut(place);
        old.map(|old| *old = slot).is_some()
    }
}
