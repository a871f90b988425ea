//! Millions of calls through a queue on a real runtime: eight tasks whose calls are dropped, panic, stall and are refused at
//! random, while the limits change under them.

mod gauge;

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::task::Poll;
use std::time::Duration;

use buttress_bulkhead::{Bulkhead, BulkheadBuilder};
use buttress_core::{Deadline, Priority, Rejected, WidenLayer};
use buttress_sync::Random;
use buttress_testkit::{deep, seed};
use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, sleep, timeout};
use tower::{Layer, Service, service_fn};

use gauge::Gauge;

const TASKS: u64 = 8;

/// The highest limit.
const MOST: u32 = 6;

/// Longer than any run: whoever is forgotten in the queue is found out, and not helped by a timer.
const FOREVER: Duration = Duration::from_secs(24 * 3600);

/// How long a grant waits to be taken up, and how long a caller that stalls leaves its call alone.
const GRANT_TIMEOUT: Duration = Duration::from_millis(1);
const STALL: Duration = Duration::from_millis(3);

/// How long nothing may happen at all.
const PATIENCE: Duration = Duration::from_secs(20);

// === Calls ===

/// What a call does.
#[derive(Clone, Copy)]
struct Plan {
    priority: Priority,
    yields: u64,
    panics: bool,
}

impl Plan {
    fn draw(random: &Random) -> Self {
        Self {
            priority: Priority::ALL[below(random, 5) as usize],
            yields: below(random, 3),
            panics: below(random, 16) == 0,
        }
    }
}

/// A panic that was asked for: it bypasses the hook, and so prints nothing.
struct Asked;

async fn work(gauge: Arc<Gauge>, plan: Plan) -> Result<(), Infallible> {
    let _inside = gauge.enter(plan.priority);
    for _ in 0..plan.yields {
        yield_now().await;
    }
    if plan.panics {
        resume_unwind(Box::new(Asked));
    }
    Ok(())
}

/// How far a call came.
enum Progress<T> {
    Over(T),
    Panicked,
    Pending,
}

/// Polls at most so many times.
async fn polled<F: Future>(mut call: Pin<&mut F>, polls: u64) -> Progress<F::Output> {
    let mut left = polls;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(Progress::Pending);
        }
        left -= 1;
        match catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(cx))) {
            Ok(polled) => polled.map(Progress::Over),
            Err(panic) if panic.is::<Asked>() => Poll::Ready(Progress::Panicked),
            Err(panic) => resume_unwind(panic),
        }
    })
    .await
}

fn below(random: &Random, bound: u64) -> u64 {
    random.next_u64() % bound
}

// === Callers ===

/// How calls ended, as their callers saw it.
#[derive(Debug, Default)]
struct Endings {
    answered: AtomicU64,
    refused: AtomicU64,
    panicked: AtomicU64,
    dropped: AtomicU64,
    stalled: AtomicU64,
}

impl Endings {
    fn count<T, E>(&self, progress: Progress<Result<T, E>>) {
        let counter = match progress {
            Progress::Over(Ok(_)) => &self.answered,
            Progress::Over(Err(_)) => &self.refused,
            Progress::Panicked => &self.panicked,
            Progress::Pending => &self.dropped,
        };
        counter.fetch_add(1, SeqCst);
    }

    fn calls(&self) -> u64 {
        let ends = [&self.answered, &self.refused, &self.panicked, &self.dropped];
        ends.iter().map(|end| end.load(SeqCst)).sum()
    }
}

struct Hammer {
    bulkhead: Bulkhead,
    gauge: Arc<Gauge>,
    endings: Endings,
    over: AtomicBool,
}

impl Hammer {
    fn new(builder: BulkheadBuilder) -> Self {
        let builder = builder.max_concurrent(MOST).max_wait(FOREVER);
        Self {
            bulkhead: builder.grant_timeout(GRANT_TIMEOUT).build(),
            gauge: Arc::new(Gauge::new(MOST)),
            endings: Endings::default(),
            over: AtomicBool::new(false),
        }
    }

