use std::error::Error;
use std::fmt;
use std::mem;

use buttress_testkit::{Live, ProbeError};

use super::{Fault, Slot};

/// Two parts; the slot is given back with the second, or when the rest is not wanted.
#[derive(Debug)]
pub(crate) struct Response {
    fault: Fault,
    read: usize,
    // Dropped in this order: the call is over before its slot is free.
    live: Option<Live>,
    slot: Option<Slot>,
}

impl Response {
    pub(super) fn new(fault: Fault, live: Option<Live>, slot: Option<Slot>) -> Self {
        Self {
            fault,
            read: 0,
            live,
            slot,
        }
    }

    pub(super) fn next_part(&mut self) -> Option<()> {
        self.read += 1;
        if self.read > 2 {
            drop(self.live.take());
            drop(self.slot.take());
            return None;
        }
        Some(())
    }
}

impl Drop for Response {
    fn drop(&mut self) {
        let leaks = match self.fault {
            Fault::LeaksUnread => self.read == 0,
            Fault::LeaksHalfRead => self.read == 1,
            _ => false,
        };
        if leaks {
            mem::forget(self.slot.take());
        }
        if self.fault == Fault::KeepsTheResponse {
            mem::forget(self.live.take());
        }
    }
}

// === LimitError ===

#[derive(Debug)]
pub(crate) enum LimitError {
    Full,
    Inner(ProbeError),
}

impl fmt::Display for LimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("no slot is free"),
            Self::Inner(error) => error.fmt(f),
        }
    }
}

impl Error for LimitError {}
