//! What many threads do at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use buttress_histogram::{
    CensoredHistogram, CensoredSnapshot, Histogram, HistogramSnapshot, Horizon,
};
use buttress_testkit::deep;

const THREADS: u64 = 4;

/// Lengths of every kind, some of them in the same bucket.
fn record_round(histogram: &Histogram) {
    (0..1000).for_each(|i| histogram.record(Duration::from_micros(i)));
}

fn after_rounds(rounds: u64) -> HistogramSnapshot {
    let histogram = Histogram::new();
    (0..rounds).for_each(|_| record_round(&histogram));
    histogram.snapshot()
}

#[test]
fn counts_are_exact_once_nothing_runs() {
    let rounds = deep(20, 2000);
    let histogram = Histogram::new();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| (0..rounds).for_each(|_| record_round(&histogram)));
        }
    });
    assert_eq!(histogram.snapshot(), after_rounds(THREADS * rounds));
}

#[test]
fn every_duration_is_drained_exactly_once() {
    let least_drains = deep(100, 10_000);
    let histogram = Histogram::new();
    let enough = AtomicBool::new(false);
    let (mut drained, rounds) = thread::scope(|scope| {
        let record = || record_until(&histogram, &enough);
        let recorders: Vec<_> = (0..THREADS).map(|_| scope.spawn(record)).collect();
        let drained = drain_while_recording(&histogram, least_drains);
        enough.store(true, Ordering::Relaxed);
        let rounds = recorders
            .into_iter()
            .map(|recorder| recorder.join().unwrap());
        (drained, rounds.sum())
    });
    drained.merge(&histogram.drain());
    assert_eq!(drained, after_rounds(rounds));
    assert_eq!(histogram.snapshot(), HistogramSnapshot::new());
}

fn record_until(histogram: &Histogram, enough: &AtomicBool) -> u64 {
    let mut rounds = 0;
    while !enough.load(Ordering::Relaxed) {
        record_round(histogram);
        rounds += 1;
    }
    rounds
}

/// Drains until so many times something was there.
fn drain_while_recording(histogram: &Histogram, least_drains: u32) -> HistogramSnapshot {
    let mut drained = HistogramSnapshot::new();
    let mut drains = 0;
    while drains < least_drains {
        let part = histogram.drain();
        drains += u32::from(part.count() > 0);
        drained.merge(&part);
    }
    drained
}

/// Every third is cut short.
fn record_censored_round(histogram: &CensoredHistogram) {
    for i in 0..1000 {
        let duration = Duration::from_micros(i * i);
        if i % 3 == 0 {
            histogram.record_censored(duration);
        } else {
            histogram.record(duration);
        }
    }
}

#[test]
fn what_is_completed_and_what_is_censored_is_drained_exactly_once() {
    let least_drains = deep(50, 2000);
    let histogram = CensoredHistogram::new();
    let enough = AtomicBool::new(false);
    let record = || {
        let mut rounds = 0_u64;
        while !enough.load(Ordering::Relaxed) {
            record_censored_round(&histogram);
            rounds += 1;
        }
        rounds
    };
    let drain = || {
        let (mut drained, mut drains) = (CensoredSnapshot::new(), 0);
        while drains < least_drains {
            let part = histogram.drain();
            drains += u32::from(part.count() > 0);
            drained.merge(&part);
        }
        drained
    };
    let (mut drained, rounds) = thread::scope(|scope| {
        let recorders: Vec<_> = (0..THREADS).map(|_| scope.spawn(record)).collect();
        // Two that drain share what there is.
        let other = scope.spawn(drain);
        let mut drained = drain();
        drained.merge(&other.join().unwrap());
        enough.store(true, Ordering::Relaxed);
        let rounds = recorders.into_iter().map(|it| it.join().unwrap());
        (drained, rounds.sum())
    });
    drained.merge(&histogram.drain());
    assert_eq!(drained, after_censored_rounds(rounds));
    assert_eq!(histogram.drain(), CensoredSnapshot::new());
}

fn after_censored_rounds(rounds: u64) -> CensoredSnapshot {
    let histogram = CensoredHistogram::new();
    (0..rounds).for_each(|_| record_censored_round(&histogram));
    histogram.drain()
}

#[test]
fn it_has_the_size_that_is_promised() {
    assert_eq!(size_of::<Histogram>(), 4080);
    assert_eq!(size_of::<HistogramSnapshot>(), 4080);
    assert_eq!(size_of::<CensoredHistogram>(), 3296);
    assert_eq!(size_of::<CensoredSnapshot>(), 3296);
}

/// What a limit that follows the traffic needs: one to record into, a short horizon and a long one.
#[test]
fn a_histogram_and_two_horizons_are_within_31_kib() {
    let horizons = [size_of::<Horizon<3>>(), size_of::<Horizon<5>>()];
    assert_eq!(horizons, [10_056, 16_728]);
    assert!(size_of::<CensoredHistogram>() + horizons.iter().sum::<usize>() <= 31 * 1024);
}

#[test]
fn it_can_be_shared() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Histogram>();
    shared::<HistogramSnapshot>();
    shared::<CensoredHistogram>();
    shared::<CensoredSnapshot>();
    shared::<Horizon<3>>();
}
