//! Every interleaving of three threads.

use buttress_timer::Moment;
use loom::sync::Arc;
use loom::thread;

use super::{Bucket, Level, Terms, Wait};

fn at(nanos: u64) -> Moment {
    Moment::from_nanos(nanos)
}

fn bucket(interval: u64, burst: u32) -> Arc<Bucket> {
    Arc::new(Bucket::new(Terms::new(interval, burst).unwrap()))
}

fn model(preemptions: usize, test: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(test);
}

/// Three callers and two units: two get one, and the third is told the exact wait.
// proves: RL-1, RL-3
#[test]
fn two_units_go_to_two_of_three() {
    model(3, || {
        let bucket = bucket(10, 2);
        let take = |bucket: Arc<Bucket>| move || bucket.take(1, at(5)).map(drop);
        let others = [(); 2].map(|()| thread::spawn(take(bucket.clone())));
        let own = take(bucket.clone())();
        let all = others.map(|other| other.join().unwrap());
        let all: Vec<_> = all.into_iter().chain([own]).collect();
        assert_eq!(all.iter().filter(|answer| answer.is_ok()).count(), 2);
        assert!(all.contains(&Err(Wait::After(10))));
        assert_eq!(
            bucket.level(at(5)),
            Level {
                remaining: 0,
                clear_after: 20
            }
        );
    });
}

/// A unit comes back beside two callers: it goes to at most one of them, and none is lost.
// proves: RL-1
#[test]
fn a_unit_given_back_beside_two_callers_goes_to_one() {
    model(3, || {
        let bucket = bucket(10, 1);
        assert!(bucket.take(1, at(0)).is_ok());
        let take = |bucket: Arc<Bucket>| move || bucket.take(1, at(0)).is_ok();
        let others = [(); 2].map(|()| thread::spawn(take(bucket.clone())));
        bucket.give_back(1);
        let taken = others.map(|other| u32::from(other.join().unwrap()));
        let taken: u32 = taken.into_iter().sum();
        assert!(taken <= 1);
        assert_eq!(bucket.level(at(0)).remaining, 1 - taken);
    });
}

/// The terms change beside two callers: what each has taken stays taken under the new ones, in units, and nobody takes by half of the
/// old terms and half of the new ones: that would be ten units at a nanosecond each.
// proves: RL-1
#[test]
fn a_change_of_the_terms_beside_two_callers_forgets_nothing() {
    model(3, || {
        let bucket = bucket(1, 2);
        let take = |bucket: Arc<Bucket>, units| move || bucket.take(units, at(0)).is_ok();
        let one = thread::spawn(take(bucket.clone(), 1));
        let ten = thread::spawn(take(bucket.clone(), 10));
        bucket.set_terms(Terms::new(100, 3).unwrap(), at(0));
        assert!(one.join().unwrap());
        assert!(!ten.join().unwrap());
        assert_eq!(
            bucket.level(at(0)),
            Level {
                remaining: 2,
                clear_after: 100
            }
        );
    });
}

/// Two changes at once: the terms are those of one of them as a whole.
#[test]
fn two_changes_of_the_terms_do_not_mix() {
    model(3, || {
        let bucket = bucket(10, 1);
        let terms = [(7, 2), (5, 3)].map(|(interval, burst)| Terms::new(interval, burst).unwrap());
        let changes = terms.map(|terms| {
            let bucket = bucket.clone();
            thread::spawn(move || bucket.set_terms(terms, at(0)))
        });
        let seen = bucket.terms();
        assert!(terms.contains(&seen) || seen == Terms::new(10, 1).unwrap());
        changes
            .into_iter()
            .for_each(|change| change.join().unwrap());
        assert!(terms.contains(&bucket.terms()));
    });
}
