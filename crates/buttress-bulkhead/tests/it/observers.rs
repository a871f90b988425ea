//! Observers that use the bulkhead they are told of, and code of others that panics: in an observer, in what chooses the class, in
//! a classifier, in a service.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, OnceLock, mpsc};
use std::time::Duration;

use buttress_bulkhead::{Acquire, Bulkhead, Event, Permit};
use buttress_core::{Deadline, Error, Priority, Rejected, Verdict, WidenLayer, by};
use buttress_sync::Mutex;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, sleep};
use tokio_test::task::{self, Spawn};
use tower::{Layer, Service, ServiceExt, service_fn};

const SECOND: Duration = Duration::from_secs(1);

fn still_time() -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap()
}

/// Runs on a thread of its own, which must end.
fn without_deadlock(work: impl FnOnce() + Send + 'static) {
    let (tell, told) = mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        let _over = tell;
        work();
    });
    let over = told.recv_timeout(20 * SECOND);
    assert_eq!(over, Err(mpsc::RecvTimeoutError::Disconnected), "deadlock");
    thread.join().unwrap_or_else(|panic| resume_unwind(panic));
}

// === What is told ===

/// What an observer does when it is told of something; it keeps the permits that it gets for later.
type Deed = fn(&Bulkhead, &Mutex<Vec<Permit>>);

/// What was told, by name.
type Told = Arc<Mutex<Vec<String>>>;

/// A bulkhead of one slot and two places whose observer does something with it whenever it is told of anything.
fn observed(deed: Deed) -> (Bulkhead, Told, Arc<Mutex<Vec<Permit>>>) {
    let (told, kept) = (Told::default(), Arc::<Mutex<Vec<Permit>>>::default());
    let handle = Arc::<OnceLock<Bulkhead>>::default();
    let busy = AtomicBool::new(false);
    let observer = {
        let (told, kept, handle) = (Arc::clone(&told), Arc::clone(&kept), Arc::clone(&handle));
        move |event: &Event| {
            let name = match event {
                Event::Refused { rejected, .. } => rejected.reason().as_str().to_owned(),
                other => format!("{other:?}"),
            };
            told.lock().push(name);
            // What it does is told, too.
            if !busy.swap(true, SeqCst) {
                deed(handle.get().unwrap(), &kept);
                busy.store(false, SeqCst);
            }
        }
    };
    let builder = Bulkhead::builder("observed").max_concurrent(1).queue(2);
    let bulkhead = builder.max_wait(SECOND).observer(observer).build();
    handle.set(bulkhead.clone()).unwrap();
    (bulkhead, told, kept)
}

fn polled(acquire: Acquire) -> (Spawn<Acquire>, Option<Result<Permit, Rejected>>) {
    let mut waiting = task::spawn(acquire);
    let polled = match waiting.poll() {
        std::task::Poll::Ready(result) => Some(result),
        std::task::Poll::Pending => None,
    };
    (waiting, polled)
}

/// Everything that can be told of, whatever the observer does meanwhile.
async fn everything(bulkhead: &Bulkhead) {
    let wait = |priority| polled(bulkhead.acquire(priority));
    let inside = bulkhead.try_acquire();
    drop(bulkhead.try_acquire());
    let low = [wait(Priority::Low), wait(Priority::Low)];
    // Refused at a full queue, and in the place of another.
    let (same, high) = (wait(Priority::Low), wait(Priority::High));
    drop(bulkhead.resize_queue(1));
    drop(bulkhead.resize_queue(2));
    drop(low);
    sleep(2 * SECOND).await;
    // The longest wait was over.
    let (mut high, got) = high;
    if got.is_none() {
        drop(high.poll());
    }
    drop((high, got));
    let forgotten = wait(Priority::High);
    drop(inside);
    sleep(SECOND / 2).await;
    drop(forgotten);
    let too_late = Deadline::at(Instant::now());
    let too_late = polled(bulkhead.acquire(Priority::Normal).before(too_late));
    drop(bulkhead.resize(2));
    let inside = (bulkhead.try_acquire(), bulkhead.try_acquire());
    let last = wait(Priority::Normal);
    bulkhead.close();
    drop((same, too_late, inside, last));
    bulkhead.drained().await;
}

fn told_of_everything(told: &Told) -> bool {
    let told = told.lock();
    let told_of = |what| told.iter().any(|name| name.starts_with(what));
    [
        "overloaded",
        "deadline-exceeded",
        "unavailable",
        "Resized",
        "QueueResized",
        "Revoked",
        "Closed",
    ]
    .into_iter()
    .all(told_of)
}

