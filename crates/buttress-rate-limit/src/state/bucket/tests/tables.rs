use super::{Bucket, Level, Terms, Wait, Word, at, terms};
use crate::state::bucket::{LATEST, MOST_CAPACITY};

const SECOND: u64 = 1_000_000_000;

/// SPEC, Behaviour 7: 1000 tokens, 100 come back in a second.
// proves: RL-1, RL-3
#[test]
fn a_bucket_admits_its_capacity_refuses_the_next_and_fills_with_time() {
    let bucket = Bucket::new(terms(SECOND / 100, 1000));
    for _ in 0..1000 {
        assert!(bucket.take(1, at(0)).is_ok());
    }
    assert_eq!(bucket.take(1, at(0)), Err(Wait::After(10_000_000)));
    assert_eq!(bucket.take(1, at(9_999_999)), Err(Wait::After(1)));
    assert!(bucket.take(1, at(10_000_000)).is_ok());
    assert_eq!(bucket.level(at(SECOND)).remaining, 99);
    assert!(bucket.take(99, at(SECOND)).is_ok());
    assert!(bucket.take(1000, at(11 * SECOND)).is_ok());
    assert!(!bucket.word().is_full(at(21 * SECOND - 1)));
    assert!(bucket.word().is_full(at(21 * SECOND)));
}

#[test]
fn more_than_the_burst_never_fits() {
    let bucket = Bucket::new(terms(10, 5));
    assert_eq!(bucket.take(6, at(1_000)), Err(Wait::Never));
    assert_eq!(bucket.take(u32::MAX, at(0)), Err(Wait::Never));
    assert!(bucket.take(5, at(0)).is_ok());
    assert_eq!(bucket.take(5, at(20)), Err(Wait::After(30)));
    assert_eq!(bucket.take(6, at(20)), Err(Wait::Never));
}

#[test]
fn nothing_is_there_also_when_the_bucket_owes() {
    let bucket = Bucket::new(terms(10, 5));
    bucket.charge(8, at(0));
    assert_eq!(
        bucket.level(at(0)),
        Level {
            remaining: 0,
            clear_after: 80
        }
    );
    assert!(bucket.take(0, at(0)).is_ok());
    assert_eq!(bucket.take(1, at(0)), Err(Wait::After(40)));
    bucket.charge(100, at(0));
    assert_eq!(bucket.take(1, at(0)), Err(Wait::After(60)));
}

#[test]
fn what_is_given_back_is_there_again_but_never_more_than_the_burst() {
    let bucket = Bucket::new(terms(10, 5));
    assert!(bucket.take(4, at(100)).is_ok());
    bucket.give_back(3);
    assert_eq!(
        bucket.level(at(100)),
        Level {
            remaining: 4,
            clear_after: 10
        }
    );
    bucket.give_back(100);
    assert_eq!(
        bucket.level(at(100)),
        Level {
            remaining: 5,
            clear_after: 0
        }
    );
    assert_eq!(bucket.take(6, at(100)), Err(Wait::Never));
}

#[test]
fn after_the_limit_is_lowered_nobody_gets_in_until_less_is_spent() {
    let bucket = Bucket::new(terms(10, 1000));
    assert!(bucket.take(500, at(0)).is_ok());
    bucket.set_terms(terms(100, 100), at(0));
    assert_eq!(
        bucket.level(at(0)),
        Level {
            remaining: 0,
            clear_after: 50_000
        }
    );
    assert_eq!(bucket.take(1, at(0)), Err(Wait::After(40_100)));
    assert!(bucket.take(1, at(40_100)).is_ok());
    bucket.set_terms(terms(10, 1000), at(40_100));
    assert_eq!(bucket.level(at(40_100)).remaining, 900);
}

#[test]
fn turns_are_counted_beyond_the_burst() {
    let bucket = Bucket::new(terms(10, 5));
    assert_eq!(bucket.turn(5, at(0)), 0);
    assert_eq!(bucket.turn(7, at(0)), 20);
    assert_eq!(bucket.turn(u64::MAX, at(0)), u64::MAX - 50);
}

#[test]
fn terms_have_bounds() {
    assert_eq!(Terms::new(0, 1), None);
    assert_eq!(Terms::new(1, 0), None);
    assert_eq!(Terms::new(u64::MAX, 2), None);
    assert_eq!(Terms::new(MOST_CAPACITY + 1, 1), None);
    assert_eq!(terms(MOST_CAPACITY, 1).burst(), 1);
    assert_eq!(terms(1, u32::MAX).burst(), u32::MAX);
}

#[test]
fn at_the_end_of_the_clock_a_bucket_still_keeps_its_bound() {
    let longest = terms(MOST_CAPACITY, 1);
    let bucket = Bucket::new(longest);
    for _ in 0..3 {
        bucket.charge(u32::MAX, at(u64::MAX));
    }
    assert_eq!(bucket.level(at(u64::MAX)).clear_after, 2 * MOST_CAPACITY);
    let other = Word::FULL.take(longest, 1, at(LATEST)).unwrap();
    assert_eq!(
        other.take(longest, 1, at(u64::MAX)),
        Err(Wait::After(MOST_CAPACITY))
    );
}
