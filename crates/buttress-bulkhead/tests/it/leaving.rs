//! Calls that are dropped at any point, and calls that are forgotten: never polled again and never dropped.

use std::future::{Future, poll_fn};
use std::io;
use std::mem;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use buttress_bulkhead::Bulkhead;
use buttress_core::Priority;
use buttress_sync::Random;
use buttress_testkit::{deep, drop_at_every_poll, seed};
use tokio::runtime::Builder;
use tokio::task::{JoinHandle, yield_now};
use tokio::time::{Instant, sleep, timeout};
use tokio_test::{assert_ready_ok, task};

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// How long a grant waits to be taken up.
const GRANT_TIMEOUT: Duration = Duration::from_millis(10);

/// One slot, and a longest wait of a second.
fn bulkhead(queue: u32) -> Bulkhead {
    let builder = Bulkhead::builder("leaving").max_concurrent(1).queue(queue);
    builder.max_wait(SECOND).build()
}

#[track_caller]
fn assert_at_rest(bulkhead: &Bulkhead) {
    let snapshot = bulkhead.snapshot();
    assert_eq!((snapshot.active_calls, snapshot.queued_calls), (0, 0));
}

// === Dropped ===

/// A call finds a bulkhead full that gets free with its first poll. Whatever the poll after which it is dropped, the one behind
/// it is served in the same moment.
// proves: A-1, PB-8
#[test]
fn a_call_that_is_dropped_after_any_poll_makes_way_for_the_next() {
    let mut runtime = Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    let _time = runtime.enter();
    let times = drop_at_every_poll(|| {
        let bulkhead = bulkhead(10);
        let mut inside = Some(bulkhead.try_acquire().unwrap());
        let mut behind = task::spawn(bulkhead.acquire(Priority::Low));
        assert!(behind.poll().is_pending());
        let handle = bulkhead.clone();
        let call = async move {
            let work = async {
                yield_now().await;
                yield_now().await;
                Ok::<_, io::Error>(())
            };
            let mut call = pin!(handle.run_as(Priority::High, work));
            poll_fn(|cx| {
                let polled = call.as_mut().poll(cx);
                inside = None;
                polled
            })
            .await
        };
        (call, move |_| {
            assert!(behind.is_woken());
            drop(assert_ready_ok!(behind.poll()));
            assert_at_rest(&bulkhead);
        })
    });
    assert_eq!(times, 5, "unpolled, in the queue, twice inside, at the end");
}

/// Everybody in a queue leaves it, in an order of its own each time.
// proves: A-1
#[tokio::test(start_paused = true)]
async fn a_queue_of_which_all_leave_in_any_order_is_empty() {
    for stride in [1, 3, 7, 9, 11] {
        let bulkhead = bulkhead(100);
        let inside = bulkhead.try_acquire().unwrap();
        let mut waiting: Vec<_> = (0..100)
            .map(|n| Some(task::spawn(bulkhead.acquire(Priority::ALL[n % 5]))))
            .collect();
        for waiting in waiting.iter_mut().flatten() {
            assert!(waiting.poll().is_pending());
        }
        for n in 0..100 {
            assert!(waiting[n * stride % 100].take().is_some());
            assert_eq!(
                bulkhead.snapshot().queued_calls,
                99 - u32::try_from(n).unwrap()
            );
        }
        drop(inside);
        assert_at_rest(&bulkhead);
        assert!(bulkhead.try_acquire().is_ok());
    }
}

// === Forgotten ===

/// Lets a call wait and forgets it; says whether it got a place.
fn forget(bulkhead: &Bulkhead, priority: Priority) -> bool {
    let mut waiting = Box::pin(bulkhead.acquire(priority));
    let polled = waiting
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    mem::forget(waiting);
    polled.is_pending()
}

// proves: PB-8, A-5
#[tokio::test(start_paused = true)]
async fn forgotten_calls_cost_those_behind_them_ten_milliseconds_each() {
    for forgotten in [1, 3, 20] {
        let bulkhead = bulkhead(100);
        let inside = bulkhead.try_acquire().unwrap();
        for _ in 0..forgotten {
            assert!(forget(&bulkhead, Priority::Normal));
        }
        let next = tokio::spawn(bulkhead.acquire(Priority::Normal));
        yield_now().await;
        drop(inside);
        let freed = Instant::now();
        let permit = timeout(60 * SECOND, next).await.unwrap().unwrap().unwrap();
        let waited = freed.elapsed();
        assert!(
            waited <= forgotten * GRANT_TIMEOUT + MILLISECOND,
            "{waited:?}"
        );
        // From now on nobody loses time by them.
        let next = tokio::spawn(bulkhead.acquire(Priority::Normal));
        yield_now().await;
        drop(permit);
        let freed = Instant::now();
        drop(next.await.unwrap().unwrap());
        assert_eq!(freed.elapsed(), Duration::ZERO);
        let snapshot = bulkhead.snapshot();
        assert_eq!(
            (snapshot.active_calls, snapshot.queued_calls),
            (0, forgotten)
        );
    }
}