    /// Makes so many calls, one after the other.
    async fn call(self: Arc<Self>, calls: u64, random: Random) {
        let layer = self.bulkhead.layer().priority(|plan: &Plan| plan.priority);
        let gauge = Arc::clone(&self.gauge);
        let inner = service_fn(move |plan| {
            gauge.note_call();
            work(Arc::clone(&gauge), plan)
        });
        let mut service = (layer, WidenLayer).layer(inner);
        for _ in 0..calls {
            let plan = Plan::draw(&random);
            match below(&random, 16) {
                0 => self.take_at_once(plan, &random).await,
                1..4 => self.wait_by_hand(plan, &random).await,
                _ => {
                    poll_fn(|cx| service.poll_ready(cx)).await.unwrap();
                    self.end(service.call(plan), &random).await;
                }
            }
        }
    }

    /// Works in a slot, if one is free.
    async fn take_at_once(&self, mut plan: Plan, random: &Random) {
        plan.priority = Priority::Normal;
        let call = async {
            let permit = self.bulkhead.try_acquire()?;
            self.gauge.note_call();
            let Ok(()) = work(Arc::clone(&self.gauge), plan).await;
            drop(permit);
            Ok::<_, Rejected>(())
        };
        self.end(call, random).await;
    }

    /// Waits for a slot, with a deadline of any kind or without one, and works with the permit in hand.
    async fn wait_by_hand(&self, plan: Plan, random: &Random) {
        let acquire = self.bulkhead.acquire(plan.priority);
        let acquire = match below(random, 6) {
            0..3 => acquire,
            millis => {
                let left = Duration::from_millis([0, 1, 10_000][millis as usize - 3]);
                acquire.before(Deadline::after(Instant::now(), left))
            }
        };
        let call = async {
            let permit = acquire.await?;
            self.gauge.note_call();
            let Ok(()) = work(Arc::clone(&self.gauge), plan).await;
            drop(permit);
            Ok::<_, Rejected>(())
        };
        self.end(call, random).await;
    }

    /// Polls a call to its end, or drops it early, or leaves it alone for a while after its first poll.
    async fn end<T, E>(&self, call: impl Future<Output = Result<T, E>>, random: &Random) {
        let mut call = std::pin::pin!(call);
        let mut progress = Progress::Pending;
        if below(random, 200) == 0 {
            progress = polled(call.as_mut(), 1).await;
            self.endings.stalled.fetch_add(1, SeqCst);
            sleep(STALL).await;
        }
        if let Progress::Pending = progress {
            let patience = match below(random, 4) {
                0 => below(random, 4),
                _ => u64::MAX,
            };
            progress = polled(call.as_mut(), patience).await;
        }
        self.endings.count(progress);
    }

    /// Changes the limits until all is over.
    async fn resize(self: Arc<Self>, random: Random) -> u64 {
        let mut changes = 0;
        while !self.over.load(SeqCst) {
            let limit = 2 + u32::try_from(below(&random, u64::from(MOST) - 1)).unwrap();
            if limit > self.bulkhead.snapshot().max_concurrent {
                self.gauge.allow(limit);
            }
            self.bulkhead.resize(limit).unwrap();
            // Whoever is inside stays. From the first moment with no more inside than there may be, there are never more.
            while self.bulkhead.snapshot().active_calls > limit && !self.over.load(SeqCst) {
                yield_now().await;
            }
            self.gauge.allow(limit);
            let queue = [1, 3, 8, 100][below(&random, 4) as usize];
            self.bulkhead.resize_queue(queue).unwrap();
            changes += 1;
            sleep(Duration::from_millis(1)).await;
        }
        changes
    }

