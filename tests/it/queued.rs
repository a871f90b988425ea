//! The service of gates with a queue, before an inner service whose readiness may lapse.

mod bounds;
mod contract;
mod door;
mod endings;
mod fickle;
mod journal;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};

use buttress_core::{Error, Plain, Queued, QueuedFuture, Reason, Rejectable, Verdict};
use buttress_testkit::{Controls, Live, Probe, Script};
use tower::Service;

use door::{Door, Manner};
use fickle::{Fickle, Mood, Moods};
use journal::Event::{Called, Dropped, Ended, Left, Polled};
use journal::Journal;

type Call = Pin<Box<QueuedFuture<Fickle, u32, Door, Plain>>>;
type Outcome = Result<Live, Error<io::Error>>;

const SUCCESS: journal::Event = Ended(Some(Verdict::Success));
const FAILURE: journal::Event = Ended(Some(Verdict::Failure));
const UNSETTLED: journal::Event = Ended(None);

/// A service behind a door, and all there is to know about it.
struct Scene {
    service: Queued<Fickle, Door, Plain>,
    door: Door,
    moods: Moods,
    probe: Controls,
    journal: Journal,
}

impl Scene {
    fn new(manner: Manner) -> Self {
        Self::playing(manner, Script::default())
    }

    fn playing(manner: Manner, script: Script) -> Self {
        let (moods, journal) = (Moods::default(), Journal::default());
        let door = Door::new(manner, journal.clone());
        let probe = Probe::new(script).failing(io::Error::other);
        let controls = probe.controls();
        let fickle = Fickle::new(probe, moods.clone(), journal.clone());
        Self {
            service: Queued::new(fickle, door.clone(), Plain::new()),
            door,
            moods,
            probe: controls,
            journal,
        }
    }

    /// Makes the service ready and calls it.
    fn call(&mut self) -> Call {
        let readied = self
            .service
            .poll_ready(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(readied, Poll::Ready(Ok(()))));
        Box::pin(self.service.call(0))
    }

    /// Makes a call that finds no slot, and lets it wait.
    fn waiting_call(&mut self) -> Call {
        let mut call = self.call();
        assert!(poll(&mut call).is_pending());
        assert_eq!((self.door.free_slots(), self.door.queued()), (0, 1));
        call
    }

    /// What happened since the last time.
    #[track_caller]
    fn assert_happened<const N: usize>(&self, expected: [journal::Event; N]) {
        assert_eq!(self.journal.take(), expected);
    }

    /// Every slot is free, nobody waits, and no call is left.
    #[track_caller]
    fn assert_at_rest(&self, slots: usize) {
        assert_eq!((self.door.free_slots(), self.door.queued()), (slots, 0));
        let counts = self.probe.counts();
        assert_eq!((counts.live_futures, counts.live_values), (0, 0));
        assert_eq!(counts.live_services, 1, "what is parked is left behind");
    }
}

fn poll(call: &mut Call) -> Poll<Outcome> {
    call.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// Polls as often as it takes, but only when woken.
#[track_caller]
fn finish(call: &mut Call) -> Outcome {
    struct Woken(AtomicBool);
    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Relaxed);
        }
    }
    let woken = Arc::new(Woken(AtomicBool::new(true)));
    let waker = Waker::from(Arc::clone(&woken));
    while woken.0.swap(false, Relaxed) {
        if let Poll::Ready(outcome) = call.as_mut().poll(&mut Context::from_waker(&waker)) {
            return outcome;
        }
    }
    panic!("pending, and nobody will wake it");
}

#[track_caller]
fn reason_of(outcome: Outcome) -> Reason {
    let error = outcome.expect_err("a refusal");
    error.rejection().expect("a refusal").reason()
}

// === At once ===

#[test]
fn a_call_let_in_at_once_calls_the_polled_instance_and_clones_nothing() {
    let mut scene = Scene::new(Manner {
        slots: 1,
        ..Manner::default()
    });
    let mut call = scene.call();
    scene.assert_happened([Polled(0), Called(0, 1)]);
    assert!(finish(&mut call).is_ok());
    scene.assert_happened([SUCCESS]);
    assert_eq!(scene.probe.counts().clones, 0);
}

#[test]
fn a_call_let_in_at_once_is_not_asked_again_whether_it_may_start() {
    let mut scene = Scene::new(Manner {
        slots: 1,
        too_late: true,
        ..Manner::default()
    });
    assert!(finish(&mut scene.call()).is_ok());
}

#[test]
fn a_full_queue_refuses_and_the_polled_instance_stays_ready() {
    let mut scene = Scene::new(Manner {
        refuses: true,
        ..Manner::default()
    });
    let mut refused = scene.call();
    assert_eq!(reason_of(finish(&mut refused)), Reason::Overloaded);
    scene.assert_happened([Polled(0)]);
    drop(refused);
    assert_eq!(scene.probe.counts().clones, 0);
    scene.door.free_a_slot();
    // The probe would panic if this were not the instance that was polled.
    let mut call = Box::pin(scene.service.call(0));
    assert!(finish(&mut call).is_ok());
    scene.assert_happened([Called(0, 1), SUCCESS]);
}

// === After a wait ===

#[test]
fn a_call_that_waits_takes_the_polled_instance_along_and_leaves_one_clone() {
    let mut scene = Scene::new(Manner::default());
    let mut call = scene.waiting_call();
    scene.assert_happened([Polled(0)]);
    assert_eq!(scene.probe.counts().clones, 1);
    scene.door.free_a_slot();
    let Poll::Ready(Ok(_)) = poll(&mut call) else {
        panic!("it goes through in the poll in which its wait ends");
    };
    scene.assert_happened([Polled(0), Called(0, 1), Dropped(0), SUCCESS]);
    assert!(finish(&mut scene.call()).is_ok());
    scene.assert_happened([Polled(1), Called(1, 1), SUCCESS]);
    assert_eq!(scene.probe.counts().clones, 1);
}

#[test]
fn readiness_that_has_lapsed_is_waited_for_with_the_permit_in_hand() {
    let mut scene = Scene::new(Manner::default());
    let mut call = scene.waiting_call();
    scene.moods.then([Mood::Pending, Mood::Pending]);
    scene.door.free_a_slot();
    assert!(poll(&mut call).is_pending());
    assert_eq!((scene.door.free_slots(), scene.door.queued()), (0, 0));
    assert!(finish(&mut call).is_ok());
    let happened = scene.journal.take();
    assert_eq!(happened[..4], [Polled(0); 4]);
    assert_eq!(happened[4..], [Called(0, 1), Dropped(0), SUCCESS]);
    drop(call);
    scene.assert_at_rest(1);
}
