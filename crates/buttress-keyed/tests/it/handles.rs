//! One handle for each key: here one that counts how many of its calls are inside, and lets one in at a time.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;

use buttress_core::{
    Error, Gate, Name, QueueGate, Reason, Rejected, Settle, Verdict, WidenLayer, by,
};
use buttress_keyed::{Keyed, KeyedMap, MissingKey, PerKey, is_held_once};
use buttress_sync::Random;
use buttress_testkit::{deep, seed};
use tower::{ServiceBuilder, ServiceExt};

#[derive(Default)]
struct State {
    inside: AtomicU64,
    settled: AtomicU64,
    judged: AtomicU64,
}

#[derive(Clone, Default)]
struct Handle(Arc<State>);

struct Permit(Arc<State>);

impl Handle {
    fn enter(&self) -> Option<Permit> {
        let entered = self.0.inside.compare_exchange(0, 1, SeqCst, SeqCst).is_ok();
        entered.then(|| Permit(Arc::clone(&self.0)))
    }
}

impl Settle for Permit {
    fn settle(self, verdict: Verdict) {
        let failed = u64::from(verdict == Verdict::Failure);
        self.0.judged.fetch_add(failed, SeqCst);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.settled.fetch_add(1, SeqCst);
        self.0.inside.fetch_sub(1, SeqCst);
    }
}

fn full() -> Rejected {
    Rejected::new(Reason::Overloaded, Name::new("one-at-a-time"))
}

impl PerKey for Handle {
    fn is_idle(&self) -> bool {
        is_held_once(&self.0) && self.0.settled.load(SeqCst) == 0
    }

    fn without_key(&self) -> Rejected {
        Rejected::new(Reason::Throttled, Name::new("one-at-a-time"))
    }
}

impl<Req, P> Gate<Req, P> for Handle {
    type Permit = Permit;

    fn admit(&self, _: &Req, _: &P) -> Result<Permit, Rejected> {
        self.enter().ok_or_else(full)
    }
}

impl<Req, P> QueueGate<Req, P> for Handle {
    type Permit = Permit;
    type Wait = Ready<Result<Permit, Rejected>>;

    fn try_admit(&self, _: &Req, _: &P) -> Option<Permit> {
        self.enter()
    }

    /// Waits for nobody, but knows who would.
    fn queue(&self, _: &Req, _: &P) -> Result<Self::Wait, Rejected> {
        Ok(ready(self.enter().ok_or_else(full)))
    }
}

fn keyed(keys: u32) -> Keyed<u64, Handle> {
    Keyed::new(KeyedMap::new(keys), Handle::default)
}

fn settled(keyed: &Keyed<u64, Handle>, key: u64) -> u64 {
    keyed
        .find(&key)
        .map_or(0, |handle| handle.0.settled.load(SeqCst))
}

// proves: RL-6
#[test]
fn a_handle_that_somebody_has_is_never_forgotten() {
    let keyed = keyed(3);
    let (held, permit) = (keyed.get(&1), keyed.get(&2).enter());
    (10..1000).for_each(|key| drop(keyed.get(&key)));
    assert!(Arc::ptr_eq(&keyed.get(&1).0, &held.0));
    assert!(keyed.get(&2).enter().is_none());
    drop((held, permit));
    (1000..2000).for_each(|key| drop(keyed.get(&key)));
    assert!(keyed.find(&1).is_none(), "nothing was done with it");
    assert_eq!(settled(&keyed, 2), 1, "something was done with it");
    assert_eq!(
        (keyed.keys(), keyed.max_keys(), keyed.overflowed()),
        (3, 3, 0)
    );
    assert_eq!(keyed.evict_idle(), 2);
    assert_eq!(keyed.keys(), 1);
    let mut shown = Vec::new();
    keyed.for_each(|key, _| shown.push(*key));
    assert_eq!(shown, [2]);
}

#[test]
fn keys_without_room_get_the_shared_handle() {
    let keyed = keyed(2);
    let held = [1, 2].map(|key| keyed.get(&key));
    for key in 3..10 {
        assert!(Arc::ptr_eq(&keyed.get(&key).0, &keyed.shared().0));
    }
    assert_eq!((keyed.overflowed(), keyed.keys()), (7, 2));
    drop(held);
    assert!(!Arc::ptr_eq(&keyed.get(&3).0, &keyed.shared().0));
}

