//! hdrhistogram: one that a thread has to itself, and one that is merged from what each thread records.

use hdrhistogram::Histogram;

use super::Case;
use super::bare::{TOLD, TOOK};
use crate::subject::{Subject, repeated};

const RECORD: &str = "latency record";

pub(super) const CASES: &[Case] = &[
    Case::special("hdrhistogram", RECORD, || {
        let mut calls = histogram();
        told(move |nanos| calls.record(nanos).is_ok())
    })
    .over(TOLD),
    Case::special("hdrhistogram, sync recorder", RECORD, || {
        let mut calls = histogram().into_sync().recorder();
        told(move |nanos| calls.record(nanos).is_ok())
    })
    .over(TOLD),
];

/// From a nanosecond to an hour, to two digits.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 3_600_000_000_000, 2).expect("the bounds are valid")
}

/// Takes nanoseconds, so it is given them.
fn told(mut record: impl FnMut(u64) -> bool + Clone + Send + 'static) -> Box<dyn Subject> {
    let nanos = u64::try_from(TOOK.as_nanos()).expect("it is short");
    repeated(nanos, move |nanos| {
        assert!(record(nanos), "it is within the bounds");
    })
}
