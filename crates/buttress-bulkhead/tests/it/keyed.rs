//! One bulkhead for each key.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use buttress_bulkhead::{Bulkhead, KeyedBulkhead, MissingKey, Prioritised};
use buttress_core::{
    Condition, Error, Inspect, Priority, Reason, Rejected, Settle, Value, Verdict, WidenLayer,
};
use buttress_sync::Random;
use buttress_testkit::{deep, seed};
use tower::{ServiceBuilder, ServiceExt};

const SECOND: Duration = Duration::from_secs(1);

fn bulkheads(max_keys: u32) -> KeyedBulkhead<u64> {
    let builder = Bulkhead::builder("tenants").max_concurrent(1).queue(1);
    builder.keyed().max_keys(max_keys).build()
}

fn flood(bulkheads: &KeyedBulkhead<u64>) {
    (1000..3000).for_each(|key| drop(bulkheads.get(&key).try_acquire()));
}

#[test]
fn one_tenant_cannot_use_up_what_others_need() {
    let bulkheads = bulkheads(100);
    let inside = bulkheads.get(&1).try_acquire().unwrap();
    assert!(bulkheads.get(&1).try_acquire().is_err());
    assert!(bulkheads.get(&2).try_acquire().is_ok());
    assert_eq!(
        (bulkheads.snapshot().full, bulkheads.condition()),
        (1, Condition::Degraded)
    );
    inside.settle(Verdict::Success);
    assert!(bulkheads.get(&1).try_acquire().is_ok());
    assert_eq!(
        (bulkheads.snapshot().full, bulkheads.condition()),
        (0, Condition::Up)
    );
}

// proves: RL-6
#[tokio::test(start_paused = true)]
async fn only_what_nobody_uses_or_has_changed_is_forgotten() {
    let bulkheads = bulkheads(6);
    let inside = bulkheads.get(&1).try_acquire().unwrap();
    let mut waits = Box::pin(bulkheads.get(&1).acquire(Priority::Normal));
    assert!(futures_poll(waits.as_mut()).is_pending());
    bulkheads.get(&2).resize(2).unwrap();
    bulkheads.get(&3).close();
    bulkheads.get(&4).set_max_wait(SECOND);
    bulkheads.get(&5).resize_queue(9).unwrap();
    drop(bulkheads.get(&6).try_acquire());
    flood(&bulkheads);
    assert_eq!(
        (bulkheads.snapshot().keys, bulkheads.snapshot().overflowed),
        (6, 0)
    );
    let is_kept = |key| bulkheads.find(&key).is_some();
    assert!((1..6).all(is_kept) && !is_kept(6));
    drop(inside);
    // It has its slot, though nobody has looked yet.
    flood(&bulkheads);
    assert!(is_kept(1) && bulkheads.get(&1).try_acquire().is_err());
    drop(waits.await.unwrap());
    bulkheads.get(&2).resize(1).unwrap();
    bulkheads.get(&5).resize_queue(1).unwrap();
    flood(&bulkheads);
    assert_eq!(
        [1, 2, 3, 4, 5].map(is_kept),
        [false, false, true, true, false]
    );
    let class = bulkheads.snapshot().class(Priority::Normal);
    assert_eq!(
        (class.granted_count, class.queued_calls),
        (1, 0),
        "it outlives its bulkhead"
    );
    assert_eq!(bulkheads.snapshot().waits.count(), 1);
}

fn futures_poll<F: Future>(future: std::pin::Pin<&mut F>) -> std::task::Poll<F::Output> {
    future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
}

// proves: RL-6, S-3
#[test]
fn keys_without_room_share_a_bulkhead() {
    let bulkheads = bulkheads(2);
    let inside: Vec<_> = (0..3)
        .map(|key| bulkheads.get(&key).try_acquire().unwrap())
        .collect();
    assert!((3..10).all(|key| bulkheads.get(&key).try_acquire().is_err()));
    let snapshot = bulkheads.snapshot();
    assert_eq!((snapshot.keys, snapshot.overflowed), (2, 8));
    assert_eq!(
        (
            snapshot.active_calls,
            snapshot.full,
            snapshot.rejected_calls
        ),
        (3, 3, 7)
    );
    assert_eq!(bulkheads.facts()[5], ("active_calls", Value::Count(3)));
    drop(inside);
    let snapshot = bulkheads.snapshot();
    assert_eq!((snapshot.active_calls, snapshot.neutral_count), (0, 3));
}

fn refusal<T: std::fmt::Debug>(result: Result<T, Error<Infallible>>) -> Rejected {
    match result.unwrap_err() {
        Error::Rejected(rejected) => rejected,
        Error::Inner(never) => match never {},
    }
}

struct Query(Option<u64>);

async fn work(_: Query) -> Result<(), Infallible> {
    tokio::time::sleep(SECOND).await;
    Ok(())
}

