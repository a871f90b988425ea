//! Every interleaving of a reader and a writer.

use std::time::Duration;

use loom::sync::Arc;
use loom::thread;

use super::{InForce, Rate, Terms};

/// Three rates, so that a place is written for the second time while somebody may still read the first one there: each is read as a
/// whole, and none after a later one.
// proves: RL-1
#[test]
fn terms_that_change_twice_are_read_as_a_whole() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(|| {
        let rate = |units: u32| Rate::new(units, Duration::from_nanos(units.into()));
        let in_force = Arc::new(InForce::new(rate(1)));
        let read = |in_force: &InForce| {
            let Terms {
                change,
                limit,
                width,
            } = in_force.get();
            assert_eq!((u64::from(limit), width), (change + 1, change + 1));
            change
        };
        let reader = {
            let in_force = in_force.clone();
            thread::spawn(move || {
                let first = read(&in_force);
                assert!(read(&in_force) >= first);
            })
        };
        in_force.set(rate(2));
        in_force.set(rate(3));
        assert_eq!(read(&in_force), 2);
        assert!(reader.join().is_ok());
    });
}
