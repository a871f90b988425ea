//! A drop at every point of a call, and what the contract of tower's services asks for.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::task::Poll;
use std::time::Duration;

use buttress_bulkhead::Bulkhead;
use buttress_core::{Cached, Name, Reason, Rejected, WidenLayer};
use buttress_fallback::{FallbackChain, FallbackLayer, LocalCache, Source};
use buttress_testkit::{Hammer, Live, ProbeError, Subject, cancel_matrix, drop_at_every_poll};
use tokio::runtime::Builder;
use tokio_test::{assert_pending, assert_ready_ok, task};
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceExt, service_fn};

use crate::support::{Failure, down};

type Widened = buttress_core::Error<ProbeError>;
type Layers = (FallbackLayer<(), Live, Widened>, WidenLayer);

fn full() -> Rejected {
    Rejected::new(Reason::Overloaded, Name::new("below"))
}

/// A level that suspends so often and then fails.
fn failing<T: 'static>(suspensions: u32) -> Source<(), T, Widened> {
    Source::function(move |()| {
        let mut left = suspensions;
        poll_fn(move |cx| {
            if left > 0 {
                left -= 1;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(Err(Widened::Rejected(full())))
        })
    })
}

/// A chain with a level for one call only, so that what is lost once is missed at once.
fn subject() -> Subject<Layers> {
    let chain = FallbackChain::builder("matrix")
        .replica(failing(2).limit(1))
        .backup(failing(1).limit(1))
        .build();
    let layers = (chain.layer(), WidenLayer);
    Subject::new(layers).conserves("slots", move || {
        let levels = chain.snapshot().levels;
        levels.iter().map(|level| level.active_calls as usize).sum()
    })
}

// proves: FC-4, A-1
#[test]
fn nothing_is_lost_wherever_a_call_is_dropped() {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let _time = runtime.enter();
    let report = cancel_matrix(subject);
    println!("{report}");
    let ways = report.endings;
    assert!(
        ways.answered > 0 && ways.failed > 0 && ways.panicked > 0,
        "{report}"
    );
    assert!(
        ways.dropped_unpolled > 0 && ways.dropped_running > 0,
        "{report}"
    );
    assert_eq!(ways.refused, 0, "{report}");
}

// The others of the contract are about a layer that passes readiness on: here it is part of the call.
// proves
#[test]
fn it_keeps_what_of_the_contract_fits() {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let _time = runtime.enter();
    for check in [
        buttress_testkit::clone_carries_no_readiness,
        buttress_testkit::calls_the_polled_instance,
        buttress_testkit::readied_service_holds_nothing,
        buttress_testkit::dropped_service_frees,
        buttress_testkit::dropped_future_frees,
        buttress_testkit::dropped_response_frees,
        buttress_testkit::finished_call_frees,
        buttress_testkit::inner_error_passes_through,
        buttress_testkit::inner_panic_passes_through,
        buttress_testkit::panicking_inner_frees,
    ] {
        if let Err(breach) = check(&subject) {
            panic!("{breach}");
        }
    }
}

// proves: A-1
#[test]
fn nothing_is_lost_under_the_hammer() {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .unwrap();
    let time = runtime.handle().clone();
    let hammer = Hammer::new(20_000).within(move |work| {
        let _time = time.enter();
        work();
    });
    let report = hammer.run(subject());
    println!("{report}");
}

/// Counts the levels that have begun.
fn begins<T: Clone + Send + Sync + 'static>(
    begun: &Arc<AtomicU32>,
    suspensions: u32,
    result: Result<T, ()>,
) -> Source<u32, T, Failure> {
    let begun = Arc::clone(begun);
    Source::function(move |_| {
        begun.fetch_add(1, SeqCst);
        let result = result.clone();
        async move {
            for _ in 0..suspensions {
                tokio::task::yield_now().await;
            }
            result.map_err(|()| down())
        }
    })
}

// proves: FC-4
#[test]
fn after_a_drop_no_further_level_begins() {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let _time = runtime.enter();
    // How many have begun after so many polls, each of the first two suspending twice.
    let begun_after = [0, 1, 1, 2, 2, 3, 3, 3];
    let cases = drop_at_every_poll(|| {
        let begun: Arc<AtomicU32> = Arc::default();
        let chain = FallbackChain::builder("dropped")
            .primary(begins(&begun, 2, Err(())))
            .replica(begins(&begun, 2, Err(())))
            .local_cache(LocalCache::keyed(|key: &u32| Some(*key)))
            .backup(begins(&begun, 2, Ok("backup")))
            .build();
        let call = async move { assert_eq!(chain.run(1).await.unwrap().answer, "backup") };
        let check = move |polls: usize| assert_eq!(begun.load(SeqCst), begun_after[polls]);
        (call, check)
    });
    assert_eq!(cases, begun_after.len());
}

