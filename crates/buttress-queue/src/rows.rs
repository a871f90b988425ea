/// Items in `N` rows, each item in one of them; every step takes constant time but going back to a place by arrival. They
/// are numbered from 0; what is put into one that there is not stands in the last.
///
/// The rows are doubly linked lists through a vector of places. A place that was left is used again, so the vector grows to the
/// largest number of items at once and no further; its generation tells the old item's key from the new one's.
#[derive(Debug)]
pub struct Rows<T, const N: usize> {
    places: Vec<Place<T>>,
    rows: [Row; N],
    vacant: u32,
    arrivals: u64,
    occupied: u32,
}

/// Finds an item again, as long as it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    index: u32,
    generation: u32,
}

#[derive(Debug)]
struct Place<T> {
    item: Option<T>,
    generation: u32,
    /// When it arrived, counted in arrivals: what its place in a row goes by.
    arrival: u64,
    row: usize,
    previous: u32,
    next: u32,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    first: u32,
    last: u32,
    length: u32,
}

const NOBODY: u32 = u32::MAX;

impl<T, const N: usize> Rows<T, N> {
    /// Makes empty rows, without an allocation.
    #[must_use]
    pub const fn new() -> Self {
        const EMPTY: Row = Row {
            first: NOBODY,
            last: NOBODY,
            length: 0,
        };
        Self {
            places: Vec::new(),
            rows: [EMPTY; N],
            vacant: NOBODY,
            arrivals: 0,
            occupied: 0,
        }
    }

    /// How many items there are.
    #[must_use]
    pub const fn occupied(&self) -> u32 {
        self.occupied
    }

    /// How many items stand in `row`.
    #[must_use]
    pub fn length(&self, row: usize) -> u32 {
        self.ends(row).map_or(0, |ends| ends.length)
    }

    /// Puts an item at the end of `row`.
    pub fn push(&mut self, row: usize, item: T) -> Key {
        let index = self.vacate_or_grow();
        let arrival = self.arrivals;
        self.arrivals += 1;
        self.occupied += 1;
        let generation = self.place_mut(index).map_or(0, |place| {
            place.item = Some(item);
            place.arrival = arrival;
            place.generation
        });
        let row = Self::within(row);
        let last = self.last_in(row);
        self.link_after(row, last, index);
        Key { index, generation }
    }

