//! Random histories: what holds after every step, whatever came before.

use std::time::Duration;

use buttress_sync::Random;
use buttress_testkit::{deep, seed};
use buttress_timer::Moment;

use crate::state::{Allowance, Climbers, MOST_OF_ALL, Outcome, Rule, State, Trial, Turn};

/// What a history met, so that one that met nothing fails.
#[derive(Debug, Default)]
struct Met {
    steps: u64,
    learned: u64,
    frozen: u64,
    resumed: u64,
    grew: u64,
    shrank: u64,
    explored: u64,
    climbed: u64,
    reached_the_top: u64,
}

/// A machine, the calls under way, and what must be true of it.
struct History<'a> {
    random: &'a Random,
    rule: Rule,
    state: State,
    now: Duration,
    under_way: Vec<(Allowance, Duration)>,
    completed: u64,
    /// The longest call that completed so far.
    longest: Duration,
    /// How long calls take, and how many of a hundred never end, for a while.
    pace: (u64, u64),
}

impl<'a> History<'a> {
    fn new(random: &'a Random) -> Self {
        let floor = Duration::from_millis(random.next_u64() % 30 + 1);
        let rule = Rule {
            quantile: [0.5, 0.9, 0.95, 0.99][(random.next_u64() % 4) as usize],
            factor: 1.0 + (random.next_u64() % 200) as f64 / 100.0,
            min_samples: (random.next_u64() % 150 + 1) as u32,
            floor,
            ceiling: floor + Duration::from_millis(random.next_u64() % 60_000),
        };
        Self {
            random,
            rule,
            state: State::new(rule, random.next_u64()),
            now: Duration::ZERO,
            under_way: Vec::new(),
            completed: 0,
            longest: Duration::ZERO,
            pace: (20, 0),
        }
    }

    fn below(&self, bound: u64) -> u64 {
        self.random.next_u64() % bound
    }

    fn step(&mut self, met: &mut Met) {
        met.steps += 1;
        self.now += Duration::from_micros(self.below(15_000));
        if self.below(400) == 0 {
            self.pace = (
                1 << self.below(12),
                [0, 0, 0, 30, 100][self.below(5) as usize],
            );
        }
        if self.below(2) == 0 && self.under_way.len() < 200 {
            self.begin(met);
        } else if !self.under_way.is_empty() {
            self.end(met);
        }
    }

    fn begin(&mut self, met: &mut Met) {
        let allowed = self.state.allow(Moment::after_start(self.now));
        met.explored += u64::from(allowed.trial == Trial::Explores);
        met.climbed += u64::from(matches!(
            allowed.trial,
            Trial::Climbs(_) | Trial::ClimbsToTheTop(_)
        ));
        met.reached_the_top += u64::from(matches!(allowed.trial, Trial::ClimbsToTheTop(_)));
        assert!(allowed.limit <= self.rule.ceiling, "above the ceiling");
        assert!(
            allowed.limit >= self.state.timeout(),
            "less than the others"
        );
        self.under_way.push((allowed, self.now));
        let climbers = self.under_way.iter().filter(|(allowed, _)| {
            matches!(allowed.trial, Trial::Climbs(_) | Trial::ClimbsToTheTop(_))
        });
        assert!(climbers.count() as u64 <= MOST_OF_ALL);
    }

    fn end(&mut self, met: &mut Met) {
        let index = self.below(self.under_way.len() as u64) as usize;
        let (allowed, _) = self.under_way.swap_remove(index);
        let (usual, hanging) = self.pace;
        let took = Duration::from_micros(usual * (500 + self.below(1500)));
        let outcome = match self.below(20) {
            0 => Outcome::Censored,
            1 => Outcome::Nothing,
            _ if took > allowed.limit || self.below(100) < hanging => Outcome::TimedOut,
            _ => Outcome::Completed,
        };
        let took = took.min(allowed.limit);
        let before = self.state.timeout();
        self.completed += u64::from(outcome == Outcome::Completed);
        if outcome == Outcome::Completed {
            self.longest = self.longest.max(took);
        }
        let now = Moment::after_start(self.now);
        let turn = self.state.settle(allowed.trial, outcome, took, now);
        self.check(before, turn.map(|(turn, _)| turn), met);
    }

    fn check(&self, before: Duration, turn: Option<Turn>, met: &mut Met) {
        let timeout = self.state.timeout();
        assert!(timeout >= self.rule.floor && timeout <= self.rule.ceiling);
        if self.completed < u64::from(self.rule.min_samples) {
            assert_eq!(timeout, self.rule.ceiling, "learned from too few");
            return;
        }
        met.learned += 1;
        met.frozen += u64::from(turn == Some(Turn::Frozen));
        met.resumed += u64::from(turn == Some(Turn::Resumed));
        met.grew += u64::from(timeout > before);
        met.shrank += u64::from(timeout < before);
        // A bucket is told as its middle, at most 1/32 above what is in it.
        let shown = self.longest.mul_f64(self.rule.factor * (1.0 + 1.0 / 32.0));
        let most = shown.max(self.rule.floor).max(before);
        assert!(
            timeout <= most,
            "{timeout:?} grew beyond what was shown: {most:?}"
        );
        if turn == Some(Turn::Frozen) {
            assert_eq!(timeout, before, "what is frozen does not move");
        }
    }
}

// proves: AT-1, AT-2
#[test]
fn the_timeout_keeps_its_bounds_and_grows_only_to_what_completed_calls_have_shown() {
    let random = Random::seeded(seed());
    let mut met = Met::default();
    let steps = deep(200_000, 10_000_000_u64);
    while met.steps < steps {
        let mut history = History::new(&random);
        for _ in 0..10_000 {
            history.step(&mut met);
        }
        for (allowed, _) in std::mem::take(&mut history.under_way) {
            let now = Moment::after_start(history.now);
            history
                .state
                .settle(allowed.trial, Outcome::Censored, Duration::ZERO, now);
        }
        let left = history
            .state
            .climbers
            .load(buttress_sync::atomic::Ordering::Relaxed);
        assert_eq!(Climbers::of(left).all, 0, "every place is given back");
    }
    println!("{met:?}");
    let histories = steps / 10_000;
    for (what, count) in [
        ("learned", met.learned),
        ("frozen", met.frozen),
        ("resumed", met.resumed),
        ("grew", met.grew),
        ("shrank", met.shrank),
        ("explored", met.explored),
        ("climbed", met.climbed),
        ("reached the top", met.reached_the_top),
    ] {
        assert!(
            count * 100 >= histories,
            "{what}: {count} in {histories} histories"
        );
    }
}
