//! Ten times as many calls as a bulkhead can serve, on paused time: who gets in, how soon, and what the others are told.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use buttress_bulkhead::{Bulkhead, Snapshot};
use buttress_core::{Deadline, Error, Priority, Reason, WidenLayer};
use buttress_http::HttpExt;
use buttress_sync::Random;
use buttress_testkit::{deep, seed};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;
use tokio::time::{Instant, sleep, sleep_until};
use tower::{Layer, ServiceExt, service_fn};

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

const SLOTS: u32 = 20;
const SERVICE_TIME: Duration = Duration::from_millis(100);
const MAX_WAIT: Duration = SECOND;

/// One of five calls has a deadline this long after its arrival.
const TIME_LEFT: Duration = Duration::from_millis(300);

/// Arrivals a second: ten times what the slots can serve.
const RATE: f64 = 10.0 * SLOTS as f64 / 0.1;

/// Critical calls make half of what the slots can serve: one arrival of twenty. The other four classes are equal.
const CRITICAL: f64 = 0.05;

/// Each class has places of its own, so that somebody waits in each; all together are more than there are places.
const QUEUE: u32 = 150;
const PLACES: u32 = 40;

// === The load ===

/// Seeded chance of two kinds.
struct Chance(Random);

impl Chance {
    /// In 0..1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are kept, which fit")]
    fn unit(&self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// The time between two arrivals that know nothing of each other.
    fn gap(&self) -> Duration {
        Duration::from_secs_f64(-(1.0 - self.unit()).ln() / RATE)
    }

    fn class(&self) -> Priority {
        let unit = self.unit();
        if unit < CRITICAL {
            return Priority::Critical;
        }
        let lower = [
            Priority::High,
            Priority::Normal,
            Priority::Low,
            Priority::Background,
        ];
        lower[((unit - CRITICAL) / (1.0 - CRITICAL) * 4.0) as usize]
    }
}

/// When a call came.
#[derive(Clone, Copy)]
struct Arrived(Instant);

/// What became of the calls of one class.
#[derive(Debug, Default)]
struct Fates {
    arrived: u64,
    admitted: Vec<Duration>,
    refused: BTreeMap<&'static str, u64>,
    longest_in_vain: Duration,
}

type Ledger = Arc<Mutex<BTreeMap<Priority, Fates>>>;

async fn serve(
    ledger: Ledger,
    request: Request<Arrived>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let Arrived(arrival) = request.body();
    let class: Priority = *request.extensions().get().unwrap();
    let late = |deadline: &Deadline| deadline.has_passed(Instant::now());
    assert!(
        !request.extensions().get().is_some_and(late),
        "started after its deadline"
    );
    let admitted = |fates: &mut Fates| fates.admitted.push(arrival.elapsed());
    admitted(ledger.lock().unwrap().entry(class).or_default());
    sleep(SERVICE_TIME).await;
    Ok(Response::new(Empty::new()))
}

/// Sends arrivals until `end`, and waits until the last of them is over.
async fn overload(bulkhead: &Bulkhead, chance: &Chance, end: Instant) -> BTreeMap<Priority, Fates> {
    let ledger = Ledger::default();
    let service = {
        let ledger = Arc::clone(&ledger);
        let serve = service_fn(move |request| serve(Arc::clone(&ledger), request));
        (bulkhead.layer().http(), WidenLayer).layer(serve)
    };
    let mut arrival = Instant::now();
    while arrival < end {
        arrival += chance.gap();
        sleep_until(arrival).await;
        let arrived = Instant::now();
        let (class, hasty) = (chance.class(), chance.unit() < 0.2);
        let mut request = Request::new(Arrived(arrived));
        request.extensions_mut().insert(class);
        if hasty {
            let deadline = Deadline::after(arrived, TIME_LEFT);
            request.extensions_mut().insert(deadline);
        }
        let (service, ledger) = (service.clone(), Arc::clone(&ledger));
        tokio::spawn(async move {
            let result = service.oneshot(request).await;
            let waited = arrived.elapsed();
            let mut ledger = ledger.lock().unwrap();
            let fates = ledger.entry(class).or_default();
            fates.arrived += 1;
            if let Err(Error::Rejected(rejected)) = result {
                let reason = rejected.reason();
                *fates.refused.entry(reason.as_str()).or_default() += 1;
                fates.longest_in_vain = fates.longest_in_vain.max(waited);
                if reason == Reason::DeadlineExceeded {
                    assert!(hasty && waited <= TIME_LEFT + MILLISECOND, "{waited:?}");
                }
            }
        });
    }
    sleep(MAX_WAIT + 2 * SERVICE_TIME).await;
    std::mem::take(&mut *ledger.lock().unwrap())
}

/// Looks at the queue every five milliseconds until `end`, once it is full.
async fn watch(bulkhead: Bulkhead, end: Instant) -> Vec<Snapshot> {
    sleep(SECOND / 2).await;
    let mut seen = Vec::new();
    while Instant::now() < end {
        seen.push(bulkhead.snapshot());
        sleep(5 * MILLISECOND).await;
    }
    seen
}

fn bulkhead() -> Bulkhead {
    let builder = Bulkhead::builder("overload")
        .max_concurrent(SLOTS)
        .queue(QUEUE)
        .max_wait(MAX_WAIT);
    let places =
        |builder, class| buttress_bulkhead::BulkheadBuilder::queue_for(builder, class, PLACES);
    Priority::ALL.into_iter().fold(builder, places).build()
}

// === What must hold ===

/// The wait that 99 of 100 calls of this class stayed below; a refused one waited for ever.
fn p99(fates: &Fates) -> Option<Duration> {
    let mut waits = fates.admitted.clone();
    waits.sort_unstable();
    let refused: u64 = fates.refused.values().sum();
    let all = waits.len() + usize::try_from(refused).unwrap();
    waits.get(all * 99 / 100).copied()
}

fn assert_nobody_waited_too_long(fates: &BTreeMap<Priority, Fates>) {
    for (class, fates) in fates {
        let longest = fates.admitted.iter().max().unwrap();
        assert!(
            *longest <= MAX_WAIT + MILLISECOND && fates.longest_in_vain <= MAX_WAIT + MILLISECOND,
            "{class:?}: {longest:?}, {:?} in vain",
            fates.longest_in_vain
        );
    }
}

/// What the callers saw and what the bulkhead counted are the same.
fn assert_sums_add_up(fates: &BTreeMap<Priority, Fates>, snapshot: &Snapshot) {
    let sum = |count: fn(&Fates) -> u64| fates.values().map(count).sum::<u64>();
    let admitted = |fates: &Fates| u64::try_from(fates.admitted.len()).unwrap();
    for fates in fates.values() {
        let refused: u64 = fates.refused.values().sum();
        assert_eq!(fates.arrived, admitted(fates) + refused);
    }
    assert_eq!(
        snapshot.rejected_calls,
        sum(|fates| fates.refused.values().sum())
    );
    assert_eq!(
        snapshot.success_count,
        sum(|fates| fates.admitted.len() as u64)
    );
    assert_eq!((snapshot.failure_count, snapshot.neutral_count), (0, 0));
    let granted = Priority::ALL.map(|class| snapshot.class(class).granted_count);
    assert_eq!(snapshot.waits.count(), granted.iter().sum::<u64>());
    for class in Priority::ALL {
        let counted = snapshot.class(class);
        assert!(
            counted.granted_count <= admitted(&fates[&class]),
            "{class:?}"
        );
        assert_eq!(
            (counted.queued_calls, counted.revoked_count),
            (0, 0),
            "{class:?}"
        );
    }
    assert_eq!((snapshot.active_calls, snapshot.queued_calls), (0, 0));
}

/// Between any two looks each lower class got its share of the grants, since somebody waited in it at every look.
fn assert_nobody_starved(seen: &[Snapshot]) {
    let granted =
        |snapshot: &Snapshot| Priority::ALL.map(|class| snapshot.class(class).granted_count);
    for class in Priority::ALL
        .into_iter()
        .filter(|&class| class < Priority::Critical)
    {
        let fewest = seen.iter().map(|seen| seen.class(class).queued_calls).min();
        assert!(fewest.unwrap() > 0, "{class:?} is not always backlogged");
        for window in [1, 10, 100, 1000, seen.len() - 1] {
            for (before, after) in seen.iter().zip(&seen[window..]) {
                let (before, after) = (granted(before), granted(after));
                let all: u64 = after.iter().sum::<u64>() - before.iter().sum::<u64>();
                let own = after[class as usize] - before[class as usize];
                assert!(own + 1 >= all / 20, "{class:?}: {own} of {all}");
            }
        }
    }
}

// proves: PB-2, PB-5, PB-6, PB-9, A-1
#[tokio::test(start_paused = true)]
async fn at_ten_times_its_capacity_the_critical_go_first_and_nobody_starves_or_waits_too_long() {
    let (bulkhead, chance) = (bulkhead(), Chance(Random::seeded(seed())));
    let end = Instant::now() + deep(20, 200) * SECOND;
    let watching = tokio::spawn(watch(bulkhead.clone(), end));
    let fates = overload(&bulkhead, &chance, end).await;
    let (seen, snapshot) = (watching.await.unwrap(), bulkhead.snapshot());
    for (class, fates) in &fates {
        let (p99, admitted) = (p99(fates), fates.admitted.len());
        println!(
            "{class:?}: {} arrived, {admitted} admitted, p99 {p99:?}, {:?}",
            fates.arrived, fates.refused
        );
    }
    let critical = p99(&fates[&Priority::Critical]).expect("more than 1 % were refused");
    assert!(critical <= 2 * SERVICE_TIME, "{critical:?}");
    assert_nobody_waited_too_long(&fates);
    assert_sums_add_up(&fates, &snapshot);
    assert_nobody_starved(&seen);
    // It was an overload of all kinds.
    let background = snapshot.class(Priority::Background);
    assert!(background.displaced_count > 100, "{background:?}");
    let expired: u64 = Priority::ALL
        .map(|class| snapshot.class(class).expired_count)
        .iter()
        .sum();
    assert!(expired > 100, "{snapshot:?}");
    let most = seen.iter().map(|seen| seen.queued_calls).max();
    assert_eq!(most, Some(QUEUE));
    let busy = u64::from(SLOTS) * 10 * deep(20, 200);
    assert!(
        snapshot.success_count > busy * 99 / 100,
        "slots were left idle"
    );
    for _ in 0..SLOTS {
        std::mem::forget(bulkhead.try_acquire().expect("a slot is lost"));
    }
    assert!(bulkhead.try_acquire().is_err());
}

/// Two slots are kept for critical calls, and no more than two are inside at a time.
// proves: PB-6
#[tokio::test(start_paused = true)]
async fn a_flood_does_not_delay_the_critical_who_have_slots_of_their_own() {
    let builder = Bulkhead::builder("reserved").max_concurrent(SLOTS);
    let bulkhead = builder.queue(QUEUE).reserved_for_critical(2).build();
    let flood = |class| {
        let bulkhead = bulkhead.clone();
        tokio::spawn(async move {
            loop {
                let permit = bulkhead.acquire(class).await;
                sleep(SERVICE_TIME).await;
                drop(permit);
            }
        })
    };
    let flood: Vec<_> = (0..QUEUE)
        .map(|n| flood(Priority::ALL[n as usize % 4]))
        .collect();
    sleep(SERVICE_TIME / 2).await;
    let critical = async |offset| {
        sleep(offset).await;
        for _ in 0..100 {
            let asked = Instant::now();
            let permit = bulkhead.acquire(Priority::Critical).await.unwrap();
            assert_eq!(asked.elapsed(), Duration::ZERO);
            sleep(37 * MILLISECOND).await;
            drop(permit);
        }
    };
    tokio::join!(critical(Duration::ZERO), critical(11 * MILLISECOND));
    let snapshot = bulkhead.snapshot();
    assert_eq!(
        (snapshot.active_calls, snapshot.queued_calls),
        (SLOTS - 2, QUEUE - (SLOTS - 2))
    );
    for task in flood {
        task.abort();
    }
}

/// Ten thousand arrive at once before a bulkhead that nobody leaves.
// proves: PB-2
#[tokio::test(start_paused = true)]
async fn of_ten_thousand_arrivals_no_more_wait_than_there_are_places() {
    let bulkhead = Bulkhead::builder("crowd").max_concurrent(1).queue(100);
    let bulkhead = bulkhead.queue_for(Priority::Low, 30).build();
    let inside = bulkhead.try_acquire().unwrap();
    let chance = Chance(Random::seeded(seed()));
    let mut calls = Vec::new();
    for _ in 0..10_000 {
        calls.push(tokio::spawn(bulkhead.acquire(chance.class())));
        tokio::task::yield_now().await;
        let snapshot = bulkhead.snapshot();
        assert!(snapshot.queued_calls <= 100 && snapshot.class(Priority::Low).queued_calls <= 30);
    }
    assert_eq!(bulkhead.snapshot().queued_calls, 100);
    assert_eq!(bulkhead.snapshot().rejected_calls, 9_900);
    drop(inside);
    let mut granted = 0;
    for call in calls {
        granted += u32::from(call.await.unwrap().is_ok());
    }
    assert_eq!(granted, 100);
    assert_eq!(bulkhead.snapshot().active_calls, 0);
}
