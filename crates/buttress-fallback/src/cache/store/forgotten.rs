//! What was forgotten, so that an answer that was on its way then is not kept after all.

use std::collections::{BTreeMap, HashMap};

use super::Made;

/// Fewer would soon be too few where much is changed, however little is kept.
pub(super) const LEAST: usize = 1000;
const MOST: usize = 10_000;

/// The keys that were forgotten last, as many as answers are kept, but 1000 to 10 000. Of all before them only one moment is known: an
/// answer that was made earlier is not kept, whatever its key.
#[derive(Debug)]
pub(super) struct Forgotten {
    most: usize,
    keys: HashMap<u64, (u64, Made)>,
    /// The keys in the order in which they were forgotten.
    order: BTreeMap<u64, u64>,
    number: u64,
    before: Option<Made>,
}

impl Forgotten {
    pub(super) fn new(entries: usize) -> Self {
        Self {
            most: entries.clamp(LEAST, MOST),
            keys: HashMap::new(),
            order: BTreeMap::new(),
            number: 0,
            before: None,
        }
    }

    /// Whether an answer that was made then was forgotten since.
    pub(super) fn holds(&self, at: u64, made: Made) -> bool {
        let of_key = self.keys.get(&at).map(|(_, of_key)| *of_key);
        let all = [of_key, self.before].into_iter().flatten();
        all.into_iter()
            .any(|forgotten| forgotten.is_later_than(made))
    }

    /// Forgets what was made before this.
    pub(super) fn note(&mut self, at: u64, made: Made) {
        let made = match self.keys.remove(&at) {
            Some((number, before)) => {
                self.order.remove(&number);
                later(before, made)
            }
            None => made,
        };
        self.number += 1;
        self.keys.insert(at, (self.number, made));
        self.order.insert(self.number, at);
        while self.keys.len() > self.most {
            let Some((_, oldest)) = self.order.pop_first() else {
                break;
            };
            if let Some((_, made)) = self.keys.remove(&oldest) {
                self.before = Some(self.before.map_or(made, |before| later(before, made)));
            }
        }
    }
}

fn later(one: Made, other: Made) -> Made {
    if other.is_later_than(one) { other } else { one }
}
