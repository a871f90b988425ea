#![expect(clippy::unwrap_used, reason = "helpers of tests may fail a test")]

use buttress_sync::Random;
use buttress_testkit::{deep, seed};

use super::*;
use crate::CensoredHistogram;

/// How often something is added in a history.
const STEPS: u64 = 40;

fn ms(millis: u32) -> Duration {
    Duration::from_millis(millis.into())
}

fn snapshot(samples: &[(Duration, bool)]) -> CensoredSnapshot {
    let histogram = CensoredHistogram::new();
    for &(duration, completed) in samples {
        if completed {
            histogram.record(duration);
        } else {
            histogram.record_censored(duration);
        }
    }
    histogram.drain()
}

fn some(count: usize) -> CensoredSnapshot {
    snapshot(&vec![(ms(5), true); count])
}

/// A list of samples with the times they were added at, of which nothing is ever taken away.
#[derive(Debug)]
struct Model {
    others: u32,
    width: Duration,
    least: u32,
    samples: Vec<(Duration, (Duration, bool))>,
    now: Duration,
}

/// What the histories met: why the oldest sample that must be kept must be, and why older ones may be.
#[derive(Debug, Default)]
struct Met {
    kept_as_young: u64,
    kept_for_the_number: u64,
    beside_as_near: u64,
    beside_as_few: u64,
    nothing_beside: u64,
    forgot_several: u64,
}

impl Model {
    /// Where the samples begin that are kept for certain.
    fn must(&self, met: &mut Met) -> usize {
        let reach = self.width * self.others;
        let young = self
            .samples
            .partition_point(|(added, _)| self.now - *added >= reach);
        let number = (self.least * self.others) as usize;
        let last = self.samples.len().saturating_sub(number);
        met.kept_as_young += u64::from(young < last);
        met.kept_for_the_number += u64::from(last < young);
        young.min(last)
    }

    /// Whether these samples, up to the second place, are of more than one slot for certain.
    fn are_apart(&self, from: usize, to: usize) -> bool {
        let mut samples = self.samples.iter().take(to).skip(from);
        let count = samples.len();
        let (first, last) = (samples.next(), samples.next_back());
        let span = first.zip(last).map(|(first, last)| last.0 - first.0);
        count > 2 * self.least as usize && span.is_some_and(|span| span > self.width * 2)
    }

    /// Checks that the samples after the first `forgotten` are those that the documentation promises.
    fn check(&self, forgotten: usize, met: &mut Met) {
        let must = self.must(met);
        assert!(
            forgotten <= must,
            "{must} may go, not {forgotten}: {self:?}"
        );
        let added = |place: usize| self.samples.get(place).map(|&(added, _)| added);
        let Some(oldest) = added(must) else {
            assert_eq!(forgotten, must, "kept for nothing: {self:?}");
            return;
        };
        // What came at the same time is as old.
        let before = self.samples.partition_point(|&(added, _)| added < oldest);
        let beside = before.saturating_sub(forgotten);
        let since = added(forgotten).map_or(Duration::ZERO, |first| oldest - first);
        let (is_near, is_few) = (since < self.width, beside < self.least as usize);
        met.nothing_beside += u64::from(beside == 0);
        met.beside_as_near += u64::from(beside > 0 && !is_few);
        met.beside_as_few += u64::from(beside > 0 && !is_near);
        assert!(
            beside == 0 || is_near || is_few,
            "{beside} kept needlessly, {since:?} older, after {forgotten}: {self:?}"
        );
    }
}

fn below(random: &Random, limit: u32) -> u32 {
    u32::try_from(random.next_u64() % u64::from(limit)).unwrap()
}

/// Silence of every length: none, some, about a slot, about all, for ever.
fn pause(random: &Random) -> Duration {
    ms(match below(random, 12) {
        0 => 0,
        1..=5 => below(random, 30),
        6..=8 => below(random, 300),
        9 => 100 * below(random, 4),
        10 => below(random, 1000),
        _ => below(random, 100_000),
    })
}

fn samples(random: &Random) -> Vec<(Duration, bool)> {
    let count = match below(random, 8) {
        0 => 0,
        1..=4 => below(random, 4),
        5 | 6 => below(random, 20),
        _ => below(random, 100),
    };
    let any = |_| (ms(1 << below(random, 12)), below(random, 4) > 0);
    (0..count).map(any).collect()
}

