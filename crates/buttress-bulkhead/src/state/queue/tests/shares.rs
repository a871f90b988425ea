//! What each class gets of the grants, in every window at once.

use std::time::Duration;

use buttress_core::Priority;
use buttress_sync::Random;
use buttress_testkit::{deep, seed};
use tokio::time::Instant;

use super::super::{Call, Key, PerClass, Queue, Terms};

const CLASSES: usize = Priority::ALL.len();

type Percents = [i64; CLASSES];

/// A queue before one slot that is free again and again.
struct Line {
    queue: Queue<()>,
    now: Instant,
    /// Who waits, the first to come first.
    waiting: [Vec<Key>; CLASSES],
}

impl Line {
    fn new(percents: Percents) -> Self {
        let shares = |class: Priority| u32::try_from(percents[class as usize]).unwrap();
        let terms = Terms {
            capacity: 1_000,
            caps: PerClass::from_fn(|_| 1_000),
            shares: PerClass::from_fn(shares),
            patience: Duration::from_secs(1),
        };
        Self {
            queue: Queue::new(terms),
            now: Instant::now(),
            waiting: Default::default(),
        }
    }

    fn join(&mut self, class: usize) {
        let call = Call {
            priority: Priority::ALL[class],
            joined: self.now,
            limit: self.now + Duration::from_secs(1),
            deadline: None,
        };
        let (key, turned_out) = self.queue.join(call, ()).unwrap();
        assert!(turned_out.is_none(), "there is room for all");
        self.waiting[class].push(key);
    }

    fn leave(&mut self, class: usize) {
        for key in self.waiting[class].drain(..) {
            assert!(self.queue.leave(key).is_some());
        }
    }

    /// Grants a slot, which is taken up at once.
    fn grant(&mut self) -> usize {
        let key = self.queue.next(true).unwrap();
        let class = self.queue.call(key).unwrap().priority as usize;
        assert_eq!(self.waiting[class].remove(0), key, "the first of its class");
        self.queue.grant(key, true, self.now);
        assert!(self.queue.take_up(key).is_some());
        class
    }

    fn keep(&mut self, class: usize, backlog: usize) {
        while self.waiting[class].len() < backlog {
            self.join(class);
        }
    }
}

/// Looks at all windows of grants that end now, for a class that gets `percent` of them.
///
/// The promise `count ≥ ⌊s·G⌋ − 1` for the G grants after `a`, up to `b`, is `100·count + 200 > percent·G`; with
/// `level(x) = 100·count(up to x) − percent·x` that is `level(b) + 200 > level(a)`, for the highest `level(a)` as for all.
struct Windows {
    percent: i64,
    level: i64,
    highest: i64,
    /// The least that was left before the promise would have been broken.
    tightest: i64,
}

impl Windows {
    fn new(percent: i64) -> Self {
        Self {
            percent,
            level: 0,
            highest: 0,
            tightest: i64::MAX,
        }
    }

    fn see(&mut self, was_granted: bool) {
        self.level += if was_granted { 100 } else { 0 } - self.percent;
        let left = self.level + 200 - self.highest;
        self.tightest = self.tightest.min(left);
        self.highest = self.highest.max(self.level);
    }

    fn is_kept(&self) -> bool {
        self.tightest > 0
    }
}

/// All classes always wait. Tells how tight it became for those who have a share.
fn run_with_all_waiting(percents: Percents, grants: usize) -> i64 {
    let mut line = Line::new(percents);
    let mut windows = percents.map(Windows::new);
    for grant in 0..grants {
        // Two of each, so that the class of the one that goes still waits.
        (0..CLASSES).for_each(|class| line.keep(class, 2));
        let granted = line.grant();
        for (class, windows) in windows.iter_mut().enumerate() {
            windows.see(class == granted);
            assert!(
                windows.is_kept(),
                "class {class} of {percents:?} at grant {grant}"
            );
        }
    }
    let shared = windows.iter().filter(|windows| windows.percent > 0);
    shared
        .map(|windows| windows.tightest)
        .min()
        .unwrap_or(i64::MAX)
}

/// Shares that are together at most half of the grants, and often exactly that.
fn random_percents(random: &Random) -> Percents {
    let mut left = if random.next_u64().is_multiple_of(2) {
        50
    } else {
        draw(random, 51)
    };
    let mut percents = [0; CLASSES];
    let first = draw(random, CLASSES as i64);
    for step in 0..CLASSES {
        let class = (usize::try_from(first).unwrap() + step) % CLASSES;
        let is_last = step == CLASSES - 1;
        percents[class] = if is_last {
            left
        } else {
            draw(random, left + 1)
        };
        left -= percents[class];
    }
    percents
}

fn draw(random: &Random, below: i64) -> i64 {
    i64::try_from(random.next_u64() % u64::try_from(below).unwrap()).unwrap()
}

// proves: PB-5
#[test]
fn every_class_gets_its_share_of_any_grants_in_a_row() {
    let tightest = run_with_all_waiting([5, 5, 5, 5, 0], 100_000);
    println!("with the default shares {tightest} % of a grant were left");
}

