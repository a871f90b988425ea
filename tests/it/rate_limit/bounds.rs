//! Eight threads at one limit, which try again and again: never more get in than were promised, in no interval of any length.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use buttress::{Rate, RateLimit};
use buttress_rate_limit::{KeyedRateLimit, RateLimitBuilder};
use buttress_testkit::deep;
use tokio::time::Instant;

const THREADS: usize = 8;

/// When a call asked, and when it knew that it was admitted. It counts at a moment between the two.
#[derive(Clone, Copy, Debug)]
struct Admitted {
    asked: Duration,
    answered: Duration,
}

/// Lets all threads try so often, and gives what was admitted, by when it was asked for.
fn strike(attempts: u64, try_acquire: impl Fn(u64) -> bool + Sync) -> Vec<Admitted> {
    let start = Barrier::new(THREADS);
    let origin = Instant::now();
    let mut admitted = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    let mut admitted = Vec::new();
                    start.wait();
                    for attempt in 0..attempts {
                        let asked = origin.elapsed();
                        if try_acquire(attempt) {
                            let answered = origin.elapsed();
                            admitted.push(Admitted { asked, answered });
                        }
                    }
                    admitted
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect::<Vec<_>>()
    });
    admitted.sort_by_key(|call| call.asked);
    admitted
}

/// Looks at every interval that begins when an admitted call asked and ends when one was answered: what lies in it for certain may not
/// be more than `bound` says for its length.
fn assert_never_over(admitted: &[Admitted], bound: impl Fn(Duration) -> u64) {
    let mut by_answer: Vec<_> = admitted.to_vec();
    by_answer.sort_by_key(|call| call.answered);
    let mut fullest = 0;
    for (n, first) in admitted.iter().enumerate() {
        // All that asked from then on, by when they were answered.
        let later = by_answer.iter().filter(|call| call.asked >= first.asked);
        let mut inside = 0;
        for call in later {
            inside += 1;
            let length = call.answered - first.asked;
            let most = bound(length);
            assert!(
                inside <= most,
                "{inside} in {length:?} from call {n} on, {most} may be"
            );
            fullest = fullest.max(inside);
        }
    }
    println!("{} admitted, {fullest} in one interval", admitted.len());
}

/// A bucket's burst and what flows into it meanwhile.
fn bucket(rate: u64, burst: u64) -> impl Fn(Duration) -> u64 {
    move |length| {
        let nanos = u64::try_from(length.as_nanos()).unwrap();
        burst + nanos * rate / 1_000_000_000
    }
}

/// At most the limit in a window, and in so many windows so many times as much.
fn window(limit: u64, width: Duration) -> impl Fn(Duration) -> u64 {
    move |length| limit * (u64::try_from(length.as_nanos() / width.as_nanos()).unwrap() + 1)
}

fn built(builder: RateLimitBuilder) -> RateLimit {
    builder.build()
}

// proves: RL-1
#[test]
fn eight_threads_get_no_more_out_of_a_token_bucket_than_it_holds() {
    let rate = Rate::per_second(1000).burst(100);
    let limit = built(RateLimit::builder("bucket").token_bucket(rate));
    let attempts = deep(100_000, 10_000_000);
    let admitted = strike(attempts, |_| limit.try_acquire().is_ok());
    assert_never_over(&admitted, bucket(1000, 100));
    assert!(admitted.len() >= 100, "its burst was there");
    let snapshot = limit.snapshot();
    assert_eq!(snapshot.admitted_count, admitted.len() as u64);
    let all = snapshot.admitted_count + snapshot.refused_count;
    assert_eq!(all, attempts * THREADS as u64);
}

/// What is given back may be taken again, and only once.
// proves: RL-1, A-1
#[test]
fn eight_threads_that_give_back_get_no_more_either() {
    let rate = Rate::per_second(1000).burst(100);
    let limit = built(RateLimit::builder("bucket").token_bucket(rate));
    let admitted = strike(deep(100_000, 2_000_000), |attempt| {
        let Ok(permit) = limit.try_acquire() else {
            return false;
        };
        if attempt % 2 == 0 {
            permit.give_back();
            return false;
        }
        true
    });
    // What was taken before an interval, and has come back by itself since, may be given back in it: by each of the other threads.
    assert_never_over(&admitted, bucket(1000, 100 + THREADS as u64 - 1));
    assert!(admitted.len() >= 100, "nothing of its burst was lost");
}

// proves: RL-1
#[test]
fn eight_threads_get_no_more_into_a_window_than_its_limit() {
    let (limit, width) = (200, Duration::from_millis(100));
    let rate = Rate::new(limit, width);
    let name = || RateLimit::builder("window");
    for builder in [name().sliding_window(rate), name().bucketed_window(rate)] {
        let window_of = built(builder);
        let attempts = deep(100_000, 1_000_000);
        let admitted = strike(attempts, |_| window_of.try_acquire().is_ok());
        assert_never_over(&admitted, window(limit.into(), width));
        assert!(admitted.len() >= limit as usize);
    }
}

// proves: RL-1
#[test]
fn eight_threads_get_one_call_an_interval_out_of_a_leaky_bucket() {
    let limit = built(RateLimit::builder("shaper").leaky_bucket(Rate::per_second(1000)));
    let admitted = strike(deep(100_000, 1_000_000), |_| limit.try_acquire().is_ok());
    assert_never_over(&admitted, bucket(1000, 1));
}

// proves: RL-1
#[test]
fn eight_threads_get_no_more_for_one_key_than_its_limit() {
    let rate = Rate::per_second(1000).burst(100);
    let builder = RateLimit::builder("per-key").token_bucket(rate).keyed();
    let limit: KeyedRateLimit<u64> = builder.max_keys(8).build();
    // Fifteen other keys come and go, for which there is not always room; it is the one that is counted.
    let admitted = strike(deep(100_000, 1_000_000), |attempt| {
        let other = limit.try_acquire(&(attempt % 15));
        if let Ok(permit) = other {
            permit.give_back();
        }
        limit.try_acquire(&77).is_ok()
    });
    let own = limit.quota(&77).policy.limit;
    assert_eq!(own, 100);
    // While it found no place it shared the limit of all such keys: once that, too.
    assert_never_over(&admitted, bucket(2 * 1000, 2 * 100));
}
