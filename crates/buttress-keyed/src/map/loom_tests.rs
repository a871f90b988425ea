//! Every interleaving of three threads, two preemptions: two shards, and room for fewer keys than come.

use loom::sync::Arc;
use loom::thread;

use super::*;

type Counts = KeyedMap<u64, u64>;

fn model(test: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(test);
}

fn count(map: &Counts, key: u64) {
    map.with(&key, || 0, |count| *count == 0, |count| *count += 1);
}

/// All steps that were done, wherever.
fn sum(map: &Counts) -> u64 {
    let mut sum = map.overflow(|count| *count).unwrap_or(0);
    map.for_each(|_, count| sum += *count);
    sum
}

fn len(map: &Counts) -> usize {
    let mut len = 0;
    map.for_each(|_, _| len += 1);
    len
}

/// Runs one thread for each of the first, and the last here.
fn race(map: &Arc<Counts>, keys: [&'static [u64]; 3]) {
    let [one, other, mine] = keys.map(|keys| {
        let map = map.clone();
        move || keys.iter().for_each(|key| count(&map, *key))
    });
    let threads = [thread::spawn(one), thread::spawn(other)];
    mine();
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
}

// proves: RL-5, RL-6
#[test]
fn no_step_is_lost_and_no_key_too_many_is_kept() {
    model(|| {
        let map = Arc::new(Counts::seeded(2, 1));
        race(&map, [&[1, 1], &[2], &[3, 1]]);
        assert_eq!(sum(&map), 5);
        assert_eq!(len(&map), 2);
        assert_eq!(map.len(), 2);
    });
}

// proves: RL-6
#[test]
fn an_idle_key_makes_room_for_one_newcomer() {
    model(|| {
        let map = Arc::new(Counts::seeded(2, 1));
        map.with(&9, || 0, |_| false, |_| ());
        count(&map, 8);
        race(&map, [&[1], &[2], &[8]]);
        assert_eq!(map.get(&8, |count| *count), Some(2), "busy, and so kept");
        assert_eq!(map.get(&9, |_| ()), None, "idle, and so found");
        assert_eq!((len(&map), map.len()), (2, 2));
        assert_eq!((sum(&map), map.overflowed()), (4, 1));
    });
}

#[test]
fn the_same_new_key_is_kept_once() {
    model(|| {
        let map = Arc::new(Counts::seeded(4, 1));
        race(&map, [&[1], &[1], &[1]]);
        assert_eq!(map.get(&1, |count| *count), Some(3));
        assert_eq!((len(&map), map.len(), map.overflowed()), (1, 1, 0));
    });
}