/// Lets an observer do something whenever it is told of anything; nothing is held in the end.
fn does(deed: Deed) -> Told {
    let (bulkhead, told, kept) = observed(deed);
    let kept_until_the_end = Arc::clone(&kept);
    let told_at_last = Arc::clone(&told);
    without_deadlock(move || {
        still_time().block_on(async {
            tokio::join!(everything(&bulkhead), async {
                sleep(10 * SECOND).await;
                kept_until_the_end.lock().clear();
            });
            let snapshot = bulkhead.snapshot();
            assert_eq!((snapshot.active_calls, snapshot.queued_calls), (0, 0));
        });
    });
    told_at_last
}

// proves: A-13
#[test]
fn an_observer_may_look_at_the_bulkhead() {
    let told = does(|bulkhead, _| {
        let _ = bulkhead.snapshot();
        let _ = format!("{bulkhead:?}");
    });
    assert!(told_of_everything(&told), "{told:?}");
}

// proves: A-13
#[test]
fn an_observer_may_take_a_slot() {
    let told = does(|bulkhead, _| drop(bulkhead.try_acquire()));
    assert!(told_of_everything(&told), "{told:?}");
    does(|bulkhead, kept| kept.lock().extend(bulkhead.try_acquire()));
}

// proves: A-13
#[test]
fn an_observer_may_wait_for_a_slot() {
    let told = does(|bulkhead, _| drop(polled(bulkhead.acquire(Priority::Background))));
    assert!(told_of_everything(&told), "{told:?}");
    does(|bulkhead, _| drop(polled(bulkhead.acquire(Priority::Critical))));
    does(|bulkhead, kept| {
        let (_, result) = polled(bulkhead.acquire(Priority::Critical));
        kept.lock().extend(result.and_then(Result::ok));
    });
}

// proves: A-13
#[test]
fn an_observer_may_change_the_limits() {
    let told = does(|bulkhead, _| {
        let limit = bulkhead.snapshot().max_concurrent;
        bulkhead.resize(limit + 1).unwrap();
        bulkhead.resize(limit).unwrap();
        bulkhead.set_max_wait(SECOND);
    });
    assert!(told_of_everything(&told), "{told:?}");
    does(|bulkhead, _| {
        bulkhead.resize(1_000).unwrap();
        bulkhead.resize_queue(0).unwrap();
    });
}

// proves: A-13
#[test]
fn an_observer_may_close_the_bulkhead() {
    let told = does(|bulkhead, _| bulkhead.close());
    assert!(told.lock().iter().any(|name| name == "Closed"));
}

// proves: A-13
#[test]
fn an_observer_may_wait_for_the_last_call() {
    let told = does(|bulkhead, _| {
        let mut drained = task::spawn(bulkhead.drained());
        let _ = drained.poll();
    });
    assert!(told_of_everything(&told), "{told:?}");
}

// === What panics ===

/// A bulkhead of one slot and two places whose observer panics when it shall.
fn touchy() -> (Bulkhead, Arc<AtomicBool>) {
    let panics = Arc::<AtomicBool>::default();
    let observer = {
        let panics = Arc::clone(&panics);
        move |_: &Event| {
            if panics.swap(false, SeqCst) {
                // Not through the hook, so that nothing is printed.
                resume_unwind(Box::new("the observer"));
            }
        }
    };
    let builder = Bulkhead::builder("touchy").max_concurrent(1).queue(2);
    let builder = builder.max_wait(SECOND).observer(observer);
    (builder.build(), panics)
}

/// Nothing is held, and a thousand calls are served: through the way in, and through the queue.
#[track_caller]
fn assert_unharmed(bulkhead: &Bulkhead) {
    let snapshot = bulkhead.snapshot();
    assert_eq!((snapshot.active_calls, snapshot.queued_calls), (0, 0));
    for _ in 0..500 {
        let inside = bulkhead.try_acquire().unwrap();
        let (mut waiting, refused) = polled(bulkhead.acquire(Priority::Normal));
        assert!(refused.is_none(), "{refused:?}");
        drop(inside);
        assert!(waiting.is_woken());
        let permit = tokio_test::assert_ready!(waiting.poll()).unwrap();
        drop(permit);
    }
    let snapshot = bulkhead.snapshot();
    assert_eq!((snapshot.active_calls, snapshot.queued_calls), (0, 0));
}

/// Does something of which the observer is told, and panics; the panic goes to the task only if it is about its own call.
fn told_in_vain<T>(panics: &AtomicBool, work: impl FnOnce() -> T) {
    panics.store(true, SeqCst);
    let _ = catch_unwind(AssertUnwindSafe(work));
    assert!(!panics.swap(false, SeqCst), "nothing was told");
}

