//! How long each level may take.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use buttress_core::{Deadline, Level, Outcome, Reason, Rejectable};
use buttress_fallback::{Cause, FallbackChain, FallbackChainBuilder, Source};
use tokio::time::{Instant, sleep};
use tower::{Layer, ServiceExt, service_fn};

use crate::support::{Does, Failure, level};

const SECOND: Duration = Duration::from_secs(1);

fn hanging() -> Source<(), &'static str, Failure> {
    Source::function(|()| pending())
}

fn hangs() -> FallbackChainBuilder<(), &'static str, Failure> {
    FallbackChain::builder("times")
        .primary(hanging())
        .replica(hanging())
        .default_value("default")
}

// proves: FC-1
#[tokio::test(start_paused = true)]
async fn the_time_left_is_divided_by_the_levels_left() {
    let start = Instant::now();
    let served = hangs().build().run(()).await.unwrap();
    assert_eq!(
        (served.answer, served.by.level),
        ("default", Level::Default)
    );
    let took: Vec<Duration> = served
        .failed
        .iter()
        .map(|failed| failed.tried.took())
        .collect();
    assert_eq!(took, [20 * SECOND, 20 * SECOND]);
    assert_eq!(start.elapsed(), 40 * SECOND);
}

// proves: FC-1
#[tokio::test(start_paused = true)]
async fn a_level_takes_as_long_as_was_set_for_it() {
    let start = Instant::now();
    let chain = FallbackChain::builder("times")
        .primary(hanging().time(SECOND))
        .replica(hanging().time(Duration::MAX))
        .default_value("default")
        .total_time(5 * SECOND)
        .build();
    // The replica takes all that is left, and a value needs no time.
    assert_eq!(chain.run(()).await.unwrap().answer, "default");
    assert_eq!(start.elapsed(), 5 * SECOND);
}

// proves: FC-1, FC-3
#[tokio::test(start_paused = true)]
async fn nothing_is_asked_after_the_callers_deadline() {
    let chain = hangs().primary_time(Duration::MAX).build();
    let deadline = Deadline::after(Instant::now(), SECOND);
    let exhausted = chain.run_before(deadline, ()).await.unwrap_err();
    let failed: Vec<_> = exhausted
        .failed
        .iter()
        .map(|failed| failed.tried.outcome())
        .collect();
    assert_eq!(failed, [Outcome::Refused(Reason::DeadlineExceeded)]);
    assert!(
        matches!(exhausted.failed[0].cause, Cause::Refused(rejected) if rejected.component().as_str() == "times")
    );
    assert!(
        exhausted
            .to_string()
            .starts_with("no level of times has answered: primary deadline-exceeded after 1000 ms")
    );
    // One that has passed already lets nothing begin.
    let exhausted = chain.run_before(deadline, ()).await.unwrap_err();
    assert!(exhausted.failed.is_empty());
    let seen = chain.snapshot();
    assert_eq!((seen.exhausted, seen.expired), (0, 2));
    assert_eq!((seen.levels[0].failed, seen.levels[0].passed_over), (0, 0));
    let refused = exhausted.refused.unwrap();
    assert_eq!(refused.reason(), Reason::DeadlineExceeded);
    assert_eq!(
        exhausted.to_string(),
        "no level of times has answered: deadline-exceeded"
    );
}

// proves: FC-1
#[tokio::test(start_paused = true)]
async fn a_total_of_ours_further_out_is_no_deadline_of_the_caller() {
    let chain = hangs().primary_time(Duration::MAX).build();
    let total = Deadline::after(Instant::now(), SECOND).as_total();
    let exhausted = chain.run_before(total, ()).await.unwrap_err();
    assert_eq!(
        exhausted.failed[0].tried.outcome(),
        Outcome::Refused(Reason::TimedOut)
    );
}

// proves: FC-1
#[tokio::test(start_paused = true)]
async fn a_primary_that_hangs_is_left_in_its_time_and_its_work_ends_before() {
    struct Ends(Arc<AtomicU32>);
    impl Drop for Ends {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    let ended = Arc::new(AtomicU32::new(0));
    let (mine, seen) = (Arc::clone(&ended), Arc::clone(&ended));
    let service = service_fn(move |()| {
        let ends = Ends(Arc::clone(&mine));
        async move {
            pending::<()>().await;
            drop(ends);
            Ok::<_, Failure>("late")
        }
    });
    let chain = FallbackChain::builder("times")
        .replica(Source::function(move |()| {
            assert_eq!(seen.load(SeqCst), 1, "the primary is gone");
            async { Ok("replica") }
        }))
        .primary_time(SECOND)
        .build();
    let start = Instant::now();
    assert_eq!(
        chain.layer().layer(service).oneshot(()).await.unwrap(),
        "replica"
    );
    assert_eq!(start.elapsed(), SECOND);
    let primary = &chain.snapshot().levels[0];
    assert_eq!((primary.served, primary.failed), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn where_nobody_waits_no_timer_is_needed() {
    let calls = Arc::default();
    let chain = FallbackChain::builder("times")
        .default(level(1, Does::Answers, &calls))
        .build();
    let stack = chain
        .layer()
        .layer(service_fn(async |_: u32| Err(crate::support::down())));
    let start = Instant::now();
    assert_eq!(stack.oneshot(1).await.unwrap().place, 1);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

// proves: FC-2, FC-6
#[tokio::test(start_paused = true)]
async fn the_snapshot_says_when_each_level_last_answered() {
    let fails = Arc::new(AtomicU32::new(0));
    let told = Arc::clone(&fails);
    let chain = FallbackChain::builder("times")
        .primary(Source::function(move |()| {
            let fails = told.load(SeqCst) == 1;
            async move {
                if fails {
                    Err(crate::support::down())
                } else {
                    Ok("primary")
                }
            }
        }))
        .backup(Source::function(async |()| Ok::<_, Failure>("backup")))
        .build();
    let last = |place: usize| chain.snapshot().levels[place].last_success;
    assert_eq!((last(0), last(1)), (None, None));
    chain.run(()).await.unwrap();
    fails.store(1, SeqCst);
    sleep(SECOND).await;
    chain.run(()).await.unwrap();
    sleep(2 * SECOND).await;
    assert_eq!((last(0), last(1)), (Some(3 * SECOND), Some(2 * SECOND)));
    let rejection = chain.run(()).await.unwrap().failed.remove(0);
    assert!(matches!(rejection.cause, Cause::Error(error) if error.rejection().is_none()));
}
