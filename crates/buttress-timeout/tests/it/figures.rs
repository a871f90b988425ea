//! What a timeout says of itself: figures, facts, events.

use std::fmt;
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use buttress_core::{Condition, Deadline, Inspect, Name, Reason, Value};
use buttress_timeout::{AdaptiveTimeout, Event, Phase};
use tokio::runtime::Builder;
use tokio::time::{Instant, sleep};

use super::cutting::refusal;
use super::{MS, SECOND, Told};

fn hang() -> impl Future<Output = Result<(), fmt::Error>> {
    pending()
}

#[tokio::test(start_paused = true)]
async fn the_quantiles_of_a_second_of_latencies_are_in_order() {
    let timeout = AdaptiveTimeout::builder("spread").build();
    for took in 0..1000 {
        timeout.record(took * MS);
    }
    let seen = timeout.snapshot();
    let [p50, p95, p99, p999] = [seen.p50, seen.p95, seen.p99, seen.p999].map(Option::unwrap);
    assert!(p50 < p95 && p95 < p99 && p99 <= p999, "{seen:?}");
    for (quantile, exact) in [(p50, 500), (p95, 950), (p99, 990), (p999, 999)] {
        let error = quantile.as_secs_f64() / (exact * MS).as_secs_f64() - 1.0;
        assert!(error.abs() < 0.05, "{quantile:?} for {exact} ms");
    }
    assert_eq!(seen.samples, 1000);
}

// proves: AT-2
#[tokio::test(start_paused = true)]
async fn after_a_hundred_calls_of_100_ms_the_timeout_is_150_ms_and_not_before() {
    let timeout = AdaptiveTimeout::builder("steady").build();
    for calls in 1..100 {
        timeout.record(100 * MS);
        let seen = timeout.snapshot();
        assert_eq!(seen.current_timeout, 60 * SECOND, "after {calls}");
    }
    timeout.record(100 * MS);
    let seen = timeout.snapshot();
    let off = seen.current_timeout.as_secs_f64() / 0.15 - 1.0;
    assert!(off.abs() < 0.05, "{seen:?}");
    assert_eq!(timeout.current_timeout(), seen.current_timeout);
}

/// The same through calls, and without a look at the figures.
#[tokio::test(start_paused = true)]
async fn calls_alone_teach_it() {
    let timeout = AdaptiveTimeout::builder("steady").build();
    for _ in 0..102 {
        let work = async {
            sleep(100 * MS).await;
            Ok::<_, fmt::Error>(())
        };
        timeout.run(work).await.unwrap();
    }
    let learned = timeout.current_timeout();
    assert!((143 * MS..158 * MS).contains(&learned), "{learned:?}");
    // One in 64 may take longer.
    let mut cut_at = Vec::new();
    for _ in 0..8 {
        let started = Instant::now();
        assert_eq!(
            refusal(timeout.run(hang()).await).reason(),
            Reason::TimedOut
        );
        cut_at.push(started.elapsed());
        sleep(MS / 3).await;
    }
    cut_at.sort();
    // The runtime's timers know whole milliseconds.
    assert!(
        cut_at[3] >= learned && cut_at[3] <= learned + MS,
        "{cut_at:?}"
    );
}

#[tokio::test(start_paused = true)]
#[expect(clippy::too_many_lines, reason = "a list")]
async fn facts_have_the_names_that_statistics_know() {
    let timeout = AdaptiveTimeout::builder("facts").total(SECOND).build();
    let names = [
        "p50",
        "p95",
        "p99",
        "p999",
        "samples",
        "current_timeout_ms",
        "adaptive_enabled",
    ];
    let facts = timeout.facts();
    assert_eq!(
        facts
            .iter()
            .map(|(name, _)| *name)
            .take(7)
            .collect::<Vec<_>>(),
        names
    );
    let fact = |name: &str| {
        timeout
            .facts()
            .into_iter()
            .find(|fact| fact.0 == name)
            .unwrap()
            .1
    };
    assert_eq!(fact("p50"), Value::Unknown);
    assert_eq!(fact("current_timeout_ms"), Value::Number(1000.0));
    assert_eq!(fact("adaptive_enabled"), Value::Flag(true));
    (0..100).for_each(|_| timeout.record(100 * MS));
    refusal(timeout.run(hang()).await);
    assert_eq!(fact("samples"), Value::Count(101));
    assert_eq!(fact("timed_out"), Value::Count(1));
    assert_eq!(fact("deadline_exceeded"), Value::Count(0));
    assert_eq!(
        fact("p95"),
        Value::Duration(timeout.snapshot().p95.unwrap())
    );
    assert!(
        matches!(fact("current_timeout_ms"), Value::Number(ms) if (140.0..160.0).contains(&ms))
    );
    assert_eq!(
        (timeout.kind(), timeout.condition()),
        ("adaptive_timeouts", Condition::Up)
    );
    assert_eq!(Inspect::name(&timeout), Name::new("facts"));
}

#[test]
fn a_fixed_one_says_so() {
    let fixed = AdaptiveTimeout::fixed(250 * MS);
    assert!(
        fixed
            .facts()
            .contains(&("adaptive_enabled", Value::Flag(false)))
    );
    assert!(
        fixed
            .facts()
            .contains(&("current_timeout_ms", Value::Number(250.0)))
    );
}