fn play<const SLOTS: usize>(random: &Random, met: &mut Met) {
    let mut model = Model {
        others: Horizon::<SLOTS>::OTHERS,
        width: ms(100 * below(random, 3)),
        least: below(random, 24),
        samples: Vec::new(),
        now: Duration::ZERO,
    };
    let mut horizon = Horizon::<SLOTS>::new(model.width, model.least);
    let mut forgotten = 0;
    for _ in 0..STEPS {
        let new = samples(random);
        // A clock that was read before the last one was changes nothing.
        let early = ms(if below(random, 10) == 0 { 200 } else { 0 });
        if early.is_zero() {
            model.now += pause(random);
        }
        let added = new.iter().map(|&sample| (model.now, sample));
        model.samples.extend(added);
        horizon.add(model.now.saturating_sub(early), &snapshot(&new));

        let sum = horizon.sum();
        let now_forgotten = model.samples.len() - usize::try_from(sum.count()).unwrap();
        let kept = model.samples.iter().skip(now_forgotten);
        let kept: Vec<_> = kept.map(|&(_, sample)| sample).collect();
        assert_eq!(sum, snapshot(&kept), "not the latest: {model:?}");
        assert!(now_forgotten >= forgotten, "came back: {model:?}");
        model.check(now_forgotten, met);
        met.forgot_several += u64::from(model.are_apart(forgotten, now_forgotten));
        forgotten = now_forgotten;
    }
}

#[test]
fn it_keeps_what_it_promises_to_and_nothing_else() {
    let random = Random::seeded(seed());
    let mut met = Met::default();
    let histories = deep(300, 10_000);
    for _ in 0..histories {
        match below(&random, 4) {
            0 => play::<2>(&random, &mut met),
            1 => play::<3>(&random, &mut met),
            2 => play::<5>(&random, &mut met),
            _ => play::<8>(&random, &mut met),
        }
    }
    println!("{met:?}");
    let all = [
        met.kept_as_young,
        met.kept_for_the_number,
        met.beside_as_near,
        met.beside_as_few,
        met.nothing_beside,
        met.forgot_several,
    ];
    let least = histories * STEPS / 100;
    assert!(all.into_iter().all(|times| times > least), "{met:?}");
}

#[test]
fn steady_traffic_is_kept_for_its_time() {
    let mut horizon = Horizon::<3>::new(ms(1000), 17);
    for tick in 0..1000 {
        horizon.add(ms(100) * tick, &some(20));
        let kept = horizon.sum().count();
        let full = 20 * (u64::from(tick) + 1);
        assert!(
            kept >= full.min(20 * 20) && kept <= full.min(20 * 30),
            "{kept}"
        );
    }
}

#[test]
fn after_a_silence_the_old_go_as_soon_as_enough_new_ones_came() {
    let mut horizon = Horizon::<3>::new(ms(1000), 17);
    // The last slot begins at 9 s and has 10 000, the others are over.
    (0..100).for_each(|tick| horizon.add(ms(100) * tick, &some(1000)));
    let hour = ms(3_600_000);
    horizon.add(hour, &CensoredSnapshot::new());
    assert_eq!(horizon.sum().count(), 10_000);
    horizon.add(hour, &some(33));
    assert_eq!(horizon.sum().count(), 10_033);
    horizon.add(hour, &some(1));
    assert_eq!(horizon.sum().count(), 34);
}

#[test]
fn few_are_kept_however_old_they_are() {
    let mut horizon = Horizon::<5>::new(ms(6000), 20);
    for minute in 0..1000 {
        horizon.add(ms(60_000) * minute, &some(1));
        let kept = horizon.sum().count();
        let all = u64::from(minute) + 1;
        assert!(kept >= all.min(80) && kept <= all.min(100), "{kept}");
    }
}

#[test]
fn what_is_cleared_is_gone_and_time_goes_on() {
    let mut horizon = Horizon::<2>::new(ms(100), 1);
    horizon.add(ms(500), &some(3));
    horizon.clear();
    assert_eq!(horizon.sum(), CensoredSnapshot::new());
    horizon.add(ms(100), &some(1));
    // As of 500 ms, and so too young for another 100 ms to be forgotten.
    assert_eq!(horizon.sum().count(), 1);
    horizon.add(ms(599), &CensoredSnapshot::new());
    horizon.add(ms(600), &some(2));
    assert_eq!(horizon.sum().count(), 2);
}

#[test]
fn any_time_width_and_number_are_safe() {
    for width in [Duration::ZERO, ms(1), Duration::MAX] {
        for least in [0, 1, u32::MAX] {
            let mut horizon = Horizon::<3>::new(width, least);
            for now in [Duration::MAX, Duration::ZERO, Duration::MAX] {
                horizon.add(now, &some(2));
                let keeps_nothing = width == Duration::ZERO && least == 0;
                assert_eq!(horizon.sum().count() == 0, keeps_nothing);
            }
        }
    }
}

#[test]
fn its_debug_form_says_what_matters() {
    let horizon = Horizon::<2>::new(ms(100), 7);
    let text = format!("{horizon:?}");
    let start =
        "Horizon { now: 0ns, width: 100ms, least: 7, kept: CensoredSnapshot { completed: 0,";
    assert!(text.starts_with(start), "{text}");
}