/// Evicted while somebody takes a permit of it: what comes of that permit would be lost.
// proves: RL-6
#[test]
fn nothing_that_is_done_with_a_handle_is_lost() {
    let (seed, calls) = (seed(), deep(20_000, 500_000_u64));
    let keyed = keyed(50);
    let done = AtomicU64::new(0);
    thread::scope(|scope| {
        for thread in 0..8 {
            let (keyed, done) = (&keyed, &done);
            scope.spawn(move || {
                let random = Random::seeded(seed ^ thread);
                for call in 0..calls {
                    let key = random.next_u64() % 40;
                    // Most only look, and leave behind what may be forgotten at once.
                    drop(keyed.get(&(1000 + random.next_u64() % 1000)));
                    if call % 64 == 0 && keyed.get(&key).enter().is_some() {
                        done.fetch_add(1, SeqCst);
                    }
                }
            });
        }
    });
    let shared = keyed.shared().0.settled.load(SeqCst);
    let own: u64 = (0..40).map(|key| settled(&keyed, key)).sum();
    assert_eq!(own + shared, done.into_inner());
    assert!(own > 0);
}

async fn echo(key: Option<u64>) -> Result<u64, Infallible> {
    tokio::task::yield_now().await;
    Ok(key.unwrap_or(0))
}

fn reason<T>(result: &Result<T, Error<Infallible>>) -> Option<Reason> {
    match result {
        Err(Error::Rejected(rejected)) => Some(rejected.reason()),
        _ => None,
    }
}

// proves: S-4
#[tokio::test]
async fn both_layers_ask_the_handle_of_the_key_and_refuse_what_has_none() {
    let keyed = keyed(10);
    let key = |key: &Option<u64>| *key;
    let stack = |missing| {
        let at_once = keyed.by(key).missing_key(missing);
        let waiting = keyed.waiting_by(key).missing_key(missing);
        let plain = ServiceBuilder::new().layer(WidenLayer).service_fn(echo);
        (
            ServiceBuilder::new().layer(at_once).service(plain),
            ServiceBuilder::new().layer(waiting).service(plain),
        )
    };
    let (at_once, waiting) = stack(MissingKey::default());
    let inside = keyed.get(&1).enter();
    assert_eq!(
        reason(&at_once.clone().oneshot(Some(1)).await),
        Some(Reason::Overloaded)
    );
    assert_eq!(
        reason(&waiting.clone().oneshot(Some(1)).await),
        Some(Reason::Overloaded)
    );
    drop(inside);
    assert_eq!(at_once.clone().oneshot(Some(1)).await.ok(), Some(1));
    assert_eq!(waiting.clone().oneshot(Some(1)).await.ok(), Some(1));
    assert_eq!((settled(&keyed, 1), settled(&keyed, 2)), (3, 0));
    assert_eq!(
        reason(&at_once.oneshot(None).await),
        Some(Reason::Throttled)
    );
    assert_eq!(
        reason(&waiting.oneshot(None).await),
        Some(Reason::Throttled)
    );
    assert_eq!((keyed.keyless(), keyed.keys()), (2, 1));
    let (at_once, waiting) = stack(MissingKey::Share);
    assert_eq!(at_once.oneshot(None).await.ok(), Some(0));
    assert_eq!(waiting.oneshot(None).await.ok(), Some(0));
    assert_eq!(keyed.shared().0.settled.load(SeqCst), 2);
    assert_eq!((keyed.keyless(), keyed.keys()), (2, 1));
}

#[tokio::test]
async fn a_layer_takes_a_classifier_and_shares_its_handles_with_its_clones() {
    let keyed = keyed(10);
    let layer = keyed
        .by(|_: &Option<u64>| Some(5))
        .classify(by(|_: Result<&u64, &Error<Infallible>>| Verdict::Failure));
    for layer in [layer.clone(), layer] {
        let service = ServiceBuilder::new().layer(layer).layer(WidenLayer);
        assert!(service.service_fn(echo).oneshot(None).await.is_ok());
    }
    assert_eq!(keyed.get(&5).0.judged.load(SeqCst), 2);
}

#[test]
fn parts_that_can_be_sent_make_a_whole_that_can() {
    fn is_send<T: Clone + Send + Sync + std::fmt::Debug + 'static>(_: &T) {}
    let keyed = keyed(10);
    let key = |key: &Option<u64>| *key;
    is_send(&keyed);
    is_send(&keyed.by(key));
    is_send(&keyed.waiting_by(key));
}
