//! Rows against a list of lists.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail a test"
)]

use buttress_sync::Random;
use buttress_testkit::{deep, seed};

use super::{Key, Rows};

const ROWS: usize = 4;
/// Items come to its end by turns; in all other rows they stand by arrival.
const BY_TURN: usize = ROWS - 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Item {
    arrival: u64,
    /// Changed now and then, to see that the right one is.
    mark: u64,
}

#[derive(Default)]
struct Lists {
    lists: [Vec<(Key, Item)>; ROWS],
}

impl Lists {
    fn find(&self, key: Key) -> Option<(usize, usize)> {
        let place = |row: usize| self.lists[row].iter().position(|(other, _)| *other == key);
        (0..ROWS).find_map(|row| place(row).map(|index| (row, index)))
    }

    fn get(&self, key: Key) -> Option<Item> {
        self.find(key).map(|(row, index)| self.lists[row][index].1)
    }

    fn remove(&mut self, key: Key) -> Option<Item> {
        let (row, index) = self.find(key)?;
        Some(self.lists[row].remove(index).1)
    }

    fn move_to_end(&mut self, key: Key, row: usize) {
        if let Some(item) = self.remove(key) {
            self.lists[row].push((key, item));
        }
    }

    fn move_by_arrival(&mut self, key: Key, row: usize) {
        self.move_to_end(key, row);
        self.lists[row].sort_by_key(|(_, item)| item.arrival);
    }
}

/// Both, side by side, with all keys that ever were.
struct Pair {
    rows: Rows<Item, ROWS>,
    lists: Lists,
    keys: Vec<Key>,
    most: usize,
    met: [bool; TO_BE_MET.len()],
}

const TO_BE_MET: [&str; 5] = [
    "a place used again",
    "a stale key",
    "back into the midst of a row",
    "back to the start of a row",
    "back to the end of a row",
];

impl Pair {
    fn new(most: usize) -> Self {
        Self {
            rows: Rows::new(),
            lists: Lists::default(),
            keys: Vec::new(),
            most,
            met: [false; TO_BE_MET.len()],
        }
    }

    fn step(&mut self, random: &Random) {
        let row = draw(random, ROWS);
        let key = (!self.keys.is_empty()).then(|| self.keys[draw(random, self.keys.len())]);
        match (draw(random, 16), key) {
            (0..5, _) | (_, None) => self.push(row % BY_TURN),
            (5..8, Some(key)) => self.remove(key),
            (8..10, Some(key)) => {
                self.rows.move_to_end(key, BY_TURN);
                self.lists.move_to_end(key, BY_TURN);
            }
            (10..14, Some(key)) => self.move_by_arrival(key, row % BY_TURN, random),
            (_, Some(key)) => self.mark(key, random.next_u64()),
        }
    }

    fn push(&mut self, row: usize) {
        let occupied: usize = self.lists.lists.iter().map(Vec::len).sum();
        if occupied >= self.most {
            return;
        }
        let arrival = self.keys.len() as u64;
        let item = Item { arrival, mark: 0 };
        let key = self.rows.push(row, item);
        assert!(!self.keys.contains(&key), "a key of another item");
        self.lists.lists[row].push((key, item));
        self.keys.push(key);
        self.met[0] |= self.keys.len() > self.most;
    }

    fn remove(&mut self, key: Key) {
        let expected = self.lists.remove(key);
        assert_eq!(self.rows.remove(key), expected);
        self.met[1] |= expected.is_none();
    }

    /// From either end, to the same place.
    fn move_by_arrival(&mut self, key: Key, row: usize, random: &Random) {
        if random.next_u64().is_multiple_of(2) {
            self.rows.move_by_arrival(key, row);
        } else {
            self.rows.move_by_late_arrival(key, row);
        }
        self.lists.move_by_arrival(key, row);
        if let Some((row, index)) = self.lists.find(key) {
            let last = self.lists.lists[row].len() - 1;
            self.met[2] |= 0 < index && index < last;
            self.met[3] |= 0 == index && index < last;
            self.met[4] |= 0 < index && index == last;
        }
    }

