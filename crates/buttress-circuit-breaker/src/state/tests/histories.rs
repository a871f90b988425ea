//! Random histories: the machine and the naive model must agree after every step.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use buttress_testkit::{deep, seed};
use proptest::prelude::*;
use proptest::test_runner::{Config as RunConfig, RngAlgorithm, TestRng, TestRunner};

use super::model::{Model, ModelConfig, ModelMode, Result as Told, Ticket};
use crate::config::{Config, WindowConfig};
use crate::event::Event;
use crate::state::{Entry, Machine, Mode, Outcome};
use crate::window::Share;
use buttress_timer::Moment;

const MILLI: u64 = 1_000_000;
const OFF_PERCENT: u64 = 123_457;

#[derive(Clone, Debug)]
enum Step {
    Start {
        drawn: u64,
    },
    /// A call that starts and ends at once.
    Call(Told),
    End {
        which: usize,
        told: Told,
    },
    Note {
        which: usize,
        told: Told,
    },
    Wait(u64),
    Force(ModelMode),
}

fn told() -> impl Strategy<Value = Told> {
    let hint = prop_oneof![3 => Just(None), 1 => (0..400 * MILLI).prop_map(Some)];
    prop_oneof![
        6 => any::<bool>().prop_map(|slow| Told::Good { slow }),
        4 => Just(Told::Good { slow: false }),
        6 => (any::<bool>(), hint).prop_map(|(slow, hint)| Told::Bad { slow, hint }),
        1 => Just(Told::GoneSlow),
        1 => Just(Told::Nothing),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let forced = prop_oneof![
        Just(ModelMode::ForcedOpen),
        Just(ModelMode::ForcedClosed),
        Just(ModelMode::MetricsOnly),
        Just(ModelMode::Closed),
        Just(ModelMode::Closed),
    ];
    let wait = prop_oneof![
        5 => 0..12 * MILLI,
        3 => 0..120 * MILLI,
        1 => 0..3_000 * MILLI,
        // Whole turns of the tags of a window in time, after which an old bucket could look new.
        1 => (1_u64..4).prop_map(|turns| turns * 65_536 * 10 * MILLI),
    ];
    prop_oneof![
        30 => told().prop_map(Step::Call),
        15 => (0_u64..100).prop_map(|drawn| Step::Start { drawn }),
        15 => (any::<usize>(), told()).prop_map(|(which, told)| Step::End { which, told }),
        5 => (any::<usize>(), told()).prop_map(|(which, told)| Step::Note { which, told }),
        20 => wait.prop_map(Step::Wait),
        1 => forced.prop_map(Step::Force),
    ]
}

fn percent() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![2 => Just(None), 3 => prop_oneof![Just(50_u64), 1_u64..=100].prop_map(Some)]
}

fn config() -> impl Strategy<Value = ModelConfig> {
    let consecutive = prop_oneof![1 => Just(None), 1 => (1_u32..8).prop_map(Some)];
    let calls = prop_oneof![
        1 => Just(None),
        2 => (1_usize..25, percent(), percent()).prop_map(Some)
    ];
    let time = prop_oneof![
        1 => Just(None),
        2 => (Just(150 * MILLI), percent(), percent()).prop_map(Some)
    ];
    let opening = (0..200 * MILLI, 0..500 * MILLI, 1_u64..4);
    let probing = (
        1_usize..4,
        1_usize..5,
        1..60 * MILLI,
        prop_oneof![Just(0), 1..300 * MILLI],
    );
    (consecutive, calls, time, 1_usize..12, opening, probing).prop_map(
        |(consecutive, calls, time, minimum_calls, opening, probing)| ModelConfig {
            consecutive,
            calls,
            time,
            minimum_calls: minimum_calls.min(calls.map_or(usize::MAX, |(size, ..)| size)),
            open_for: opening.0,
            max_open_for: opening.1,
            growth: opening.2,
            probes: probing.0,
            successes_to_close: probing.1,
            probe_limit: probing.2,
            ramp: probing.3,
            retry_after: 20 * MILLI,
        },
    )
}