// proves
#[tokio::test(start_paused = true)]
async fn an_observer_that_panics_at_a_refusal_takes_nothing_with_it() {
    let (bulkhead, panics) = touchy();
    let inside = bulkhead.try_acquire().unwrap();
    told_in_vain(&panics, || bulkhead.try_acquire());
    let waiting = [(); 2].map(|()| polled(bulkhead.acquire(Priority::Normal)));
    told_in_vain(&panics, || polled(bulkhead.acquire(Priority::Normal)));
    let too_late = || {
        bulkhead
            .acquire(Priority::Normal)
            .before(Deadline::at(Instant::now()))
    };
    told_in_vain(&panics, || polled(too_late()));
    assert_eq!(bulkhead.snapshot().queued_calls, 2);
    // The longest wait is over.
    sleep(2 * SECOND).await;
    for (mut waiting, _) in waiting {
        told_in_vain(&panics, || waiting.poll());
        drop(waiting);
    }
    drop(inside);
    assert_unharmed(&bulkhead);
}

// proves: A-1, PB-7
#[tokio::test(start_paused = true)]
async fn an_observer_that_panics_at_a_displacement_takes_nothing_with_it() {
    let (bulkhead, panics) = touchy();
    let inside = bulkhead.try_acquire().unwrap();
    let (first, _) = polled(bulkhead.acquire(Priority::Low));
    let (mut second, _) = polled(bulkhead.acquire(Priority::Low));
    // The newcomer is gone with the panic, and so is the one whose place it took.
    told_in_vain(&panics, || polled(bulkhead.acquire(Priority::High)));
    assert!(second.is_woken() && !first.is_woken());
    assert!(tokio_test::assert_ready!(second.poll()).is_err());
    assert_eq!(bulkhead.snapshot().queued_calls, 1);
    drop(first);
    drop(inside);
    assert_unharmed(&bulkhead);
}

// proves: A-1, PB-7
#[tokio::test(start_paused = true)]
async fn an_observer_that_panics_at_a_shorter_queue_lets_those_go_who_have_no_place() {
    let (bulkhead, panics) = touchy();
    let inside = bulkhead.try_acquire().unwrap();
    let waiting = [(); 2].map(|()| polled(bulkhead.acquire(Priority::Low)));
    told_in_vain(&panics, || bulkhead.resize_queue(0));
    assert_eq!(bulkhead.snapshot().queued_calls, 0);
    for (mut waiting, _) in waiting {
        assert!(waiting.is_woken(), "whoever was turned out hears of it");
        assert!(tokio_test::assert_ready!(waiting.poll()).is_err());
    }
    bulkhead.resize_queue(2).unwrap();
    drop(inside);
    assert_unharmed(&bulkhead);
}

// proves, PB-8
#[test]
fn an_observer_that_panics_at_a_revocation_keeps_nobody_from_the_slot() {
    let (bulkhead, panics) = touchy();
    let runtime = still_time();
    let time = runtime.enter();
    let inside = bulkhead.try_acquire().unwrap();
    let (forgotten, _) = polled(bulkhead.acquire(Priority::High));
    let (mut next, _) = polled(bulkhead.acquire(Priority::Normal));
    drop(inside);
    panics.store(true, SeqCst);
    // The timer of the grant is nobody's task.
    let slept = catch_unwind(AssertUnwindSafe(|| runtime.block_on(sleep(SECOND / 2))));
    panics.store(false, SeqCst);
    assert!(next.is_woken(), "the slot is the next one's");
    drop(tokio_test::assert_ready!(next.poll()).unwrap());
    drop(forgotten);
    assert_unharmed(&bulkhead);
    drop(time);
    assert!(
        slept.is_ok(),
        "the panic went through the runtime, whose timers are not ours"
    );
}

/// The timers that go off together with that of a grant are those of anybody.
// proves: A-13
#[test]
fn an_observer_that_panics_at_a_revocation_costs_nobody_a_timer() {
    let (bulkhead, panics) = touchy();
    let runtime = still_time();
    let time = runtime.enter();
    let inside = bulkhead.try_acquire().unwrap();
    let (forgotten, _) = polled(bulkhead.acquire(Priority::High));
    drop(inside);
    let mut timers: Vec<_> = (0..8)
        .map(|_| task::spawn(sleep(Duration::from_millis(10))))
        .collect();
    for timer in &mut timers {
        assert!(timer.poll().is_pending());
    }
    panics.store(true, SeqCst);
    let slept = catch_unwind(AssertUnwindSafe(|| runtime.block_on(sleep(SECOND / 2))));
    panics.store(false, SeqCst);
    let woken = timers.iter().filter(|timer| timer.is_woken()).count();
    drop((forgotten, timers, time));
    assert_eq!((woken, slept.is_ok()), (8, true));
}

