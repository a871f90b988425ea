//! One shard's entries: packed, found through an index, and looked at in turn by a hand that misses none.

use std::mem;

mod index;
#[cfg(all(test, not(buttress_loom)))]
mod tests;

use self::index::Index;
pub(crate) use self::index::Tag;

/// A hash table that keeps its entries packed.
///
/// The entries lie in a row, in no order; beside it stands an index by hash. Both grow by an eighth, so that little is held in
/// reserve. Nothing of this hashes a key: what is needed of the hash is kept, so that no code but ours, save the `Eq` of a key
/// that is most likely the same, runs while a shard is locked.
#[derive(Debug)]
pub(crate) struct Table<K, V> {
    index: Index,
    entries: Vec<(K, V)>,
    /// The tags of the entries, in their order.
    tags: Vec<Tag>,
    /// Where the search for an entry to evict goes on. Entries before it were looked at in this round, the others were not.
    hand: usize,
}

impl<K: Eq, V> Table<K, V> {
    pub(crate) const fn new() -> Self {
        Self {
            index: Index::new(),
            entries: Vec::new(),
            tags: Vec::new(),
            hand: 0,
        }
    }

    /// The value of a key.
    #[inline(always)]
    pub(crate) fn find(&mut self, tag: Tag, key: &K) -> Option<&mut V> {
        let position = self.position(tag, key)?;
        self.entries.get_mut(position).map(|(_, value)| value)
    }

    #[inline(always)]
    fn position(&self, tag: Tag, key: &K) -> Option<usize> {
        let is_it = |position| {
            self.entries
                .get(position)
                .is_some_and(|(known, _)| known == key)
        };
        self.index.find(tag, is_it)
    }

    /// Takes in a key that is not there.
    pub(crate) fn insert(&mut self, tag: Tag, key: K, value: V) {
        let position = self.entries.len();
        grow_by_an_eighth(&mut self.entries);
        grow_by_an_eighth(&mut self.tags);
        self.index.insert(tag, position);
        self.entries.push((key, value));
        self.tags.push(tag);
    }

    /// Takes out a key.
    pub(crate) fn remove(&mut self, tag: Tag, key: &K) -> Option<(K, V)> {
        let position = self.position(tag, key)?;
        self.remove_at(position)
    }

    /// Looks at `looks` entries at most, where the last search has stopped, and takes out the first that is idle.
    ///
    /// As many looks as there are entries, and one more for each change meanwhile, see every entry that was there all the while,
    /// in however many searches.
    pub(crate) fn evict(
        &mut self,
        looks: &mut usize,
        is_idle: &mut impl FnMut(&V) -> bool,
    ) -> Option<(K, V)> {
        let most = self.entries.len().min(*looks);
        for _ in 0..most {
            *looks -= 1;
            if self.hand >= self.entries.len() {
                self.hand = 0;
            }
            let (_, value) = self.entries.get(self.hand)?;
            if is_idle(value) {
                // The last entry moves here, which was not looked at either.
                return self.remove_at(self.hand);
            }
            self.hand += 1;
        }
        None
    }

    /// Takes out all that are idle.
    pub(crate) fn evict_all(&mut self, is_idle: &mut impl FnMut(&V) -> bool) -> Vec<(K, V)> {
        let (mut evicted, mut position) = (Vec::new(), 0);
        while let Some((_, value)) = self.entries.get(position) {
            if is_idle(value) {
                // Another takes its place, from further on: the same position again.
                evicted.extend(self.remove_at(position));
            } else {
                position += 1;
            }
        }
        evicted
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.entries.iter_mut().map(|(key, value)| (&*key, value))
    }

    /// Takes out the entry at `position`; the last one takes its place.
    fn remove_at(&mut self, mut position: usize) -> Option<(K, V)> {
        // What lies behind the hand must not come to lie before it, or this round would miss it.
        if position < self.hand {
            self.hand -= 1;
            self.swap(position, self.hand);
            position = self.hand;
        }
        let last = self.entries.len().checked_sub(1)?;
        self.swap(position, last);
        self.index.remove(self.tags.pop()?, last);
        self.entries.pop()
    }

    fn swap(&mut self, one: usize, other: usize) {
        let Ok([a, b]) = self.tags.get_disjoint_mut([one, other]) else {
            return;
        };
        self.index.swap((*a, one), (*b, other));
        mem::swap(a, b);
        self.entries.swap(one, other);
    }
}

/// Makes room for one more. By doubling, half of what is held could be held in vain.
fn grow_by_an_eighth<T>(row: &mut Vec<T>) {
    if row.len() == row.capacity() {
        row.reserve_exact(row.len() / 8 + 4);
    }
}