// proves: S-4
#[tokio::test(start_paused = true)]
async fn a_layer_lets_wait_for_the_slot_of_the_key() {
    let bulkheads = bulkheads(100);
    let layer = bulkheads.by(|query: &Query| query.0);
    let service = ServiceBuilder::new()
        .layer(layer.clone())
        .layer(WidenLayer)
        .service_fn(work);
    let call = |key| tokio::spawn(service.clone().oneshot(Query(key)));
    let began = tokio::time::Instant::now();
    let [first, waits, refused, other] = [1, 1, 1, 2].map(|key| call(Some(key)));
    assert_eq!(refusal(refused.await.unwrap()).reason(), Reason::Overloaded);
    assert_eq!(bulkheads.snapshot().queued_calls, 1);
    assert!(first.await.unwrap().is_ok() && other.await.unwrap().is_ok());
    assert_eq!(began.elapsed(), SECOND);
    assert!(waits.await.unwrap().is_ok());
    assert_eq!(began.elapsed(), 2 * SECOND);
    let rejected = refusal(call(None).await.unwrap());
    assert_eq!(
        (rejected.reason(), rejected.component().as_str()),
        (Reason::Overloaded, "tenants")
    );
    assert_eq!(bulkheads.snapshot().keyless, 1);

    let shares = layer.missing_key(MissingKey::Share);
    let service = ServiceBuilder::new()
        .layer(shares)
        .layer(WidenLayer)
        .service_fn(work);
    let both = [(); 2].map(|()| tokio::spawn(service.clone().oneshot(Query(None))));
    tokio::task::yield_now().await;
    let shared = bulkheads.shared().snapshot();
    assert_eq!((shared.active_calls, shared.queued_calls), (1, 1));
    for call in both {
        assert!(call.await.unwrap().is_ok());
    }
    assert_eq!(bulkheads.snapshot().keyless, 1);
}

#[tokio::test(start_paused = true)]
async fn the_refusing_layer_never_waits_and_priorities_are_chosen() {
    let builder = Bulkhead::builder("tenants")
        .max_concurrent(2)
        .reserved_for_critical(1);
    let bulkheads = builder.keyed().build::<u64>();
    let important = |query: &Query| match query.0 {
        Some(7) => Priority::Critical,
        _ => Priority::Normal,
    };
    let layer = bulkheads
        .refusing_by(|_: &Query| Some(1))
        .protocol(|plain| Prioritised::new(plain, important));
    let service = ServiceBuilder::new()
        .layer(layer)
        .layer(WidenLayer)
        .service_fn(work);
    let call = |number| tokio::spawn(service.clone().oneshot(Query(Some(number))));
    let [one, other, critical] = [1, 2, 7].map(call);
    assert_eq!(refusal(other.await.unwrap()).reason(), Reason::Overloaded);
    assert!(one.await.unwrap().is_ok() && critical.await.unwrap().is_ok());
}

/// Many threads, and keys that are forgotten all the time: nobody gets a second bulkhead while the first is in use.
// proves: RL-6
#[test]
fn a_key_never_has_more_calls_inside_than_its_limit() {
    let (seed, calls) = (seed(), deep(20_000, 500_000_u64));
    let bulkheads = bulkheads(8);
    let inside: Vec<AtomicU32> = (0..64).map(|_| AtomicU32::new(0)).collect();
    let admitted = AtomicU32::new(0);
    thread::scope(|scope| {
        for thread in 0..8 {
            let (bulkheads, inside, admitted) = (&bulkheads, &inside, &admitted);
            scope.spawn(move || {
                let random = Random::seeded(seed ^ thread);
                for _ in 0..calls {
                    let key = random.next_u64() % 64;
                    if let Ok(permit) = bulkheads.get(&key).try_acquire() {
                        let own = &inside[usize::try_from(key).unwrap()];
                        let before = own.fetch_add(1, Ordering::SeqCst);
                        // One of its own, and one of all keys for which there was no room.
                        assert!(before < 2);
                        admitted.fetch_add(1, Ordering::Relaxed);
                        own.fetch_sub(1, Ordering::SeqCst);
                        permit.settle(Verdict::Success);
                    }
                }
            });
        }
    });
    let snapshot = bulkheads.snapshot();
    assert_eq!(snapshot.success_count, u64::from(admitted.into_inner()));
    assert_eq!(snapshot.active_calls, 0);
    assert!(snapshot.keys <= 8);
}

#[test]
fn settings_are_checked() {
    let built = Bulkhead::builder("a")
        .keyed()
        .max_keys(0)
        .try_build::<u64>();
    assert_eq!(built.unwrap_err().setting(), "max_keys");
    let built = Bulkhead::builder("a")
        .max_concurrent(0)
        .keyed()
        .try_build::<u64>();
    assert_eq!(built.unwrap_err().setting(), "max_concurrent");
}
