use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

const BOUNDS: Bounds = Bounds {
    entries: 3,
    bytes: 10,
    fresh: Duration::from_secs(2),
    stale: Duration::from_secs(5),
};

/// The naive model: what was put, the oldest first.
#[derive(Default)]
struct Model(Vec<(u8, u32, usize, Instant)>);

impl Model {
    fn put(&mut self, key: u8, value: u32, bytes: usize, now: Instant) {
        self.0
            .retain(|kept| kept.0 != key && now - kept.3 < BOUNDS.stale);
        if bytes > BOUNDS.bytes {
            return;
        }
        self.0.push((key, value, bytes, now));
        let size =
            |kept: &[(u8, u32, usize, Instant)]| kept.iter().map(|kept| kept.2).sum::<usize>();
        while self.0.len() > BOUNDS.entries || size(&self.0) > BOUNDS.bytes {
            self.0.remove(0);
        }
    }

    fn get(&self, key: u8, now: Instant) -> Option<(u32, bool)> {
        let kept = self.0.iter().find(|kept| kept.0 == key)?;
        let age = now - kept.3;
        (age < BOUNDS.stale).then_some((kept.1, age < BOUNDS.fresh))
    }
}

proptest! {
    #[test]
    fn it_keeps_what_the_model_keeps(steps in prop::collection::vec((0_u8..6, 0_usize..13, 0_u32..3, any::<bool>()), 1..80)) {
        let (mut store, mut model) = (Store::new(BOUNDS), Model::default());
        let mut now = Instant::now();
        for (number, (key, bytes, seconds, puts)) in (0_u32..).zip(steps) {
            now += seconds * SECOND;
            if puts {
                store.put(key, number, bytes, now);
                model.put(key, number, bytes, now);
                let size = model.0.iter().fold((0, 0), |size, kept| (size.0 + 1, size.1 + kept.2));
                prop_assert_eq!(store.size(), size);
            }
            for key in 0..6 {
                let found = store.get(&key, now).map(|found| (found.value, found.fresh));
                prop_assert_eq!(found, model.get(key, now));
            }
        }
    }
}

#[test]
fn one_is_sent_for_what_is_not_fresh_any_more_and_the_others_get_it() {
    let start = Instant::now();
    let mut store = Store::new(BOUNDS);
    assert_eq!(
        store.first(&1, start),
        (First::Ask, false),
        "nothing is kept"
    );
    store.put(1, "a", 1, start);
    let serves = |first: (First<&str>, bool)| matches!(first, (First::Serve(_), false));
    assert!(serves(store.first(&1, start + SECOND)));
    let later = start + 3 * SECOND;
    assert_eq!(store.first(&1, later), (First::Ask, true));
    assert!(serves(store.first(&1, later)) && serves(store.first(&1, later)));
    // It comes back with nothing: the next is sent.
    store.is_back(&1);
    assert_eq!(store.first(&1, later), (First::Ask, true));
    // It comes back with another.
    store.put(1, "b", 1, later);
    assert!(serves(store.first(&1, later + SECOND)));
    assert_eq!(store.first(&1, later + 3 * SECOND), (First::Ask, true));
    assert_eq!(
        store.first(&1, later + 5 * SECOND),
        (First::Ask, false),
        "too old"
    );
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
        store.put(1, (), 1, now);
        assert_eq!(store.size(), (0, 0));
    }
}
