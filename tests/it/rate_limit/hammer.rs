//! Calls that wait in line, on a real runtime: eight tasks whose calls are dropped, panic, stall and are refused at random, while the
//! rate changes under them. No place is lost, nobody is stuck, and no more come out than may.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::task::Poll;
use std::time::Duration;

use buttress::{Deadline, Error, Rate, RateLimit, Rejected, WidenLayer};
use buttress_rate_limit::{Permit, RateLimitBuilder};
use buttress_sync::Random;
use buttress_testkit::{deep, seed};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tower::{Layer, Service, service_fn};

const TASKS: u64 = 8;

/// Calls of one task that are under way at a time.
const AT_ONCE: u64 = 8;

/// Places in line: a few less than calls may be under way.
const PLACES: u32 = 60;

/// The highest rate, in a second.
const FASTEST: u32 = 20_000;

const BURST: u32 = 10;

/// Longer than any run: whoever is forgotten in line is found out, and not helped by a timer.
const FOREVER: Duration = Duration::from_secs(24 * 3600);

const STALL: Duration = Duration::from_millis(30);

/// How long nothing may happen at all.
const PATIENCE: Duration = Duration::from_secs(20);

/// By how much a call that has waited may come too late and still count as if it had come in time: timers are late.
const LATE: Duration = Duration::from_millis(2);

/// A panic that was asked for: it bypasses the hook, and so prints nothing.
struct Asked;

/// How calls ended, as their callers saw it.
#[derive(Debug, Default)]
struct Endings {
    answered: AtomicU64,
    refused: AtomicU64,
    panicked: AtomicU64,
    dropped: AtomicU64,
    stalled: AtomicU64,
    given_back: AtomicU64,
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

struct Hammer {
    limit: RateLimit,
    /// Calls that have reached the inner service, or got a permit by hand.
    reached: AtomicU64,
    endings: Endings,
    over: AtomicBool,
}

impl Hammer {
    fn new(builder: RateLimitBuilder) -> Self {
        Self {
            limit: builder.queue(PLACES).max_wait(FOREVER).build(),
            reached: AtomicU64::new(0),
            endings: Endings::default(),
            over: AtomicBool::new(false),
        }
    }

    /// Makes so many calls, some at a time.
    async fn call(self: Arc<Self>, calls: u64, random: Random) {
        let (random, mut under_way) = (Arc::new(random), JoinSet::new());
        for _ in 0..calls {
            under_way.spawn(Arc::clone(&self).one(Arc::clone(&random)));
            while under_way.len() as u64 >= AT_ONCE {
                under_way.join_next().await.unwrap().unwrap();
            }
        }
        while let Some(call) = under_way.join_next().await {
            call.unwrap();
        }
    }

    async fn one(self: Arc<Self>, random: Arc<Random>) {
        match below(&random, 16) {
            0 => {
                let call = async { self.take(self.limit.try_acquire()?, &random) };
                self.end(call, &random).await;
            }
            1..4 => {
                let acquire = self.limit.acquire();
                let acquire = match below(&random, 6) {
                    0..3 => acquire,
                    millis => {
                        let left = Duration::from_millis([0, 1, 10_000][millis as usize - 3]);
                        acquire.before(Deadline::after(Instant::now(), left))
                    }
                };
                self.end(async { self.take(acquire.await?, &random) }, &random)
                    .await;
            }
            4 => match self.limit.reserve(1) {
                Ok(place) => {
                    self.end(async { self.take(place.await?, &random) }, &random)
                        .await;
                }
                Err(_) => self.count(Progress::Over(Err::<(), ()>(()))),
            },
            _ => {
                let panics = below(&random, 4) == 0;
                let hammer = Arc::clone(&self);
                let inner = service_fn(move |()| {
                    hammer.reached.fetch_add(1, SeqCst);
                    async move {
                        if panics {
                            resume_unwind(Box::new(Asked));
                        }
                        Ok::<_, Infallible>(())
                    }
                });
                let mut service = (self.limit.waiting_layer(), WidenLayer).layer(inner);
                poll_fn(|cx| service.poll_ready(cx)).await.unwrap();
                self.end(service.call(()), &random).await;
            }
        }
    }

    /// What a caller does with its units: makes the call, or gives them back.
    fn take(&self, permit: Permit, random: &Random) -> Result<(), Rejected> {
        self.reached.fetch_add(1, SeqCst);
        if below(random, 4) == 0 {
            permit.give_back();
            self.endings.given_back.fetch_add(1, SeqCst);
        }
        Ok(())
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
            progress = match below(random, 4) {
                0 => polled(call.as_mut(), below(random, 3)).await,
                1 => {
                    let patience = Duration::from_micros(below(random, 5_000));
                    let ended = timeout(patience, polled(call.as_mut(), u64::MAX)).await;
                    ended.unwrap_or(Progress::Pending)
                }
                _ => polled(call.as_mut(), u64::MAX).await,
            };
        }
        self.count(progress);
    }

    fn count<T, E>(&self, progress: Progress<Result<T, E>>) {
        let endings = &self.endings;
        let counter = match progress {
            Progress::Over(Ok(_)) => &endings.answered,
            Progress::Over(Err(_)) => &endings.refused,
            Progress::Panicked => &endings.panicked,
            Progress::Pending => &endings.dropped,
        };
        counter.fetch_add(1, SeqCst);
    }

    fn calls(&self) -> u64 {
        let Endings {
            answered,
            refused,
            panicked,
            dropped,
            ..
        } = &self.endings;
        let ends = [answered, refused, panicked, dropped];
        ends.iter().map(|end| end.load(SeqCst)).sum()
    }

