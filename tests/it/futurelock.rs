//! A slot that is handed to a future which nobody polls: with us the next caller has it ten milliseconds later, with the peers
//! nobody has it for as long as that future lives.

use std::convert::Infallible;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use buttress_bulkhead::{Acquire, Bulkhead, Permit};
use buttress_core::{Priority, Rejected, WidenLayer};
use buttress_sync::Random;
use buttress_testkit::{deep, seed};
use futures_util::future::join_all;
use tokio::time::{Instant, sleep, timeout};
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::{Layer, Service, ServiceExt, service_fn};

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// How long a grant waits to be taken up.
const GRANT_TIMEOUT: Duration = Duration::from_millis(10);

/// How long a caller that must not be stuck, or must be, is waited for.
const LONG: Duration = Duration::from_secs(60);

/// Takes as long as it is asked to.
async fn work(time: Duration) -> Result<(), Infallible> {
    sleep(time).await;
    Ok(())
}

/// A service of one slot, of us or of a peer.
trait OneSlot:
    Service<Duration, Response = (), Error: Debug + Send, Future: Send + 'static>
    + Clone
    + Send
    + 'static
{
}

impl<S> OneSlot for S where
    S: Service<Duration, Response = (), Error: Debug + Send, Future: Send + 'static>
        + Clone
        + Send
        + 'static
{
}

fn bulkhead() -> Bulkhead {
    Bulkhead::builder("futurelock").max_concurrent(1).build()
}

fn ours(bulkhead: &Bulkhead) -> impl OneSlot + use<> {
    (bulkhead.layer(), WidenLayer).layer(service_fn(work))
}

/// tower's limit has no longest wait.
fn towers() -> impl OneSlot {
    GlobalConcurrencyLimitLayer::new(1).layer(service_fn(work))
}

/// The peer's longest wait is left at its default, none: with one its callers are refused while nothing runs.
fn tower_resiliences() -> impl OneSlot {
    let builder = tower_resilience_bulkhead::BulkheadLayer::builder().max_concurrent_calls(1);
    builder.build().unwrap().layer(service_fn(work))
}

type Waiting = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A call that is polled once, and then left alone.
fn left_alone(service: &impl OneSlot) -> Waiting {
    let call = service.clone().oneshot(Duration::ZERO);
    let mut call: Waiting = Box::pin(async move { call.await.unwrap() });
    let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending(), "it has to wait");
    call
}

/// When the next caller comes: before the slot gets free, or after it was handed on.
#[derive(Clone, Copy, Debug)]
enum Next {
    Queued,
    Late,
}

/// What came of the next caller, and those that were left alone before it.
struct Outcome {
    /// How long after the slot was given back the next caller had it.
    ran_after: Option<Duration>,
    left_alone: Vec<Waiting>,
}

/// One call is inside, some others wait and are left alone, and then it ends: does the next one run?
async fn hand_to_nobody(service: &impl OneSlot, unpolled: usize, next: Next) -> Outcome {
    let inside = tokio::spawn(service.clone().oneshot(SECOND));
    tokio::task::yield_now().await;
    let left_alone = (0..unpolled).map(|_| left_alone(service)).collect();
    let caller = service.clone().oneshot(Duration::ZERO);
    let freed = Instant::now() + SECOND;
    let caller = async move {
        caller.await.unwrap();
        freed.elapsed()
    };
    let caller = if let Next::Queued = next {
        let caller = tokio::spawn(caller);
        inside.await.unwrap().unwrap();
        caller
    } else {
        inside.await.unwrap().unwrap();
        tokio::spawn(caller)
    };
    assert_eq!(freed, Instant::now());
    let ran_after = timeout(LONG, caller).await.ok().map(Result::unwrap);
    Outcome {
        ran_after,
        left_alone,
    }
}

