use super::*;
use crate::Histogram;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn recorded(durations: impl IntoIterator<Item = Duration>) -> HistogramSnapshot {
    let histogram = Histogram::new();
    durations
        .into_iter()
        .for_each(|duration| histogram.record(duration));
    histogram.snapshot()
}

fn told(duration: Duration) -> Option<Duration> {
    Some(Bucket::of(duration).middle())
}

#[test]
fn nothing_recorded_has_no_figures() {
    let empty = HistogramSnapshot::new();
    assert_eq!(empty, Histogram::new().snapshot());
    assert_eq!(empty.count(), 0);
    assert_eq!([0.0, 0.5, 1.0].map(|q| empty.quantile(q)), [None; 3]);
    assert_eq!((empty.mean(), empty.max()), (None, None));
}

#[test]
fn a_share_that_is_none_has_no_quantile() {
    let snapshot = recorded([ms(1)]);
    let nonsense = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        -0.1,
        1.1,
        95.0,
        -f64::MIN_POSITIVE,
    ];
    assert_eq!(nonsense.map(|q| snapshot.quantile(q)), [None; 7]);
    for share in [0.0, -0.0, f64::MIN_POSITIVE, 0.5, 1.0_f64.next_down(), 1.0] {
        assert_eq!(snapshot.quantile(share), told(ms(1)), "{share}");
    }
}

#[test]
fn a_quantile_is_of_the_nearest_rank() {
    // So far apart that no two share a bucket.
    let length = |rank: u32| Duration::from_nanos(1000).mul_f64(1.07_f64.powi(rank.cast_signed()));
    let snapshot = recorded((1..=100).map(length));
    for rank in 1..=100 {
        let share = f64::from(rank) / 100.0;
        assert_eq!(snapshot.quantile(share), told(length(rank)), "{share}");
        assert_eq!(
            snapshot.quantile(share - 0.001),
            told(length(rank)),
            "{share}"
        );
    }
    assert_eq!(snapshot.quantile(0.0), told(length(1)));
}

#[test]
fn the_median_of_an_odd_number_is_the_one_in_the_middle() {
    assert_eq!(
        recorded([ms(1), ms(50), ms(2000)]).quantile(0.5),
        told(ms(50))
    );
}

#[test]
fn the_longest_is_never_above_the_maximum() {
    let snapshot = recorded([ms(1), ms(20)]);
    let max = snapshot.max().unwrap();
    assert!(max >= ms(20) && max <= ms(20) * 17 / 16, "{max:?}");
    assert_eq!(
        recorded([Duration::ZERO]).max(),
        Some(Duration::from_nanos(992))
    );
    assert_eq!(recorded([ms(1), Duration::MAX]).max(), Some(Duration::MAX));
}

#[test]
fn the_mean_weighs_each_duration() {
    let snapshot = recorded([ms(10), ms(10), ms(100)]);
    let middles = [ms(10), ms(10), ms(100)].map(|duration| Bucket::of(duration).middle());
    assert_eq!(snapshot.mean(), Some(middles.iter().sum::<Duration>() / 3));
}

#[test]
fn any_duration_is_counted() {
    let any = [
        Duration::ZERO,
        Duration::from_nanos(1),
        ms(1),
        Duration::MAX,
        Duration::MAX / 2,
    ];
    let snapshot = recorded(any);
    assert_eq!(snapshot.count(), 5);
    assert_eq!(snapshot.quantile(0.0), Some(Duration::from_nanos(496)));
    assert_eq!(snapshot.quantile(1.0), told(Duration::MAX));
}

#[test]
fn merged_snapshots_are_as_if_one_had_counted_all() {
    let mut merged = recorded([ms(1), ms(2)]);
    merged.merge(&recorded([ms(2), ms(300)]));
    assert_eq!(merged, recorded([ms(1), ms(2), ms(2), ms(300)]));
    merged.merge(&HistogramSnapshot::new());
    assert_eq!(merged.count(), 4);
}

#[test]
fn counts_stop_at_their_end_and_do_not_wrap() {
    let mut counts = [u64::MAX; Bucket::COUNT];
    counts[0] = 1;
    let mut snapshot = HistogramSnapshot::from_counts(counts);
    snapshot.merge(&recorded([Duration::ZERO, ms(1)]));
    counts[0] = 2;
    assert_eq!(snapshot, HistogramSnapshot::from_counts(counts));
    assert_eq!(snapshot.count(), u64::MAX);
    assert_eq!(snapshot.quantile(1.0), told(Duration::from_micros(1)));
    assert!(snapshot.mean().is_some());
}

#[test]
fn buckets_come_in_order_with_their_counts() {
    let snapshot = recorded([ms(1), ms(20), ms(20)]);
    let met: Vec<_> = snapshot.buckets().filter(|&(_, count)| count > 0).collect();
    assert_eq!(met, [(Bucket::of(ms(1)), 1), (Bucket::of(ms(20)), 2)]);
    assert!(
        snapshot
            .buckets()
            .map(|(bucket, _)| bucket)
            .eq(Bucket::all())
    );
}

#[test]
fn its_debug_form_says_what_matters() {
    let text = format!("{:?}", recorded([Duration::from_micros(1)]));
    assert_eq!(
        text,
        "HistogramSnapshot { count: 1, p50: Some(1.008µs), p95: Some(1.008µs), p99: Some(1.008µs), \
         max: Some(1.024µs) }"
    );
}