fn machine(config: &ModelConfig) -> Machine {
    let share = |percent: u64| Share::new("test", percent as f64 / 100.0).unwrap();
    Machine::new(Config {
        consecutive: config.consecutive,
        calls: config.calls.map(|(size, failed, slow)| WindowConfig {
            size: u32::try_from(size).unwrap(),
            failed: failed.map(share),
            slow: slow.map(share),
        }),
        time: config.time.map(|(size, failed, slow)| WindowConfig {
            size: Duration::from_nanos(size),
            failed: failed.map(share),
            slow: slow.map(share),
        }),
        minimum_calls: Some(u32::try_from(config.minimum_calls).unwrap()),
        slow_after: None,
        open_for: Duration::from_nanos(config.open_for),
        jitter: 0.0,
        growth: config.growth as f64,
        max_open_for: Duration::from_nanos(config.max_open_for),
        probes: u32::try_from(config.probes).unwrap(),
        successes_to_close: u32::try_from(config.successes_to_close).unwrap(),
        probe_limit: Duration::from_nanos(config.probe_limit),
        ramp: Some(Duration::from_nanos(config.ramp)),
        retry_after: Duration::from_nanos(config.retry_after),
        ..Config::default()
    })
}

/// What the handle does at a glance.
fn admit(machine: &Machine) -> Option<Entry> {
    let word = machine.word();
    word.is_plainly_closed().then_some(Entry::of(word))
}

fn outcome(told: Told) -> Outcome {
    match told {
        Told::Good { slow } => Outcome::Success { slow },
        Told::Bad { slow, hint } => Outcome::Failure {
            slow,
            hint: hint.map(Duration::from_nanos),
        },
        Told::GoneSlow => Outcome::AbandonedSlow,
        Told::Nothing => Outcome::Nothing,
    }
}

fn mode(mode: ModelMode) -> Mode {
    match mode {
        ModelMode::Closed => Mode::Closed,
        ModelMode::Ramping => Mode::Ramping,
        ModelMode::Open => Mode::Open,
        ModelMode::HalfOpen => Mode::HalfOpen,
        ModelMode::ForcedOpen => Mode::ForcedOpen,
        ModelMode::ForcedClosed => Mode::ForcedClosed,
        ModelMode::MetricsOnly => Mode::MetricsOnly,
    }
}

/// Both, side by side, and what the history has met.
struct Pair {
    model: Model,
    machine: Machine,
    now: u64,
    calls: Vec<(Ticket, Entry)>,
    met: BTreeMap<&'static str, u64>,
    has_calls_window: bool,
    has_time_window: bool,
}

impl Pair {
    fn new(config: &ModelConfig) -> Self {
        Self {
            model: Model::new(config.clone()),
            machine: machine(config),
            now: 0,
            calls: Vec::new(),
            met: BTreeMap::new(),
            has_calls_window: config.calls.is_some(),
            has_time_window: config.time.is_some(),
        }
    }

    fn moment(&self) -> Moment {
        Moment::from_nanos(self.now)
    }

    /// What the handle asks before it leaves a success alone.
    fn changes_nothing(&self, entry: Entry) -> bool {
        let holds = !self.has_calls_window || self.machine.holds_good_calls(entry);
        entry.is_plainly_closed() && !self.has_time_window && holds && self.machine.has_no_streak()
    }

    fn meet(&mut self, what: &'static str) {
        self.met.insert(what, 1);
    }

    fn meet_event(&mut self, event: Option<Event>) {
        match event {
            Some(Event::Opened { reopened: 0, .. }) => self.meet("opened"),
            Some(Event::Opened { .. }) => self.meet("opened again"),
            Some(Event::HalfOpened { .. }) => self.meet("half-opened"),
            Some(Event::Closed { .. }) => self.meet("closed again"),
            Some(Event::Forced { .. }) => self.meet("forced"),
            _ => {}
        }
    }

    fn start(&mut self, drawn: u64) -> Option<(Ticket, Entry)> {
        // Off the whole percents, so that no share is met exactly.
        let draw = (drawn * 1_000_000 + OFF_PERCENT) * (u64::MAX / 100_000_000);
        let moment = self.moment();
        // As the handle does: at a glance, then by the clock, then under the lock.
        let (entry, event) = if let Some(entry) = admit(&self.machine) {
            (Ok(entry), None)
        } else if let Some(wait) = self.machine.refusal(moment) {
            (Err(wait), None)
        } else {
            let admission = self.machine.admit_slowly(moment, || draw);
            (admission.entry, admission.event)
        };
        let ticket = self.model.call(self.now, drawn * 1_000_000 + OFF_PERCENT);
        let refused_in = self.model.mode;
        self.meet_event(event);
        match (ticket, entry) {
            (Ok(ticket), Ok(entry)) => Some((ticket, entry)),
            (Err(expected), Err(wait)) => {
                assert_eq!(wait, expected, "the time to come back");
                self.meet(match refused_in {
                    ModelMode::Open => "refused while open",
                    ModelMode::HalfOpen => "refused while half-open",
                    ModelMode::Ramping => "refused on a ramp",
                    _ => "refused by force",
                });
                None
            }
            (ticket, entry) => panic!("the model says {ticket:?}, the machine {entry:?}"),
        }
    }

