use std::fmt;

use super::RetryBudget;

/// A retry that a budget has let go. Dropped before it was [`sent`](Self::sent), it goes back.
#[must_use = "dropping a token gives the retry back"]
pub struct RetryToken {
    budget: RetryBudget,
    /// Where it was counted.
    slot: u64,
    sent: bool,
}

impl RetryToken {
    pub(super) const fn new(budget: RetryBudget, slot: u64) -> Self {
        Self {
            budget,
            slot,
            sent: false,
        }
    }

    /// The retry is on its way: it is spent, and counted.
    pub fn sent(mut self) {
        self.sent = true;
        self.budget.note_sent();
    }
}

impl Drop for RetryToken {
    fn drop(&mut self) {
        if !self.sent {
            self.budget.give_back(self.slot);
        }
    }
}

impl fmt::Debug for RetryToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryToken")
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}
