//! Places in two rows: the memory of the line.

/// Items in two rows, each item in one of them; every step takes constant time but going over to the other row.
///
/// The rows are doubly linked lists through a vector of places. A place that was left is used again, so the vector grows to the
/// largest number of items at once and no further; its generation tells the old item's key from the new one's.
#[derive(Debug)]
pub(super) struct Rows<T> {
    places: Vec<Place<T>>,
    in_turn: Ends,
    passed_over: Ends,
    vacant: u32,
    arrivals: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Row {
    InTurn,
    PassedOver,
}

/// Finds an item again, as long as it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    index: u32,
    generation: u32,
}

#[derive(Debug)]
struct Place<T> {
    item: Option<T>,
    generation: u32,
    /// When it arrived, counted in arrivals: what its place in a row goes by.
    arrival: u64,
    row: Row,
    previous: u32,
    next: u32,
}

#[derive(Clone, Copy, Debug)]
struct Ends {
    first: u32,
    last: u32,
    length: u32,
}

const NOBODY: u32 = u32::MAX;

const EMPTY: Ends = Ends {
    first: NOBODY,
    last: NOBODY,
    length: 0,
};

impl<T> Rows<T> {
    pub(super) const fn new() -> Self {
        Self {
            places: Vec::new(),
            in_turn: EMPTY,
            passed_over: EMPTY,
            vacant: NOBODY,
            arrivals: 0,
        }
    }

    /// How many items there are.
    pub(super) const fn occupied(&self) -> u32 {
        self.in_turn.length + self.passed_over.length
    }

    /// How many items stand in `row`.
    pub(super) const fn length(&self, row: Row) -> u32 {
        self.ends(row).length
    }

    /// Puts an item at the end of those in turn.
    pub(super) fn push(&mut self, item: T) -> Key {
        let index = self.vacate_or_grow();
        let arrival = self.arrivals;
        self.arrivals += 1;
        let generation = self.place_mut(index).map_or(0, |place| {
            place.item = Some(item);
            place.arrival = arrival;
            place.generation
        });
        self.link_after(Row::InTurn, self.in_turn.last, index);
        Key { index, generation }
    }

    /// Takes an item out, if it is still there.
    pub(super) fn remove(&mut self, key: Key) -> Option<T> {
        self.get(key)?;
        self.unlink(key.index);
        let vacant = self.vacant;
        self.vacant = key.index;
        let place = self.place_mut(key.index)?;
        place.generation = place.generation.wrapping_add(1);
        place.next = vacant;
        place.item.take()
    }

    /// Moves an item from those in turn to its place by arrival among those passed over. Takes as many steps as there are later
    /// arrivals among them.
    pub(super) fn pass_over(&mut self, key: Key) {
        let Some(arrival) = self.at(key).map(|place| place.arrival) else {
            return;
        };
        self.unlink(key.index);
        let mut before = self.passed_over.last;
        while let Some(place) = self.place(before).filter(|place| place.arrival > arrival) {
            before = place.previous;
        }
        self.link_after(Row::PassedOver, before, key.index);
    }

    /// Moves an item back to its place by arrival among those in turn. Takes as many steps as there are earlier arrivals among them:
    /// it was the first once.
    pub(super) fn revive(&mut self, key: Key) {
        let Some(arrival) = self.at(key).map(|place| place.arrival) else {
            return;
        };
        self.unlink(key.index);
        let mut before = NOBODY;
        let mut next = self.in_turn.first;
        while let Some(place) = self.place(next).filter(|place| place.arrival < arrival) {
            before = next;
            next = place.next;
        }
        self.link_after(Row::InTurn, before, key.index);
    }

    #[cfg(all(test, not(buttress_loom), not(buttress_shuttle)))]
    pub(super) const fn places(&self) -> usize {
        self.places.len()
    }

    pub(super) fn get(&self, key: Key) -> Option<&T> {
        self.at(key)?.item.as_ref()
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let place = self.place_mut(key.index)?;
        (place.generation == key.generation)
            .then_some(place.item.as_mut())
            .flatten()
    }

    /// The row in which an item stands.
    pub(super) fn row_of(&self, key: Key) -> Option<Row> {
        self.at(key).map(|place| place.row)
    }

    pub(super) fn first(&self, row: Row) -> Option<Key> {
        self.key(self.ends(row).first)
    }

    pub(super) fn last(&self, row: Row) -> Option<Key> {
        self.key(self.ends(row).last)
    }

    /// The items of a row, the first first.
    pub(super) fn row(&self, row: Row) -> impl Iterator<Item = (Key, &T)> {
        let mut next = self.ends(row).first;
        std::iter::from_fn(move || {
            let key = self.key(next)?;
            let place = self.place(next)?;
            next = place.next;
            place.item.as_ref().map(|item| (key, item))
        })
    }

    const fn ends(&self, row: Row) -> &Ends {
        match row {
            Row::InTurn => &self.in_turn,
            Row::PassedOver => &self.passed_over,
        }
    }

    const fn ends_mut(&mut self, row: Row) -> &mut Ends {
        match row {
            Row::InTurn => &mut self.in_turn,
            Row::PassedOver => &mut self.passed_over,
        }
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
            row: Row::InTurn,
            previous: NOBODY,
            next: NOBODY,
        });
        u32::try_from(self.places.len() - 1).unwrap_or(NOBODY)
    }

    /// Links an unlinked place into `row`, behind `before`, or first when that is nobody.
    fn link_after(&mut self, row: Row, before: u32, index: u32) {
        let first = self.ends(row).first;
        let after = match self.place_mut(before) {
            Some(place) => std::mem::replace(&mut place.next, index),
            None => first,
        };
        if let Some(place) = self.place_mut(after) {
            place.previous = index;
        }
        if let Some(place) = self.place_mut(index) {
            (place.row, place.previous, place.next) = (row, before, after);
        }
        let ends = self.ends_mut(row);
        ends.length += 1;
        if before == NOBODY {
            ends.first = index;
        }
        if after == NOBODY {
            ends.last = index;
        }
    }

    fn unlink(&mut self, index: u32) {
        let Some((row, previous, next)) = self
            .place(index)
            .map(|place| (place.row, place.previous, place.next))
        else {
            return;
        };
        if let Some(place) = self.place_mut(previous) {
            place.next = next;
        }
        if let Some(place) = self.place_mut(next) {
            place.previous = previous;
        }
        let ends = self.ends_mut(row);
        ends.length -= 1;
        if previous == NOBODY {
            ends.first = next;
        }
        if next == NOBODY {
            ends.last = previous;
        }
    }
}
