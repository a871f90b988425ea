use buttress_testkit::deep;
use proptest::prelude::*;

use super::forgotten::LEAST;
use super::*;

const SECOND: Duration = Duration::from_secs(1);

const BOUNDS: Bounds = Bounds {
    entries: 3,
    bytes: 10,
    fresh: Duration::from_secs(2),
    stale: Duration::from_secs(5),
};

/// What a call has put: when it was asked for, in seconds, how old it was then, how long it is fresh, and how old it may get.
#[derive(Clone, Copy, Debug)]
struct Put {
    key: u64,
    value: u32,
    bytes: usize,
    made: i64,
    fresh: i64,
    longest: i64,
}

/// The naive model: what was put, the oldest first, and what was forgotten, likewise. Times are seconds from the start.
#[derive(Default)]
struct Model {
    kept: Vec<Put>,
    forgotten: Vec<(u64, i64)>,
    /// What was forgotten of any key before those.
    before: i64,
}

impl Model {
    fn is_live(put: &Put, now: i64) -> bool {
        now - put.made < 5.min(put.longest) || now == put.made
    }

    fn is_forgotten(&self, put: &Put) -> bool {
        let of_key = self.forgotten.iter().filter(|(key, _)| *key == put.key);
        put.made < self.before || of_key.map(|(_, made)| *made).any(|made| put.made < made)
    }

    fn put(&mut self, put: Put, now: i64) {
        while self
            .kept
            .first()
            .is_some_and(|kept| !Self::is_live(kept, now))
        {
            self.kept.remove(0);
        }
        if self.is_forgotten(&put) {
            return;
        }
        if let Some(place) = self.kept.iter().position(|kept| kept.key == put.key) {
            if self.kept[place].made > put.made {
                return;
            }
            self.kept.remove(place);
        }
        if put.bytes > BOUNDS.bytes || !Self::is_live(&put, now) {
            return;
        }
        self.kept.push(put);
        while self.kept.len() > BOUNDS.entries || self.bytes() > BOUNDS.bytes {
            self.kept.remove(0);
        }
    }

    fn bytes(&self) -> usize {
        self.kept.iter().map(|put| put.bytes).sum()
    }

    fn forget(&mut self, key: u64, made: i64, is_change: bool) {
        if !is_change && self.kept.iter().all(|kept| kept.key != key) {
            return;
        }
        self.kept.retain(|kept| kept.key != key || kept.made > made);
        let of_key = self.forgotten.iter().filter(|(of, _)| *of == key);
        let made = of_key.map(|(_, made)| *made).chain([made]).max().unwrap();
        self.forgotten.retain(|(of, _)| *of != key);
        self.forgotten.push((key, made));
        if self.forgotten.len() > LEAST {
            self.before = self.before.max(self.forgotten.remove(0).1);
        }
    }

    fn get(&self, key: u64, now: i64) -> Option<(u32, bool)> {
        let kept = self.kept.iter().find(|kept| kept.key == key)?;
        let age = now - kept.made;
        Self::is_live(kept, now).then_some((kept.value, age < 2.min(kept.fresh).min(kept.longest)))
    }
}

fn seconds(seconds: i64) -> Duration {
    Duration::from_secs(seconds.unsigned_abs())
}

fn keep(bytes: usize, age: i64, fresh: i64, longest: i64) -> Keep {
    Keep {
        bytes,
        age: seconds(age),
        fresh: seconds(fresh),
        longest: seconds(longest),
    }
}

type Step = (u64, usize, i64, (i64, i64, i64, i64), u8);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let times = (0_i64..4, 0_i64..3, 0_i64..4, 1_i64..9);
    prop::collection::vec((0_u64..6, 0_usize..13, 0_i64..3, times, 0_u8..4), 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(deep(300, 20_000)))]

    // proves: FC-7, FC-9
    #[test]
    fn it_keeps_what_the_model_keeps(steps in steps()) {
        let start = Instant::now() + 10 * SECOND;
        let (mut store, mut model) = (Store::new(BOUNDS), Model::default());
        let mut now = 10;
        let at = |second: i64| start + seconds(second);
        for (number, (key, bytes, later, (ago, age, fresh, longest), what)) in (0_u32..).zip(steps) {
            now += later;
            let asked = now - ago;
            match what {
                0 => {
                    store.forget(key, at(asked), seconds(age), bytes % 2 == 0);
                    model.forget(key, asked - age, bytes % 2 == 0);
                }
                1 => {}
                _ => {
                    store.put(key, Arc::new(number), keep(bytes, age, fresh, longest), at(asked), at(now));
                    model.put(Put { key, value: number, bytes, made: asked - age, fresh, longest }, now);
                }
            }
            prop_assert_eq!(store.size(), (model.kept.len(), model.bytes()));
            for key in 0..6 {
                let held = store.get(key, at(now)).map(|held| (*held.answer, held.fresh));
                prop_assert_eq!(held, model.get(key, now));
            }
        }
    }
}