    fn end(&mut self, (ticket, entry): (Ticket, Entry), told: Told) {
        let (now, outcome) = (self.moment(), outcome(told));
        let event = match entry.mode() {
            Mode::HalfOpen => self.machine.settle_probe(entry, outcome, now, 0),
            Mode::Closed | Mode::Ramping | Mode::MetricsOnly => {
                let quick_success = outcome == Outcome::Success { slow: false };
                if quick_success && self.changes_nothing(entry) {
                    self.meet("left as it was");
                    None
                } else {
                    let cause = self.machine.record(entry, outcome, now);
                    cause.and_then(|cause| {
                        self.machine.trip(entry, cause, outcome.hint(), now, || 0)
                    })
                }
            }
            _ => None,
        };
        self.model.end(ticket, told, self.now);
        self.meet_event(event);
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Wait(time) => self.now += time,
            Step::Start { drawn } => {
                let call = self.start(drawn);
                self.calls.extend(call);
            }
            Step::Call(told) => {
                if let Some(call) = self.start(0) {
                    self.end(call, told);
                }
            }
            Step::End { which, told } if !self.calls.is_empty() => {
                let call = self.calls.swap_remove(which % self.calls.len());
                self.end(call, told);
            }
            Step::Note { which, told } if !self.calls.is_empty() => {
                let (ticket, entry) = self.calls[which % self.calls.len()];
                if entry.is_probe() {
                    let event = self.machine.note(entry, outcome(told), self.moment(), 0);
                    self.model.note(ticket, told, self.now);
                    self.meet_event(event);
                }
            }
            Step::Force(forced) => {
                let event = self.machine.force(mode(forced), self.moment());
                self.model.force(forced);
                self.meet_event(Some(event));
            }
            Step::End { .. } | Step::Note { .. } => {}
        }
    }

    fn compare(&mut self) {
        let figures = self.machine.figures(self.moment());
        assert_eq!(figures.mode, mode(self.model.mode), "the state");
        assert_eq!(
            figures.generation, self.model.period,
            "the transitions so far"
        );
        assert_eq!(
            figures.probes_in_flight,
            self.model.probes_in_flight(),
            "the probes"
        );
        if matches!(
            figures.mode,
            Mode::Closed | Mode::Ramping | Mode::MetricsOnly
        ) {
            assert_eq!(
                figures.consecutive_failures,
                self.model.streak(),
                "the streak"
            );
        }
        if self.model.late_probes > 0 {
            self.meet("a probe at its limit");
        }
    }
}

/// Everything that at least one history in a hundred must have met, or the test proves too little.
const TO_BE_MET: [&str; 11] = [
    "opened",
    "opened again",
    "half-opened",
    "closed again",
    "forced",
    "refused while open",
    "refused while half-open",
    "refused on a ramp",
    "refused by force",
    "a probe at its limit",
    "left as it was",
];

// proves: CB-1, CB-2, CB-3, CB-4, CB-5, CB-7, CB-8
#[test]
fn the_machine_agrees_with_the_naive_model_on_every_history() {
    let cases = deep(2_000_u32, 200_000);
    let seed = seed();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed.to_le_bytes(); 4].concat());
    let settings = RunConfig {
        cases,
        failure_persistence: None,
        ..RunConfig::default()
    };
    let met: RefCell<BTreeMap<&str, u64>> = RefCell::default();
    let mut runner = TestRunner::new_with_rng(settings, rng);
    let histories = (config(), prop::collection::vec(step(), 1..200));
    let outcome = runner.run(&histories, |(config, steps)| {
        let mut pair = Pair::new(&config);
        for step in &steps {
            pair.step(step);
            pair.compare();
        }
        let mut met = met.borrow_mut();
        pair.met
            .into_iter()
            .for_each(|(what, count)| *met.entry(what).or_default() += count);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("seed {seed}: {error}");
    }
    let met = met.into_inner();
    println!("{cases} histories met: {met:?}");
    for what in TO_BE_MET {
        let times = met.get(what).copied().unwrap_or(0);
        assert!(
            times * 100 >= u64::from(cases),
            "{what}: only {times} of {cases} histories"
        );
    }
}