// proves: PB-5
#[test]
fn any_shares_up_to_half_of_the_grants_are_kept() {
    let random = Random::seeded(seed());
    let mut tightest = i64::MAX;
    for _ in 0..deep(200, 5_000) {
        let percents = random_percents(&random);
        tightest = tightest.min(run_with_all_waiting(percents, 2_000));
    }
    println!("{tightest} % of a grant were left");
    assert!(
        tightest <= 100,
        "no history came within a grant of the promise"
    );
}

/// How a class that is not always there comes and goes.
#[derive(Clone, Copy)]
struct Habit {
    /// How many wait while it is there; a single one leaves its class empty when it goes.
    backlog: usize,
    /// How likely it comes, and goes, between two grants, in percent.
    comes: i64,
    goes: i64,
}

impl Habit {
    fn random(random: &Random) -> Self {
        Self {
            backlog: usize::try_from(1 + draw(random, 3)).unwrap(),
            comes: draw(random, 101),
            goes: draw(random, 101) / (1 + draw(random, 20)),
        }
    }
}

/// One class always waits, and the others come and go. Tells how tight it became.
fn run_with_one_waiting(percents: Percents, grants: usize, random: &Random) -> i64 {
    let always = usize::try_from(draw(random, CLASSES as i64)).unwrap();
    let habits = [(); CLASSES].map(|()| Habit::random(random));
    let mut line = Line::new(percents);
    let mut windows = Windows::new(percents[always]);
    for grant in 0..grants {
        for (class, habit) in habits
            .iter()
            .enumerate()
            .filter(|(class, _)| *class != always)
        {
            let chance = draw(random, 100);
            if line.waiting[class].is_empty() && chance < habit.comes {
                line.keep(class, habit.backlog);
            } else if chance < habit.goes {
                line.leave(class);
            } else if !line.waiting[class].is_empty() {
                line.keep(class, habit.backlog);
            }
        }
        line.keep(always, 2);
        windows.see(line.grant() == always);
        assert!(
            windows.is_kept(),
            "class {always} of {percents:?} at grant {grant}"
        );
    }
    if percents[always] > 0 {
        windows.tightest
    } else {
        i64::MAX
    }
}

// proves: PB-5
#[test]
fn a_class_that_always_waits_gets_its_share_however_others_come_and_go() {
    let random = Random::seeded(seed());
    let mut tightest = i64::MAX;
    for _ in 0..deep(200, 5_000) {
        let percents = random_percents(&random);
        tightest = tightest.min(run_with_one_waiting(percents, 2_000, &random));
    }
    println!("{tightest} % of a grant were left");
    assert!(
        tightest <= 100,
        "no history came within a grant of the promise"
    );
}

// proves: PB-4, PB-5
#[test]
fn with_the_default_shares_each_lower_class_has_one_of_twenty_grants() {
    let mut line = Line::new([5, 5, 5, 5, 0]);
    let mut granted = Vec::new();
    for _ in 0..100 {
        (0..CLASSES).for_each(|class| line.keep(class, 2));
        granted.push(line.grant());
    }
    // All four have earned a grant at once, and the higher goes first.
    let twenty = [[3, 2, 1, 0].as_slice(), &[4; 16]].concat();
    let expected = [[4; 19].as_slice(), &twenty.repeat(5)].concat();
    assert_eq!(granted, expected[..100]);
}

// proves: PB-5
#[test]
fn a_class_that_leaves_saves_nothing_up() {
    let mut line = Line::new([0, 0, 0, 50, 0]);
    let grant = |line: &mut Line| {
        line.keep(4, 2);
        line.grant()
    };
    line.keep(3, 5);
    assert_eq!([(); 4].map(|()| grant(&mut line)), [4, 3, 4, 3]);
    assert_eq!(grant(&mut line), 4, "half a grant is earned");
    line.leave(3);
    line.keep(3, 5);
    assert_eq!(
        [(); 4].map(|()| grant(&mut line)),
        [4, 3, 4, 3],
        "from the start"
    );
}

// proves: PB-5
#[test]
fn of_two_that_are_owed_a_grant_the_one_with_less_time_goes_first() {
    // At the twentieth grant the lower has earned its fifth, and has four more grants before it has earned a sixth; the higher
    // has earned its fourth, and has five more.
    let mut line = Line::new([25, 20, 0, 0, 0]);
    let mut granted = Vec::new();
    for _ in 0..22 {
        for class in [0, 1, 4] {
            line.keep(class, 2);
        }
        granted.push(line.grant());
    }
    assert_eq!(granted[14..], [1, 0, 4, 4, 4, 0, 1, 4]);
}

// proves: PB-5
#[test]
fn a_grant_of_a_reserved_slot_counts_for_nobody() {
    let mut line = Line::new([50, 0, 0, 0, 0]);
    line.keep(0, 8);
    line.keep(4, 8);
    for _ in 0..4 {
        let key = line.queue.next(false).unwrap();
        assert_eq!(key, line.waiting[4].remove(0), "the top class alone");
        line.queue.grant(key, false, line.now);
    }
    assert_eq!([(); 4].map(|()| line.grant()), [4, 0, 4, 0]);
}