// proves: PB-8, A-5
#[tokio::test(start_paused = true)]
async fn a_slot_handed_to_nobody_is_the_next_callers_ten_milliseconds_later() {
    for next in [Next::Queued, Next::Late] {
        for unpolled in [1, 2, 5, 100] {
            let bulkhead = bulkhead();
            let outcome = hand_to_nobody(&ours(&bulkhead), unpolled, next).await;
            let ran_after = outcome.ran_after.expect("the next caller is stuck");
            let passed_on = u32::try_from(unpolled).unwrap();
            // A millisecond is the grain of tokio's timers.
            assert!(
                ran_after <= passed_on * GRANT_TIMEOUT + MILLISECOND,
                "{next:?} after {unpolled}: {ran_after:?}"
            );
            let normal = bulkhead.snapshot().class(Priority::Normal);
            assert_eq!(normal.revoked_count, u64::from(passed_on));
            // Those that were left alone have kept their places.
            assert_eq!(normal.queued_calls, passed_on);
            for call in outcome.left_alone {
                timeout(SECOND, call).await.expect("it is its turn now");
            }
            let snapshot = bulkhead.snapshot();
            assert_eq!((snapshot.active_calls, snapshot.queued_calls), (0, 0));
        }
    }
}

// proves: PB-8, A-5
#[tokio::test(start_paused = true)]
async fn a_permit_handed_to_nobody_is_the_next_callers_ten_milliseconds_later() {
    for unpolled in [1, 5] {
        let bulkhead = bulkhead();
        let inside = bulkhead.try_acquire().unwrap();
        let mut left_alone: Vec<_> = (0..unpolled)
            .map(|_| Box::pin(bulkhead.acquire(Priority::High)))
            .collect();
        for waiting in &mut left_alone {
            assert!(
                waiting
                    .as_mut()
                    .poll(&mut Context::from_waker(Waker::noop()))
                    .is_pending()
            );
        }
        let next = tokio::spawn(bulkhead.acquire(Priority::Background));
        tokio::task::yield_now().await;
        drop(inside);
        let freed = Instant::now();
        let permit = timeout(LONG, next).await.expect("stuck").unwrap().unwrap();
        assert!(freed.elapsed() <= unpolled * GRANT_TIMEOUT + MILLISECOND);
        drop((permit, left_alone));
        assert_eq!(bulkhead.snapshot().active_calls, 0);
    }
}

// === Controls ===

