#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail a test"
)]

mod desk;
mod histories;
mod model;
mod pair;
mod tables;

use std::cell::RefCell;
use std::rc::Rc;

use super::{Fate, Waiter};

/// Somebody in the queue, known by its number, and all that it was told.
#[derive(Clone, Debug, Default)]
struct Who {
    id: u64,
    told: Rc<RefCell<Vec<Fate>>>,
}

impl Who {
    fn new(id: u64) -> Self {
        Self {
            id,
            told: Rc::default(),
        }
    }

    fn told(&self) -> Vec<Fate> {
        self.told.borrow().clone()
    }
}

impl Waiter for Who {
    fn turn_out(&self, fate: Fate) {
        self.told.borrow_mut().push(fate);
    }
}
