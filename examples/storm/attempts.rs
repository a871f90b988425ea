//! How often the gateways sent the calls that they were given: the load that retries make.

use std::collections::HashMap;
use std::iter::Sum;
use std::sync::{Arc, Mutex, PoisonError};

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

/// How often one gateway has sent each call to an upstream.
///
/// Counted in the gateway, at the last step before its client: an upstream that is dead could not
/// count what is sent to it.
#[derive(Clone, Debug, Default)]
pub struct Tally(Arc<Mutex<HashMap<u64, u8>>>);

impl Tally {
    /// Notes an attempt of a call, and says how many came before.
    pub fn note(&self, number: u64) -> u8 {
        let mut sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let attempts = sent.entry(number).or_default();
        let before = *attempts;
        *attempts = before.saturating_add(1);
        before
    }

    /// How often a call was sent so far.
    pub fn of(&self, number: u64) -> u8 {
        let sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sent.get(&number).copied().unwrap_or_default()
    }
}

/// The attempts of a set of calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    /// Calls that were sent at all; what a gateway refuses at once never is.
    pub first: usize,
    /// Attempts, first ones and retries.
    pub all: usize,
}

impl Attempts {
    /// Adds a call that was sent so often.
    pub fn count(&mut self, attempts: u8) {
        self.first += usize::from(attempts > 0);
        self.all += usize::from(attempts);
    }

    pub const fn plus(self, other: Self) -> Self {
        Self {
            first: self.first + other.first,
            all: self.all + other.all,
        }
    }

    /// The load amplification in hundredths, never rounded down; `None` when nothing was sent.
    pub const fn hundredths(self) -> Option<usize> {
        match self.first {
            0 => None,
            first => Some((self.all * 100).div_ceil(first)),
        }
    }
}

impl Sum for Attempts {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Self::plus)
    }
}

impl Serialize for Attempts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let amplification = (self.first > 0).then(|| self.all as f64 / self.first as f64);
        let mut fields = serializer.serialize_struct("Attempts", 3)?;
        fields.serialize_field("first", &self.first)?;
        fields.serialize_field("all", &self.all)?;
        fields.serialize_field("amplification", &amplification)?;
        fields.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_keeps_calls_apart_and_is_shared_by_its_clones() {
        let tally = Tally::default();
        let attempts = [7, 8, 7, 7].map(|number| tally.clone().note(number));
        assert_eq!(attempts, [0, 0, 1, 2]);
        assert_eq!([7, 8, 9].map(|number| tally.of(number)), [3, 1, 0]);
    }

    #[test]
    fn a_call_that_was_never_sent_is_no_load() {
        let mut attempts = Attempts::default();
        assert_eq!(attempts.hundredths(), None);
        for sent in [1, 0, 4, 1] {
            attempts.count(sent);
        }
        assert_eq!(attempts, Attempts { first: 3, all: 6 });
        assert_eq!(attempts.hundredths(), Some(200));
    }

    #[test]
    fn an_amplification_is_never_rounded_down() {
        let of = |all| Attempts { first: 1_000, all }.hundredths();
        assert_eq!([1_000, 1_001, 1_010].map(of), [100, 101, 101].map(Some));
    }

    #[test]
    fn programs_read_the_amplification_as_it_is() {
        let attempts = Attempts { first: 4, all: 5 };
        let json = serde_json::to_string(&[attempts, Attempts::default()]).unwrap();
        assert_eq!(
            json,
            r#"[{"first":4,"all":5,"amplification":1.25},{"first":0,"all":0,"amplification":null}]"#
        );
    }
}