type Stack = BoxCloneSyncService<u32, u32, Failure>;

/// A chain whose primary answers once, and then suspends twice and fails; its replica suspends twice and answers.
struct Taking {
    chain: FallbackChain<u32, u32, Failure, Cached<u32>>,
    stack: Stack,
    /// How often the primary was asked.
    asked: Arc<AtomicU32>,
    bulkhead: Bulkhead,
}

impl Taking {
    fn new(exercise: f64) -> Self {
        let bulkhead = Bulkhead::builder("taking").max_concurrent(1).build();
        let replica = begins(&Arc::default(), 2, Ok(2));
        // What is kept is fresh no more when it is looked at.
        let cache = LocalCache::keyed(|key: &u32| Some(*key)).fresh_for(Duration::from_nanos(1));
        let chain = FallbackChain::builder("taking")
            .replica(replica.limit(1).gate(bulkhead.clone()))
            .local_cache(cache)
            .exercise(exercise)
            .build();
        let asked: Arc<AtomicU32> = Arc::default();
        let counted = Arc::clone(&asked);
        let primary = service_fn(move |_: u32| {
            let is_first = counted.fetch_add(1, SeqCst) == 0;
            async move {
                for _ in 0..if is_first { 0 } else { 2 } {
                    tokio::task::yield_now().await;
                }
                if is_first { Ok(1) } else { Err(down()) }
            }
        });
        let stack = BoxCloneSyncService::new(chain.layer().layer(primary));
        Self {
            chain,
            stack,
            asked,
            bulkhead,
        }
    }

    fn call(&self) -> impl Future<Output = Result<u32, Failure>> + use<> {
        self.stack.clone().oneshot(1)
    }

    fn assert_nothing_is_taken(&self) {
        assert_eq!(self.bulkhead.snapshot().active_calls, 0);
        let seen = self.chain.snapshot();
        assert_eq!((seen.levels[1].active_calls, seen.copied_bytes), (0, 0));
    }
}

// proves: A-1, FC-9
#[test]
fn a_slot_a_permit_and_the_mark_of_who_was_sent_are_given_back_at_every_poll() {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let _time = runtime.enter();
    let cases = drop_at_every_poll(|| {
        let taking = Taking::new(0.0);
        assert_ready_ok!(task::spawn(taking.call()).poll());
        let call = taking.call();
        let call = async move { assert_eq!(call.await.unwrap(), 2) };
        let check = move |_: usize| {
            taking.assert_nothing_is_taken();
            // Nobody is sent any more, so the next is.
            let before = taking.asked.load(SeqCst);
            assert_pending!(task::spawn(taking.call()).poll());
            assert_eq!(taking.asked.load(SeqCst), before + 1);
        };
        (call, check)
    });
    assert_eq!(cases, 6);
}

// proves: A-1, FC-6
#[test]
fn what_an_exercised_level_has_taken_is_given_back_at_every_poll() {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let _time = runtime.enter();
    let cases = drop_at_every_poll(|| {
        let taking = Taking::new(1.0);
        let call = taking.call();
        let call = async move { assert_eq!(call.await.unwrap(), 2) };
        let check = move |_: usize| {
            taking.assert_nothing_is_taken();
            assert_eq!(taking.asked.load(SeqCst), 0, "the replica is well");
        };
        (call, check)
    });
    assert_eq!(cases, 4);
}

// proves: FC-4
#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_while_its_primary_runs_asks_nobody_else() {
    let begun: Arc<AtomicU32> = Arc::default();
    let chain = FallbackChain::builder("dropped")
        .replica(begins(&begun, 0, Ok(())))
        .primary_time(Duration::from_secs(1))
        .build();
    let primary = service_fn(async |_: u32| std::future::pending::<Result<(), Failure>>().await);
    let stack = chain.layer().layer(primary);
    let call = stack.oneshot(1);
    let cut = tokio::time::timeout(Duration::from_millis(999), call).await;
    assert!(cut.is_err());
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(begun.load(SeqCst), 0);
}

#[test]
fn every_part_goes_between_threads() {
    fn goes<T: Send + Sync + 'static>(_: &T) {}
    let chain = FallbackChain::builder("types").default_value(1_u32).build();
    let service = service_fn(|_: u32| std::future::ready(Err::<u32, _>(down())));
    let mut stack = chain.layer().layer(service);
    goes(&chain);
    goes(&chain.layer());
    goes(&stack);
    let call = tower::Service::call(&mut stack, 1);
    goes(&call);
    fn is_future<F: Future>(_: &F) {}
    is_future(&call);
}