/// How long a call may take at this moment: a plain call has no head.
#[tokio::test(start_paused = true)]
async fn a_plain_call_takes_no_longer_and_no_shorter_than_the_figure_says() {
    let builder = || AdaptiveTimeout::builder("exact").no_total().head(SECOND);
    for timeout in [
        builder().build(),
        builder().ceiling(3 * SECOND).build(),
        AdaptiveTimeout::builder("exact")
            .head(SECOND)
            .total(2 * SECOND)
            .build(),
        AdaptiveTimeout::builder("exact")
            .head(SECOND)
            .total(2 * SECOND)
            .fixed()
            .build(),
    ] {
        let said = timeout.snapshot().current_timeout;
        let started = Instant::now();
        refusal(timeout.run(hang()).await);
        assert_eq!(started.elapsed(), said, "{timeout:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_is_told_of_what_is_cut_and_what_is_refused() {
    for fixed in [true, false] {
        let told = Told::default();
        let builder = AdaptiveTimeout::builder("told").total(SECOND);
        let timeout = told.by(if fixed { builder.fixed() } else { builder });
        timeout
            .run(async { Ok::<_, fmt::Error>(()) })
            .await
            .unwrap();
        timeout
            .run(async { Err::<(), _>(fmt::Error) })
            .await
            .unwrap_err();
        drop(tokio::time::timeout(MS, timeout.run(hang())).await);
        assert_eq!(told.take(), []);

        let rejected = refusal(timeout.run(hang()).await);
        let [
            Event::Cut {
                phase,
                rejected: said,
                ..
            },
        ] = told.take()[..]
        else {
            panic!("one is cut");
        };
        assert_eq!((phase, said), (Phase::Head, rejected));
        let soon = Deadline::after(Instant::now(), MS);
        let rejected = refusal(timeout.run_before(soon, hang()).await);
        let [Event::Cut { rejected: said, .. }] = told.take()[..] else {
            panic!("one is cut");
        };
        assert_eq!(said, rejected);
        let rejected = refusal(timeout.run_before(soon, hang()).await);
        let [Event::Refused { rejected: said, .. }] = told.take()[..] else {
            panic!("one is refused");
        };
        assert_eq!((said, said.reason()), (rejected, Reason::DeadlineExceeded));
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_is_told_when_nothing_can_be_learned_and_when_it_can_again() {
    let told = Told::default();
    let timeout = told.by(AdaptiveTimeout::builder("frozen").min_samples(20));
    (0..50).for_each(|_| timeout.record(10 * MS));
    let learned = timeout.snapshot().current_timeout;
    sleep(SECOND).await;
    (0..500).for_each(|_| timeout.record_unfinished(15 * MS));
    let seen = timeout.snapshot();
    assert_eq!((seen.p95, seen.current_timeout), (None, learned));
    let [Event::Frozen { timeout: said, .. }] = told.take()[..] else {
        panic!("it is frozen");
    };
    assert_eq!(said, learned);
    for _ in 0..10 {
        sleep(SECOND).await;
        (0..50).for_each(|_| timeout.record(20 * MS));
    }
    let [Event::Resumed { timeout: said, .. }] = told.take()[..] else {
        panic!("it is no longer");
    };
    assert!(said > learned, "{said:?} after {learned:?}");
}

/// It goes to the task of the call that was cut, and to nobody else; nothing is lost by it.
#[test]
fn a_panic_of_an_observer_is_the_calls_own() {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let builder =
        || AdaptiveTimeout::builder("loud").observer(|_: &Event| panic!("the observer's"));
    for timeout in [
        builder().total(SECOND).build(),
        builder().total(SECOND).fixed().build(),
    ] {
        for calls in 1..=2 {
            let cut = catch_unwind(AssertUnwindSafe(|| runtime.block_on(timeout.run(hang()))));
            let panic = cut.unwrap_err();
            assert_eq!(panic.downcast_ref::<&str>(), Some(&"the observer's"));
            assert_eq!(timeout.snapshot().timed_out, calls);
        }
        let past = Deadline::at(Instant::now());
        let refused = || runtime.block_on(timeout.run_before(past, hang()));
        assert!(catch_unwind(AssertUnwindSafe(refused)).is_err());
        let works = runtime.block_on(timeout.run(async { Ok::<_, fmt::Error>(42) }));
        assert_eq!(works.unwrap(), 42);
        let learned = if timeout.snapshot().adaptive_enabled {
            3
        } else {
            0
        };
        assert_eq!(timeout.snapshot().samples, learned, "each once");
    }
}

/// Told while it is locked, it would wait for itself.
#[tokio::test(start_paused = true)]
async fn an_observer_may_use_the_handle() {
    let slot = std::sync::Arc::new(std::sync::OnceLock::<AdaptiveTimeout>::new());
    let used = std::sync::Arc::clone(&slot);
    let timeout = AdaptiveTimeout::builder("used")
        .min_samples(1)
        .total(SECOND)
        .observer(move |_: &Event| {
            let timeout = used.get().unwrap();
            timeout.record(Duration::ZERO);
            let _ = timeout.snapshot();
        })
        .build();
    slot.set(timeout.clone()).unwrap();
    refusal(timeout.run(hang()).await);
    assert!(timeout.snapshot().samples >= 2);
}