    fn mark(&mut self, key: Key, mark: u64) {
        let item = self.rows.get_mut(key);
        let place = self.lists.find(key);
        assert_eq!(item.is_some(), place.is_some());
        if let (Some(item), Some((row, index))) = (item, place) {
            item.mark = mark;
            self.lists.lists[row][index].1.mark = mark;
        }
    }

    fn compare(&self, random: &Random) {
        let lists = &self.lists.lists;
        let occupied: usize = lists.iter().map(Vec::len).sum();
        assert_eq!(self.rows.occupied() as usize, occupied);
        for (row, list) in lists.iter().enumerate() {
            let items: Vec<(Key, Item)> =
                self.rows.row(row).map(|(key, item)| (key, *item)).collect();
            assert_eq!(items, *list, "row {row}");
            assert_eq!(self.rows.length(row) as usize, list.len());
            assert_eq!(self.rows.first(row), list.first().map(|(key, _)| *key));
            assert_eq!(self.rows.last(row), list.last().map(|(key, _)| *key));
        }
        for &key in &self.keys {
            assert_eq!(self.rows.get(key).copied(), self.lists.get(key));
            assert_eq!(
                self.rows.row_of(key),
                self.lists.find(key).map(|(row, _)| row)
            );
        }
        self.compare_later(random);
    }

    /// Of two items that are there, or one, or none.
    fn compare_later(&self, random: &Random) {
        let lists = &self.lists.lists;
        let one = lists[draw(random, ROWS)].first().copied();
        let other = lists[draw(random, ROWS)].last().copied();
        let later = [one, other].into_iter().flatten();
        let later = later.max_by_key(|(_, item)| item.arrival);
        let found = self
            .rows
            .later(one.map(|(key, _)| key), other.map(|(key, _)| key));
        assert_eq!(found, later.map(|(key, _)| key));
    }
}

fn draw(random: &Random, below: usize) -> usize {
    usize::try_from(random.next_u64() % below as u64).unwrap()
}

#[test]
fn rows_agree_with_a_list_of_lists_on_every_history() {
    let random = Random::seeded(seed());
    let histories = deep(1_000_u64, 40_000);
    let mut met = [0_u64; TO_BE_MET.len()];
    for _ in 0..histories {
        let mut pair = Pair::new(1 + draw(&random, 12));
        for _ in 0..1 + draw(&random, 120) {
            pair.step(&random);
            pair.compare(&random);
        }
        std::iter::zip(&mut met, pair.met).for_each(|(met, now)| *met += u64::from(now));
    }
    for (what, times) in std::iter::zip(TO_BE_MET, met) {
        println!("{what}: {times} of {histories} histories");
        assert!(times * 100 >= histories, "{what}: too few of them");
    }
}

#[test]
fn places_are_used_again_before_there_are_more() {
    let mut rows: Rows<u32, 1> = Rows::new();
    let mut keys: Vec<Key> = (0..3).map(|item| rows.push(0, item)).collect();
    for item in 3..100_000 {
        let key = keys.remove(item as usize % 3);
        assert!(rows.remove(key).is_some());
        assert_eq!(rows.remove(key), None, "it is gone");
        keys.push(rows.push(0, item));
    }
    assert_eq!(rows.places(), 3);
}

#[test]
fn whoever_is_put_into_a_row_that_there_is_not_stands_in_the_last() {
    let mut rows: Rows<u32, 2> = Rows::new();
    let first = rows.push(7, 1);
    let second = rows.push(0, 2);
    rows.move_to_end(second, 2);
    let standing: Vec<_> = rows.row(1).map(|(key, _)| key).collect();
    assert_eq!(standing, [first, second]);
    assert_eq!((rows.length(0), rows.length(1), rows.length(2)), (0, 2, 0));
    assert_eq!((rows.row_of(first), rows.first(2)), (Some(1), None));
}