/// A revoked slot may be the last for which somebody waits who wants everybody out.
// proves: A-1
#[test]
fn an_observer_that_panics_at_a_revocation_keeps_nobody_waiting_for_the_last_call() {
    let (bulkhead, panics) = touchy();
    let runtime = still_time();
    let time = runtime.enter();
    let inside = bulkhead.try_acquire().unwrap();
    let (forgotten, _) = polled(bulkhead.acquire(Priority::High));
    drop(inside);
    let mut drained = task::spawn(bulkhead.drained());
    assert!(drained.poll().is_pending());
    panics.store(true, SeqCst);
    let _ = catch_unwind(AssertUnwindSafe(|| runtime.block_on(sleep(SECOND / 2))));
    panics.store(false, SeqCst);
    assert_eq!(bulkhead.snapshot().active_calls, 0);
    assert!(drained.is_woken());
    assert!(drained.poll().is_ready());
    drop((drained, forgotten, time));
}

// proves
#[tokio::test(start_paused = true)]
async fn an_observer_that_panics_at_the_end_lets_everybody_go() {
    let (bulkhead, panics) = touchy();
    let inside = bulkhead.try_acquire().unwrap();
    let waiting = [(); 2].map(|()| polled(bulkhead.acquire(Priority::Normal)));
    told_in_vain(&panics, || bulkhead.close());
    for (mut waiting, _) in waiting {
        assert!(waiting.is_woken());
        assert!(tokio_test::assert_ready!(waiting.poll()).is_err());
    }
    drop(inside);
    assert_eq!(bulkhead.snapshot().active_calls, 0);
    bulkhead.drained().await;
}

// proves: A-1, PB-1
#[tokio::test(start_paused = true)]
async fn an_observer_that_panics_at_a_new_limit_leaves_it_in_force() {
    let (bulkhead, panics) = touchy();
    let inside = bulkhead.try_acquire().unwrap();
    let (mut waiting, _) = polled(bulkhead.acquire(Priority::Normal));
    told_in_vain(&panics, || bulkhead.resize(2));
    assert_eq!(bulkhead.snapshot().max_concurrent, 2);
    assert!(
        waiting.is_woken(),
        "a slot is free, and somebody waits for it"
    );
    let permits = (inside, tokio_test::assert_ready!(waiting.poll()).unwrap());
    assert!(bulkhead.try_acquire().is_err());
    drop(permits);
    bulkhead.resize(1).unwrap();
    assert_unharmed(&bulkhead);
}

// proves: A-1
#[tokio::test(start_paused = true)]
async fn what_chooses_the_class_may_panic() {
    let (bulkhead, _) = touchy();
    let choose = |panics: &bool| match *panics {
        true => resume_unwind(Box::new("the choice")),
        false => Priority::Normal,
    };
    let judge = by(|_: Result<&bool, &Rejected>| Verdict::Success);
    let layer = bulkhead.layer().priority(choose).classify(judge);
    let mut service = layer.layer(service_fn(|request: bool| async move {
        Ok::<_, Rejected>(request)
    }));
    for _ in 0..3 {
        let inside = bulkhead.try_acquire().unwrap();
        service.ready().await.unwrap();
        let call = catch_unwind(AssertUnwindSafe(|| service.call(true)));
        assert!(
            call.is_err(),
            "the class is asked for when the call has to wait"
        );
        drop(inside);
        assert!(!service.ready().await.unwrap().call(false).await.unwrap());
    }
    assert_unharmed(&bulkhead);
}

// proves: A-1
#[tokio::test(start_paused = true)]
async fn a_classifier_and_a_service_may_panic_after_a_wait() {
    let (bulkhead, _) = touchy();
    let judge = by(|result: Result<&bool, &Error<io::Error>>| match result {
        Ok(true) => resume_unwind(Box::new("the classifier")),
        _ => Verdict::Success,
    });
    let layer = (bulkhead.layer().classify(judge), WidenLayer);
    let service = layer.layer(service_fn(|request: Option<bool>| async move {
        Ok::<_, io::Error>(request.unwrap_or_else(|| resume_unwind(Box::new("the service"))))
    }));
    for request in [Some(true), None, Some(true), None] {
        let inside = bulkhead.try_acquire().unwrap();
        let mut call = task::spawn(service.clone().oneshot(request));
        assert!(call.poll().is_pending());
        drop(inside);
        assert!(catch_unwind(AssertUnwindSafe(|| call.poll())).is_err());
        assert_eq!(bulkhead.snapshot().active_calls, 0);
        assert!(!service.clone().oneshot(Some(false)).await.unwrap());
    }
    assert_unharmed(&bulkhead);
}