    /// Takes an item out, if it is still there.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        self.get(key)?;
        self.unlink(key.index);
        self.occupied -= 1;
        let vacant = self.vacant;
        self.vacant = key.index;
        let place = self.place_mut(key.index)?;
        place.generation = place.generation.wrapping_add(1);
        place.next = vacant;
        place.item.take()
    }

    /// Moves an item to the end of `row`.
    pub fn move_to_end(&mut self, key: Key, row: usize) {
        if self.get(key).is_some() {
            self.unlink(key.index);
            let row = Self::within(row);
            let last = self.last_in(row);
            self.link_after(row, last, key.index);
        }
    }

    /// Moves an item to its place in `row` by its arrival. Takes as many steps as `row` has earlier arrivals: for one that
    /// came early.
    pub fn move_by_arrival(&mut self, key: Key, row: usize) {
        let Some(arrival) = self.at(key).map(|place| place.arrival) else {
            return;
        };
        self.unlink(key.index);
        let row = Self::within(row);
        let mut before = NOBODY;
        let mut next = self.first_in(row);
        while let Some(place) = self.place(next).filter(|place| place.arrival < arrival) {
            before = next;
            next = place.next;
        }
        self.link_after(row, before, key.index);
    }

    /// The same, in as many steps as `row` has later arrivals: for one that came late.
    pub fn move_by_late_arrival(&mut self, key: Key, row: usize) {
        let Some(arrival) = self.at(key).map(|place| place.arrival) else {
            return;
        };
        self.unlink(key.index);
        let row = Self::within(row);
        let mut before = self.last_in(row);
        while let Some(place) = self.place(before).filter(|place| place.arrival > arrival) {
            before = place.previous;
        }
        self.link_after(row, before, key.index);
    }

    /// The item of this key, if it is still there.
    #[must_use]
    pub fn get(&self, key: Key) -> Option<&T> {
        self.at(key)?.item.as_ref()
    }

    /// The same, to be changed.
    #[must_use]
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let place = self.place_mut(key.index)?;
        (place.generation == key.generation)
            .then_some(place.item.as_mut())
            .flatten()
    }

    /// The row in which an item stands.
    #[must_use]
    pub fn row_of(&self, key: Key) -> Option<usize> {
        self.at(key).map(|place| place.row)
    }

    /// Who is first in `row`.
    #[must_use]
    pub fn first(&self, row: usize) -> Option<Key> {
        self.key(self.first_in(row))
    }

    /// Who is last in `row`.
    #[must_use]
    pub fn last(&self, row: usize) -> Option<Key> {
        self.key(self.last_in(row))
    }

    /// The later of two arrivals.
    #[must_use]
    pub fn later(&self, one: Option<Key>, other: Option<Key>) -> Option<Key> {
        let arrival =
            |key: &Option<Key>| key.and_then(|key| self.at(key)).map(|place| place.arrival);
        std::cmp::max_by_key(one, other, arrival)
    }

    /// The items of a row, the first first.
    pub fn row(&self, row: usize) -> impl Iterator<Item = (Key, &T)> {
        let mut next = self.first_in(row);
        std::iter::from_fn(move || {
            let key = self.key(next)?;
            let place = self.place(next)?;
            next = place.next;
            place.item.as_ref().map(|item| (key, item))
        })
    }

    /// How many places there are, left ones too.
    #[cfg(test)]
    pub(crate) const fn places(&self) -> usize {
        self.places.len()
    }

    fn within(row: usize) -> usize {
        row.min(const { N - 1 })
    }

    fn ends(&self, row: usize) -> Option<&Row> {
        self.rows.get(row)
    }

    fn first_in(&self, row: usize) -> u32 {
        self.ends(row).map_or(NOBODY, |ends| ends.first)
    }

    fn last_in(&self, row: usize) -> u32 {
        self.ends(row).map_or(NOBODY, |ends| ends.last)
    }

    fn key(&self, index: u32) -> Option<Key> {
        let generation = self.place(index)?.generation;
        Some(Key { index, generation })
    }

    fn at(&self, key: Key) -> Option<&Place<T>> {
        self.place(key.index)
            .filter(|place| place.generation == key.generation && place.item.is_some())
    }

    fn place(&self, index: u32) -> Option<&Place<T>> {
        self.places.get(index as usize)
    }

    fn place_mut(&mut self, index: u32) -> Option<&mut Place<T>> {
        self.places.get_mut(index as usize)
    }

    fn vacate_or_grow(&mut self) -> u32 {
        let index = self.vacant;
        if let Some(next) = self.place(index).map(|place| place.next) {
            self.vacant = next;
            return index;
        }
        self.places.push(Place {
            item: None,
            generation: 0,
            arrival: 0,
            row: 0,
            previous: NOBODY,
            next: NOBODY,
        });
        u32::try_from(self.places.len() - 1).unwrap_or(NOBODY)
    }

    /// Links an unlinked place into `row`, behind `before`, or first when that is nobody.
    fn link_after(&mut self, row: usize, before: u32, index: u32) {
        let Some(line) = self.rows.get_mut(row) else {
            return;
        };
        line.length += 1;
        let after = match self.places.get_mut(before as usize) {
            Some(place) => std::mem::replace(&mut place.next, index),
            None => std::mem::replace(&mut line.first, index),
        };
        match self.places.get_mut(after as usize) {
            Some(place) => place.previous = index,
            None => line.last = index,
        }
        if let Some(place) = self.place_mut(index) {
            (place.row, place.previous, place.next) = (row, before, after);
        }
    }

    fn unlink(&mut self, index: u32) {
        let Some((row, previous, next)) = self
            .place(index)
            .map(|place| (place.row, place.previous, place.next))
        else {
            return;
        };
        let Some(line) = self.rows.get_mut(row) else {
            return;
        };
        line.length -= 1;
        match self.places.get_mut(previous as usize) {
            Some(place) => place.next = next,
            None => line.first = next,
        }
        match self.places.get_mut(next as usize) {
            Some(place) => place.previous = previous,
            None => line.last = previous,
        }
    }
}

impl<T, const N: usize> Default for Rows<T, N> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(buttress_loom), not(buttress_shuttle)))]
mod tests;