/// The next caller is not served, and the call that is left alone is why.
async fn sticks(service: impl OneSlot) {
    for next in [Next::Queued, Next::Late] {
        let outcome = hand_to_nobody(&service, 1, next).await;
        assert_eq!(outcome.ran_after, None, "{next:?}: it is not stuck");
        drop(outcome.left_alone);
        let call = service.clone().oneshot(Duration::ZERO);
        timeout(SECOND, call).await.expect("free again").unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn towers_limit_sticks_where_ours_goes_on() {
    sticks(towers()).await;
}

#[tokio::test(start_paused = true)]
async fn tower_resiliences_bulkhead_sticks_where_ours_goes_on() {
    sticks(tower_resiliences()).await;
}

// === In one task ===

/// A task that waits for a slot, turns to something else after half a second, and wants a slot for that, too: its first call,
/// which is next in the queue, is not polled meanwhile. Says how long after the slot was given back that was done.
async fn select_loop(service: impl OneSlot) -> Option<Duration> {
    let inside = tokio::spawn(service.clone().oneshot(5 * SECOND));
    tokio::task::yield_now().await;
    let freed = Instant::now() + 5 * SECOND;
    let mut first = std::pin::pin!(service.clone().oneshot(Duration::ZERO));
    let second = tokio::select! {
        _ = &mut first => panic!("the slot is taken"),
        () = sleep(SECOND / 2) => service.oneshot(Duration::ZERO),
    };
    let second = timeout(LONG, second).await;
    inside.await.unwrap().unwrap();
    second.ok().map(|ended| {
        ended.unwrap();
        freed.elapsed()
    })
}

// proves: PB-8, A-5
#[tokio::test(start_paused = true)]
async fn a_task_that_waits_for_itself_goes_on() {
    let bulkhead = bulkhead();
    let waited = select_loop(ours(&bulkhead)).await.expect("stuck");
    assert!(waited <= GRANT_TIMEOUT + MILLISECOND, "{waited:?}");
    assert_eq!(bulkhead.snapshot().active_calls, 0);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_waits_for_itself_sticks_with_the_peers() {
    assert_eq!(select_loop(towers()).await, None);
    assert_eq!(select_loop(tower_resiliences()).await, None);
}

// === In a race ===

/// A bulkhead of one slot, which is taken, and a call that may have been polled once.
struct Pair {
    bulkhead: Bulkhead,
    inside: Permit,
    call: Pin<Box<Acquire>>,
}

impl Pair {
    fn new(polled: bool) -> Self {
        let builder = Bulkhead::builder("race").max_concurrent(1);
        let builder = builder.max_wait(3600 * SECOND);
        let bulkhead = builder.grant_timeout(MILLISECOND).build();
        let inside = bulkhead.try_acquire().unwrap();
        let mut call = Box::pin(bulkhead.acquire(Priority::High));
        if polled {
            assert!(poll(&mut call).is_pending());
        }
        Self {
            bulkhead,
            inside,
            call,
        }
    }
}

fn poll(call: &mut Pin<Box<Acquire>>) -> Poll<Result<Permit, Rejected>> {
    call.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// What became of a call that is not polled any more.
type LastPoll = (Poll<Result<Permit, Rejected>>, Pin<Box<Acquire>>);

/// Where two threads wait for each other, again and again.
#[derive(Default)]
struct Meeting([AtomicU32; 2]);

impl Meeting {
    /// Waits for the other, and then a little more or less.
    fn meet(&self, who: usize, turns: u64) {
        let came = self.0[who].fetch_add(1, SeqCst) + 1;
        while self.0[1 - who].load(SeqCst) < came {
            std::hint::spin_loop();
        }
        (0..turns).for_each(|_| std::hint::spin_loop());
    }
}

/// Polls calls for the last time on another thread, each in about the moment in which its slot gets free.
async fn race(pairs: Vec<Pair>, random: &Random) -> Vec<(Bulkhead, LastPoll)> {
    let (mut bulkheads, mut inside, mut calls) = (Vec::new(), Vec::new(), Vec::new());
    for pair in pairs {
        bulkheads.push(pair.bulkhead);
        inside.push(pair.inside);
        calls.push((random.next_u64() % 64, pair.call));
    }
    let meeting = Arc::new(Meeting::default());
    let polling = {
        let meeting = Arc::clone(&meeting);
        let last = move |(turns, mut call)| {
            meeting.meet(0, turns);
            (poll(&mut call), call)
        };
        tokio::task::spawn_blocking(move || calls.into_iter().map(last).collect::<Vec<_>>())
    };
    for inside in inside {
        meeting.meet(1, random.next_u64() % 64);
        drop(inside);
    }
    bulkheads.into_iter().zip(polling.await.unwrap()).collect()
}

/// The last poll makes a timer for the end of the call's wait, and the grant one for its own end: it is the grant's that must be
/// left, whichever comes first.
// proves: PB-8, A-5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_handed_over_in_the_middle_of_the_last_poll_passes_on() {
    let random = Random::seeded(seed());
    let (mut taken, mut passed_on) = (0, 0);
    for round in 0..deep(500, 5_000) {
        let pairs = (0..64).map(|_| Pair::new(round % 2 == 0)).collect();
        let mut left_alone = Vec::new();
        for (bulkhead, (polled, call)) in race(pairs, &random).await {
            taken += u32::from(polled.is_ready());
            left_alone.push((bulkhead, call));
        }
        // They come before a grant is overdue: whoever comes later finds that out.
        let next = |(bulkhead, _): &(Bulkhead, _)| bulkhead.acquire(Priority::Normal);
        let next = join_all(left_alone.iter().map(next));
        let all = timeout(2 * SECOND, next).await;
        let revoked =
            |(bulkhead, _): &(Bulkhead, _)| bulkhead.snapshot().class(Priority::High).revoked_count;
        passed_on += left_alone.iter().map(revoked).sum::<u64>();
        assert!(all.is_ok(), "somebody is stuck in round {round}");
    }
    println!("{taken} took the slot, {passed_on} passed it on");
    assert!(taken > 0 && passed_on > 0);
}
