//! Every interleaving of three threads, two preemptions.

use std::time::Duration;

use buttress_sync::atomic::{AtomicU32, Ordering};
use loom::sync::Arc;
use loom::thread;

use super::{Entry, Machine, Mode, Outcome, Tally};
use crate::config::{Config, WindowConfig};
use crate::event::Event;
use crate::window::Share;
use buttress_timer::Moment;

const GOOD: Outcome = Outcome::Success { slow: false };
const BAD: Outcome = Outcome::Failure {
    slow: false,
    hint: None,
};

fn model(test: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(test);
}

fn machine(config: Config) -> Arc<Machine> {
    Arc::new(Machine::new(Config {
        jitter: 0.0,
        open_for: Duration::from_nanos(10),
        ..config
    }))
}

/// What the handle does at a glance.
fn admit(machine: &Machine) -> Option<Entry> {
    let word = machine.word();
    word.is_plainly_closed().then_some(Entry::of(word))
}

fn settle(machine: &Machine, entry: Entry, outcome: Outcome, now: Moment) -> Option<Event> {
    if entry.is_probe() {
        return machine.settle_probe(entry, outcome, now, 0);
    }
    let cause = machine.record(entry, outcome, now)?;
    machine.trip(entry, cause, None, now, || 0)
}

fn at(nanos: u64) -> Moment {
    Moment::from_nanos(nanos)
}

/// The permit of the closed breaker: failures of three threads open it once, and what they say afterwards is too late.
// proves: CB-5, CB-10
#[test]
fn concurrent_failures_open_once() {
    model(|| {
        let machine = machine(Config {
            consecutive: Some(2),
            ..Config::default()
        });
        let opened = Arc::new(AtomicU32::new(0));
        let fail = |machine: Arc<Machine>, opened: Arc<AtomicU32>| {
            move || {
                let entry = admit(&machine);
                let event = entry.and_then(|entry| settle(&machine, entry, BAD, at(1)));
                if matches!(event, Some(Event::Opened { .. })) {
                    opened.fetch_add(1, Ordering::SeqCst);
                }
            }
        };
        let threads = [(); 2].map(|()| thread::spawn(fail(machine.clone(), opened.clone())));
        fail(machine.clone(), opened.clone())();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(opened.load(Ordering::SeqCst), 1);
        assert_eq!(machine.figures(at(1)).mode, Mode::Open);
        assert_eq!(machine.figures(at(1)).generation, 1);
    });
}

/// The gate of the half-open breaker: never more probes than allowed, whoever asks.
// proves: CB-3
#[test]
fn half_open_lets_in_no_probe_too_many() {
    model(|| {
        let machine = machine(Config {
            consecutive: Some(1),
            probes: 2,
            successes_to_close: 2,
            ..Config::default()
        });
        let first = admit(&machine).unwrap();
        assert!(settle(&machine, first, BAD, at(0)).is_some());
        let probe = |machine: Arc<Machine>| {
            move || {
                machine
                    .admit_slowly(at(20), || 0)
                    .entry
                    .is_ok_and(Entry::is_probe)
            }
        };
        let threads = [(); 2].map(|()| thread::spawn(probe(machine.clone())));
        let mine = probe(machine.clone())();
        let admitted = threads.map(|thread| thread.join().unwrap());
        let admitted = admitted
            .into_iter()
            .chain([mine])
            .filter(|&admitted| admitted)
            .count();
        assert_eq!(admitted, 2);
        assert_eq!(machine.figures(at(20)).probes_in_flight, 2);
    });
}

/// A probe ends while another thread asks to be let in and a call of the closed time before comes back.
// proves: CB-4, CB-5
#[test]
fn a_probe_ends_beside_a_newcomer_and_a_latecomer() {
    model(|| {
        let machine = machine(Config {
            consecutive: Some(1),
            probes: 1,
            successes_to_close: 1,
            ..Config::default()
        });
        let late = admit(&machine).unwrap();
        let first = admit(&machine).unwrap();
        assert!(settle(&machine, first, BAD, at(0)).is_some());
        let probe = machine.admit_slowly(at(20), || 0).entry.unwrap();
        assert!(probe.is_probe());
        let ends = thread::spawn({
            let machine = machine.clone();
            move || settle(&machine, probe, GOOD, at(21))
        });
        let comes_late = thread::spawn({
            let machine = machine.clone();
            move || settle(&machine, late, BAD, at(21))
        });
        let newcomer = match admit(&machine) {
            Some(entry) => Ok(entry),
            None => machine.admit_slowly(at(21), || 0).entry,
        };
        assert!(matches!(ends.join().unwrap(), Some(Event::Closed { .. })));
        assert!(comes_late.join().unwrap().is_none());
        assert!(newcomer.is_err() || newcomer.is_ok_and(|entry| !entry.is_probe()));
        let figures = machine.figures(at(21));
        assert_eq!(
            (figures.mode, figures.consecutive_failures),
            (Mode::Closed, 0)
        );
    });
}