fn put(store: &mut Store<&'static str>, what: &'static str, asked: Instant, now: Instant) {
    store.put(1, Arc::new(what), Keep::of(1), asked, now);
}

/// What is served, or whether this caller is sent.
fn first(store: &mut Store<&'static str>, now: Instant) -> Result<&'static str, Option<u64>> {
    match store.first(1, now) {
        Next::Serve(held) => Ok(*held.answer),
        Next::Send(number) => Err(Some(number)),
        Next::Ask => Err(None),
    }
}

#[test]
fn one_is_sent_for_what_is_not_fresh_any_more_and_the_others_get_it() {
    let start = Instant::now();
    let mut store = Store::new(BOUNDS);
    assert_eq!(first(&mut store, start), Err(None), "nothing is kept");
    put(&mut store, "a", start, start);
    assert_eq!(first(&mut store, start + SECOND), Ok("a"));
    let later = start + 3 * SECOND;
    let sent = first(&mut store, later).unwrap_err().unwrap();
    assert_eq!(
        (first(&mut store, later), first(&mut store, later)),
        (Ok("a"), Ok("a"))
    );
    // It comes back: the next is sent.
    store.come_back(1, sent);
    let next = first(&mut store, later).unwrap_err().unwrap();
    // What the first has left behind does not send a third.
    store.come_back(1, sent);
    assert_eq!(first(&mut store, later), Ok("a"));
    put(&mut store, "b", later, later);
    store.come_back(1, next);
    assert_eq!(first(&mut store, later + SECOND), Ok("b"));
    assert!(first(&mut store, later + 3 * SECOND).unwrap_err().is_some());
    assert_eq!(first(&mut store, later + 5 * SECOND), Err(None), "too old");
}

// proves: FC-9
#[test]
fn an_answer_that_was_on_its_way_when_its_key_was_forgotten_is_not_kept() {
    let mut store = Store::new(BOUNDS);
    let start = Instant::now();
    put(&mut store, "before", start, start);
    store.forget(1, start + 2 * SECOND, Duration::ZERO, true);
    let late = start + 3 * SECOND;
    put(&mut store, "before, too", start + SECOND, late);
    assert_eq!(first(&mut store, late), Err(None));
    put(&mut store, "after", late, late);
    assert_eq!(first(&mut store, late), Ok("after"));
    // Where more keys were forgotten than can be remembered, nothing that is so old is kept, whatever its key; but whoever asks for what
    // is not there leaves nothing to be remembered.
    let forget_all = |store: &mut Store<_>, is_change| {
        for key in 100..=100 + LEAST as u64 {
            store.forget(key, late, Duration::ZERO, is_change);
        }
    };
    let keep = |store: &mut Store<_>, asked| {
        store.put(9, Arc::new("another"), Keep::of(1), asked, late);
        store.get(9, late).is_some()
    };
    forget_all(&mut store, false);
    assert!(keep(&mut store, start + SECOND));
    forget_all(&mut store, true);
    store.forget(9, start + SECOND, Duration::ZERO, false);
    assert!(!keep(&mut store, start + SECOND));
    assert!(keep(&mut store, late));
}

// proves: FC-9
#[test]
fn an_older_answer_that_comes_later_does_not_replace_a_newer_one() {
    let start = Instant::now();
    let mut store = Store::new(BOUNDS);
    put(&mut store, "newer", start + SECOND, start + SECOND);
    put(&mut store, "older", start, start + SECOND);
    assert_eq!(first(&mut store, start + SECOND), Ok("newer"));
    // Nor does it take it away; one of the same time or later does.
    assert_eq!(store.forget(1, start, Duration::ZERO, true), None);
    assert!(
        store
            .forget(1, start + SECOND, Duration::ZERO, true)
            .is_some()
    );
    assert_eq!(store.size(), (0, 0));
}

#[test]
fn a_store_without_room_keeps_nothing() {
    let now = Instant::now();
    for (entries, bytes) in [(0, 10), (3, 0)] {
        let mut store = Store::new(Bounds {
            entries,
            bytes,
            ..BOUNDS
        });
        store.put(1, Arc::new(()), Keep::of(1), now, now);
        assert_eq!(store.size(), (0, 0));
    }
}

#[test]
fn any_age_is_safe() {
    let now = Instant::now();
    let mut store = Store::new(BOUNDS);
    for age in [Duration::MAX, Duration::ZERO, Duration::MAX] {
        let keep = Keep { age, ..Keep::of(1) };
        store.put(1, Arc::new(()), keep, now, now);
    }
    assert!(store.get(1, now).is_some_and(|held| held.age.is_zero()));
    store.forget(1, now, Duration::MAX, true);
    assert_eq!(store.size().0, 1);
}