    /// Makes all calls; fails when nothing happens any more.
    async fn strike(self: &Arc<Self>, calls: u64, seed: u64) {
        let random = |stream| Random::seeded(seed ^ (stream + 1) << 48);
        let resizing = tokio::spawn(Arc::clone(self).resize(random(TASKS)));
        let mut tasks: JoinSet<()> = (0..TASKS)
            .map(|task| Arc::clone(self).call(calls / TASKS, random(task)))
            .collect();
        let mut before = u64::MAX;
        while !tasks.is_empty() {
            match timeout(PATIENCE, tasks.join_next()).await {
                Ok(task) => task.unwrap().unwrap(),
                Err(_) => {
                    let now = self.endings.calls();
                    assert_ne!(before, now, "stuck: {:?}", self.bulkhead.snapshot());
                    before = now;
                }
            }
        }
        self.over.store(true, SeqCst);
        println!("limits changed {} times", resizing.await.unwrap());
    }

    /// Nothing is held, all that was taken was given back once, and the next call gets in at once.
    fn assert_nothing_lost(&self, calls: u64) {
        let (snapshot, endings, gauge) = (self.bulkhead.snapshot(), &self.endings, &self.gauge);
        println!("{endings:?}\n{gauge:?}\n{snapshot:?}");
        assert_eq!(endings.calls(), calls);
        assert_eq!((snapshot.active_calls, snapshot.queued_calls), (0, 0));
        let ended = snapshot.success_count + snapshot.failure_count + snapshot.neutral_count;
        assert_eq!(ended, gauge.calls());
        let granted: u64 = Priority::ALL
            .map(|class| snapshot.class(class).granted_count)
            .iter()
            .sum();
        assert_eq!(snapshot.waits.count(), granted);
        assert!(endings.refused.load(SeqCst) <= snapshot.rejected_calls);
        let all: Vec<_> = (0..snapshot.max_concurrent)
            .map(|_| self.bulkhead.acquire(Priority::Critical))
            .map(|acquire| {
                futures_util::FutureExt::now_or_never(acquire)
                    .expect("it must wait")
                    .unwrap()
            })
            .collect();
        assert!(self.bulkhead.try_acquire().is_err());
        drop(all);
        gauge.assert_peak(MOST);
    }

    /// The calls met everything that can happen to them.
    fn assert_met_everything(&self, calls: u64) {
        let (snapshot, endings) = (self.bulkhead.snapshot(), &self.endings);
        for (what, count) in [
            ("answered", endings.answered.load(SeqCst)),
            ("refused", endings.refused.load(SeqCst)),
            ("panicked", endings.panicked.load(SeqCst)),
            ("dropped", endings.dropped.load(SeqCst)),
            ("waited", snapshot.waits.count()),
            ("compared", self.gauge.compared()),
        ] {
            assert!(count > calls / 100, "{count} {what}");
        }
        let classes = Priority::ALL.map(|class| snapshot.class(class));
        let revoked: u64 = classes.iter().map(|class| class.revoked_count).sum();
        let displaced: u64 = classes.iter().map(|class| class.displaced_count).sum();
        let expired: u64 = classes.iter().map(|class| class.expired_count).sum();
        for (what, count) in [("revoked", revoked), ("displaced", displaced)] {
            assert!(count > 0, "{what}");
        }
        // Seldom: somebody must stall in a slot for as long as another has left.
        assert!(expired >= calls / 1_000_000, "{expired} expired");
    }
}

async fn hammer(builder: BulkheadBuilder, calls: u64) -> Arc<Hammer> {
    let hammer = Arc::new(Hammer::new(builder));
    hammer.strike(calls, seed()).await;
    hammer.assert_nothing_lost(calls);
    hammer.assert_met_everything(calls);
    hammer
}

// proves, PB-1, PB-8
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_drops_panics_stalls_and_resizes_no_slot_is_lost_and_nobody_is_stuck() {
    hammer(Bulkhead::builder("hammered"), deep(100_000, 5_000_000)).await;
}

// proves, PB-1, PB-6, PB-8
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_slots_kept_for_the_critical_none_is_lost_and_nobody_is_stuck() {
    let builder = Bulkhead::builder("hammered").reserved_for_critical(1);
    let builder = builder.queue_for(Priority::Low, 2);
    let hammer = hammer(builder, deep(100_000, 5_000_000)).await;
    hammer.gauge.assert_ordinary_peak(MOST - 1);
}