/// Results of the closed time before race with the closing that forgets them.
// proves: CB-1, CB-2, CB-5
#[test]
fn old_failures_do_not_reach_the_new_windows() {
    model(|| {
        let half = Share::new("test", 0.5).ok();
        let machine = machine(Config {
            calls: Some(WindowConfig {
                size: 2,
                failed: half,
                slow: None,
            }),
            time: Some(WindowConfig {
                size: Duration::from_nanos(150),
                failed: half,
                slow: None,
            }),
            minimum_calls: Some(2),
            ..Config::default()
        });
        let late = [(); 2].map(|()| admit(&machine).unwrap());
        let threads = late.map(|entry| {
            let machine = machine.clone();
            thread::spawn(move || settle(&machine, entry, BAD, at(1)))
        });
        let _ = machine.force(Mode::Closed, at(1));
        for thread in threads {
            thread.join().unwrap();
        }
        let figures = machine.figures(at(1));
        // Either both failures came before the reset and opened, which the reset undid or the reset came first.
        assert_eq!(figures.mode, Mode::Closed);
        let calls = machine.calls.as_ref().map(|(window, _)| window.tally());
        let time = machine
            .time
            .as_deref()
            .map(|(window, _)| window.tally(at(1)));
        assert_eq!(
            (calls, time),
            (Some(Tally::default()), Some(Tally::default()))
        );
        assert_eq!(figures.consecutive_failures, 0);
    });
}

/// A window of calls under three writers: its sums are what its slots say.
#[test]
fn the_sums_of_a_window_survive_concurrent_calls() {
    model(|| {
        let window = Arc::new(super::CallWindow::new(1, 3));
        let record = |outcome| {
            let window = window.clone();
            move || {
                window.record(3, outcome);
            }
        };
        let threads = [thread::spawn(record(BAD)), thread::spawn(record(GOOD))];
        record(BAD)();
        for thread in threads {
            thread.join().unwrap();
        }
        window.record(3, GOOD);
        let tally = window.tally();
        assert_eq!(
            (tally.calls, tally.failed),
            (1, 0),
            "the last call is the only one"
        );
    });
}

/// What the handle does: at a glance, then by the clock, then under the lock.
fn ask(machine: &Machine, now: Moment) -> Result<Entry, u64> {
    if let Some(entry) = admit(machine) {
        return Ok(entry);
    }
    match machine.refusal(now) {
        Some(wait) => Err(wait),
        None => machine.admit_slowly(now, || 0).entry,
    }
}

/// Two probes end, in every way, while somebody asks to be let in: what is read without the lock never keeps everybody out.
// proves: CB-4
#[test]
fn refusals_without_the_lock_do_not_stick() {
    for endings in [
        [BAD, GOOD],
        [GOOD, GOOD],
        [Outcome::Nothing; 2],
        [Outcome::Nothing, BAD],
    ] {
        model(move || {
            let machine = machine(Config {
                consecutive: Some(1),
                probes: 2,
                successes_to_close: 2,
                probe_limit: Duration::from_nanos(100),
                ramp: Some(Duration::from_nanos(5)),
                ..Config::default()
            });
            let first = admit(&machine).unwrap();
            assert!(settle(&machine, first, BAD, at(0)).is_some());
            let probes = [(); 2].map(|()| ask(&machine, at(20)).unwrap());
            let threads = [0, 1].map(|n| {
                let (machine, probe, ending) = (machine.clone(), probes[n], endings[n]);
                thread::spawn(move || settle(&machine, probe, ending, at(21)))
            });
            if let Ok(entry) = ask(&machine, at(22)) {
                let _ = settle(&machine, entry, Outcome::Nothing, at(23));
            }
            for thread in threads {
                let _ = thread.join().unwrap();
            }
            let mode = machine.figures(at(30)).mode;
            let answer = ask(&machine, at(30));
            assert!(answer.is_ok() || mode == Mode::Open, "{mode:?}: {answer:?}");
        });
    }
}