    /// Changes the rate until all is over.
    async fn change(self: Arc<Self>, random: Random) -> u64 {
        let mut changes = 0;
        while !self.over.load(SeqCst) {
            let units = FASTEST / [1, 2, 4, 8][below(&random, 4) as usize];
            let rate = Rate::per_second(units);
            let is_bucket = self.limit.snapshot().rate.burst_size().is_some();
            let rate = if is_bucket { rate.burst(BURST) } else { rate };
            self.limit.set_rate(rate).unwrap();
            changes += 1;
            sleep(Duration::from_millis(5)).await;
        }
        changes
    }

    /// Makes all calls; fails when nothing happens any more.
    async fn strike(self: &Arc<Self>, calls: u64, seed: u64) {
        let random = |stream| Random::seeded(seed ^ (stream + 1) << 48);
        let changing = tokio::spawn(Arc::clone(self).change(random(TASKS)));
        let started = Instant::now();
        let mut tasks: JoinSet<()> = (0..TASKS)
            .map(|task| Arc::clone(self).call(calls / TASKS, random(task)))
            .collect();
        let mut before = u64::MAX;
        while !tasks.is_empty() {
            match timeout(PATIENCE, tasks.join_next()).await {
                Ok(task) => task.unwrap().unwrap(),
                Err(_) => {
                    let now = self.calls();
                    assert_ne!(before, now, "stuck: {:?}", self.limit.snapshot());
                    before = now;
                }
            }
        }
        let took = started.elapsed();
        self.over.store(true, SeqCst);
        println!("{took:?}, rate changed {} times", changing.await.unwrap());
        self.assert_never_over(took);
    }

    /// Never more came out than at the highest rate.
    fn assert_never_over(&self, took: Duration) {
        let reached = self.reached.load(SeqCst) - self.endings.given_back.load(SeqCst);
        let most =
            u128::from(BURST) + (took + LATE).as_nanos() * u128::from(FASTEST) / 1_000_000_000;
        assert!(u128::from(reached) <= most, "{reached} of {most}");
    }

    /// Nobody is in line, all that were admitted were called, and the next call has its turn as if nothing had been.
    async fn assert_nothing_lost(&self, calls: u64) {
        let (snapshot, endings) = (self.limit.snapshot(), &self.endings);
        println!("{endings:?}\n{snapshot:?}");
        assert_eq!((self.calls(), snapshot.waiting), (calls, 0));
        assert_eq!(snapshot.admitted_count, self.reached.load(SeqCst));
        assert!(endings.refused.load(SeqCst) <= snapshot.refused_count);
        let place = timeout(Duration::from_millis(100), self.limit.acquire());
        place.await.expect("the line is stuck").map(drop).unwrap();
        // How many are refused depends on how fast they come back; of those that are let in, each part is known.
        let reached = self.reached.load(SeqCst);
        for (what, count, of) in [
            ("reached", &self.reached, calls),
            ("refused", &endings.refused, calls),
            ("dropped", &endings.dropped, calls),
            ("answered", &endings.answered, reached),
            ("panicked", &endings.panicked, reached),
            ("given back", &endings.given_back, reached),
        ] {
            let count = count.load(SeqCst);
            assert!(count > of / 100, "{count} {what}");
        }
        let stalled = endings.stalled.load(SeqCst);
        assert!(stalled > calls / 1000, "{stalled} stalled");
    }
}

async fn hammer(builder: RateLimitBuilder) {
    let (hammer, calls) = (Arc::new(Hammer::new(builder)), deep(20_000, 500_000));
    hammer.strike(calls, seed()).await;
    hammer.assert_nothing_lost(calls).await;
}

// proves, RL-1, RL-4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_a_leaky_bucket_no_place_is_lost_and_nobody_is_stuck() {
    hammer(RateLimit::builder("hammered").leaky_bucket(Rate::per_second(FASTEST))).await;
}

// proves, RL-1, RL-4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_a_token_bucket_no_place_is_lost_and_nobody_is_stuck() {
    let rate = Rate::per_second(FASTEST).burst(BURST);
    hammer(RateLimit::builder("hammered").token_bucket(rate)).await;
}

/// However many wait: each is told within one poll.
// proves: A-18
#[tokio::test(start_paused = true)]
async fn all_that_wait_before_a_service_are_refused_when_the_limit_is_closed() {
    let limit = RateLimit::builder("closing")
        .leaky_bucket(Rate::per_hour(1))
        .queue(1_000)
        .max_wait(Duration::MAX)
        .build();
    let service = (limit.waiting_layer(), WidenLayer)
        .layer(service_fn(|()| async { Ok::<_, Infallible>(()) }));
    let mut calls = JoinSet::new();
    for _ in 0..1_001 {
        calls.spawn(tower::ServiceExt::oneshot(service.clone(), ()));
    }
    calls.join_next().await.unwrap().unwrap().unwrap();
    while limit.snapshot().waiting < 1_000 {
        tokio::task::yield_now().await;
    }
    let closed = Instant::now();
    limit.close();
    for ended in calls.join_all().await {
        let Err(Error::Rejected(rejected)) = ended else {
            panic!("it was let in");
        };
        assert_eq!(rejected.reason(), buttress::Reason::Unavailable);
    }
    assert_eq!(closed.elapsed(), Duration::ZERO);
    assert_eq!(limit.snapshot().waiting, 0);
}