/// However many are forgotten, the queue is no longer than it may be, and once their wait is over they are in nobody's way.
// proves: PB-2, PB-8
#[tokio::test(start_paused = true)]
async fn forgotten_calls_take_no_more_than_the_places_of_the_queue_and_those_not_for_good() {
    let (bulkhead, mut refused) = (bulkhead(100), 0);
    for _ in 0..deep(20, 1_000) {
        let inside = bulkhead.try_acquire().unwrap();
        for n in 0..150 {
            refused += u32::from(!forget(&bulkhead, Priority::ALL[n % 5]));
            assert!(bulkhead.snapshot().queued_calls <= 100);
        }
        drop(inside);
        // A grant for each of them, and the end of their wait.
        sleep(100 * GRANT_TIMEOUT + 2 * SECOND).await;
        let inside = bulkhead.try_acquire().unwrap();
        let next = tokio::spawn(bulkhead.acquire(Priority::Background));
        yield_now().await;
        drop(inside);
        drop(next.await.unwrap().unwrap());
    }
    assert!(refused > 0);
    assert_eq!(bulkhead.snapshot().active_calls, 0);
}

/// Here no slot is ever free, so that nobody was granted one and let it pass.
// proves: PB-2
#[tokio::test(start_paused = true)]
async fn forgotten_calls_whose_wait_is_over_make_room_though_no_slot_is_free() {
    let bulkhead = bulkhead(3);
    let inside = bulkhead.try_acquire().unwrap();
    for _ in 0..3 {
        assert!(forget(&bulkhead, Priority::Normal));
    }
    assert!(!forget(&bulkhead, Priority::Normal), "the queue is full");
    sleep(2 * SECOND).await;
    let mut next = task::spawn(bulkhead.acquire(Priority::Normal));
    assert!(next.poll().is_pending(), "nobody waits any more");
    drop(inside);
    assert!(next.is_woken());
    drop(assert_ready_ok!(next.poll()));
}

/// A call that is left alone for longer than its longest wait hears of it when it is polled, and has no place until then
/// that another needs.
// proves: PB-2
#[tokio::test(start_paused = true)]
async fn a_call_that_is_polled_again_after_its_longest_wait_is_refused() {
    let bulkhead = bulkhead(10);
    let inside = bulkhead.try_acquire().unwrap();
    let mut late = task::spawn(bulkhead.acquire(Priority::Normal));
    assert!(late.poll().is_pending());
    sleep(5 * SECOND).await;
    assert!(late.is_woken());
    assert!(tokio_test::assert_ready!(late.poll()).is_err());
    drop(inside);
    assert_at_rest(&bulkhead);
    assert_eq!(bulkhead.snapshot().class(Priority::Normal).expired_count, 1);
}

/// A call that holds its slot, once it has one, until it is aborted.
async fn holds(bulkhead: Bulkhead, priority: Priority) {
    if let Ok(_permit) = bulkhead.acquire(priority).await {
        std::future::pending::<()>().await;
    }
}

/// Those who come and go behind a call that has a grant.
struct Others {
    bulkhead: Bulkhead,
    random: Arc<Random>,
    waiting: Vec<JoinHandle<()>>,
}

impl Others {
    fn below(&self, bound: usize) -> usize {
        usize::try_from(self.random.next_u64() % bound as u64).unwrap()
    }

    fn come(&mut self) {
        let class = Priority::ALL[self.below(5)];
        let call = holds(self.bulkhead.clone(), class);
        self.waiting.push(tokio::spawn(call));
    }

    /// One comes, leaves, or loses its place; or nothing happens.
    fn come_or_go(&mut self) {
        match self.below(6) {
            0 | 1 => self.come(),
            2 if !self.waiting.is_empty() => {
                let leaves = self.below(self.waiting.len());
                self.waiting.swap_remove(leaves).abort();
            }
            3 => self
                .bulkhead
                .resize_queue([1, 3, 6][self.below(3)])
                .unwrap(),
            4 => self.bulkhead.resize(1).unwrap(),
            _ => {}
        }
    }
}

/// Somebody must see to it that a grant is taken up: whoever that is may leave, be turned out, or not be the first any more. In
/// the milliseconds between the grant to a forgotten call and its end others come, go and lose their places at random.
// proves: PB-8, A-5
#[tokio::test(start_paused = true)]
async fn a_forgotten_grant_passes_on_in_time_whoever_comes_and_goes_meanwhile() {
    let (random, mut served) = (Arc::new(Random::seeded(seed())), 0);
    let rounds = deep(500, 20_000);
    for round in 0..rounds {
        let (bulkhead, random) = (bulkhead(6), Arc::clone(&random));
        let inside = bulkhead.try_acquire().unwrap();
        assert!(forget(&bulkhead, Priority::Critical));
        let mut others = Others {
            bulkhead: bulkhead.clone(),
            random,
            waiting: Vec::new(),
        };
        (0..=others.below(3)).for_each(|_| others.come());
        yield_now().await;
        drop(inside);
        for _ in 0..9 {
            others.come_or_go();
            sleep(MILLISECOND).await;
        }
        sleep(2 * MILLISECOND).await;
        others.waiting.retain(|call| !call.is_finished());
        if others.waiting.is_empty() {
            continue;
        }
        served += 1;
        let snapshot = bulkhead.snapshot();
        let critical = snapshot.class(Priority::Critical);
        assert_eq!(critical.revoked_count, 1, "round {round}: {snapshot:?}");
        assert_eq!((snapshot.active_calls, snapshot.waits.count()), (1, 1));
        others.waiting.iter().for_each(JoinHandle::abort);
        yield_now().await;
        assert_eq!(bulkhead.snapshot().active_calls, 0);
    }
    assert!(
        served > rounds / 4 && served < rounds,
        "{served} of {rounds}"
    );
}
