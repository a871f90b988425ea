#![expect(clippy::unwrap_used, reason = "helpers of tests may fail a test")]

use buttress_sync::Random;
use buttress_testkit::{deep, seed};

use super::*;
use crate::{CensoredHistogram, Histogram};

/// Told for everything shorter than the second bucket.
const SHORTEST: Duration = Duration::from_nanos(67_584);

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn recorded(
    completed: impl IntoIterator<Item = Duration>,
    censored: impl IntoIterator<Item = Duration>,
) -> CensoredSnapshot {
    let histogram = CensoredHistogram::new();
    completed.into_iter().for_each(|it| histogram.record(it));
    censored
        .into_iter()
        .for_each(|it| histogram.record_censored(it));
    histogram.drain()
}

fn told(duration: Duration) -> Option<Duration> {
    Some(Bucket::of(duration).middle())
}

/// So far apart that no two share a bucket.
fn far_apart(rank: u32) -> Duration {
    ms(1).mul_f64(1.07_f64.powi(rank.cast_signed()))
}

/// Where the bucket begins that a row counts there.
fn lower(place: usize) -> Duration {
    let (bucket, _) = with_buckets(zeros()).nth(place).unwrap();
    bucket.lower()
}

fn below(random: &Random, limit: u32) -> u32 {
    u32::try_from(random.next_u64() % u64::from(limit)).unwrap()
}

#[test]
fn nothing_recorded_has_no_quantile() {
    let empty = CensoredSnapshot::new();
    assert_eq!(empty, CensoredHistogram::new().drain());
    assert_eq!(empty, CensoredSnapshot::default());
    assert_eq!((empty.completed(), empty.censored()), (0, 0));
    assert_eq!(empty.quantiles([0.0, 0.5, 1.0]), [None; 3]);
}

#[test]
fn a_share_that_is_none_has_no_quantile() {
    let snapshot = recorded([ms(1)], []);
    let nonsense = [f64::NAN, f64::INFINITY, -0.1, 1.1, -f64::MIN_POSITIVE];
    assert_eq!(snapshot.quantiles(nonsense), [None; 5]);
    for share in [0.0, -0.0, f64::MIN_POSITIVE, 0.5, 1.0_f64.next_down(), 1.0] {
        assert_eq!(snapshot.quantile(share), told(ms(1)), "{share}");
    }
}

#[test]
fn completed_and_censored_are_counted_apart() {
    let snapshot = recorded([ms(1), ms(1), Duration::MAX], [ms(1), Duration::ZERO]);
    assert_eq!((snapshot.completed(), snapshot.censored()), (3, 2));
    assert_eq!(snapshot.count(), 5);
}

#[test]
fn what_is_too_short_or_too_long_is_told_as_the_end_of_the_range() {
    let short = [0, 1, 992, 65_535, 65_536, 69_631].map(Duration::from_nanos);
    for duration in short {
        let snapshot = recorded([duration], []);
        assert_eq!(snapshot.quantile(0.5), Some(SHORTEST), "{duration:?}");
    }
    let second = Duration::from_nanos(69_632);
    assert_eq!(recorded([second], []).quantile(0.5), told(second));
    for duration in [Duration::MAX, Duration::from_secs(3711)] {
        let longest = recorded([duration], []).quantile(0.5);
        assert_eq!(longest, Some(Duration::from_nanos(3_710_851_743_744)));
    }
}

#[test]
fn every_length_of_the_range_is_told_within_a_thirty_second() {
    for bucket in Bucket::all().skip(98).take(411) {
        for exact in [bucket.lower(), bucket.upper() - Duration::from_nanos(1)] {
            let told = recorded([exact], []).quantile(1.0).unwrap();
            assert!(told.abs_diff(exact) * 32 <= exact, "{told:?} for {exact:?}");
        }
    }
}

/// Weeks in remission under 6-mercaptopurine (Freireich and others, 1963, as in Gehan, 1965), and what every textbook makes
/// of them: after 6 weeks 18 of 21 are left, after 7 of those 16 of 17, and so on, to 0.448 after 23.
#[test]
fn the_example_of_the_textbooks_comes_out_as_printed() {
    let relapsed = [6, 6, 6, 7, 10, 13, 16, 22, 23].map(far_apart);
    let lost = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35].map(far_apart);
    let snapshot = recorded(relapsed, lost);
    let steps = [
        (6, 18.0 / 21.0, 0.857),
        (7, 16.0 / 17.0, 0.807),
        (10, 14.0 / 15.0, 0.753),
        (13, 11.0 / 12.0, 0.690),
        (16, 10.0 / 11.0, 0.627),
        (22, 6.0 / 7.0, 0.538),
        (23, 5.0 / 6.0, 0.448),
    ];
    let (mut left, mut before) = (1.0, 0.0);
    for (week, stay, printed) in steps {
        left *= stay;
        assert!(f64::abs(left - printed) < 0.0005, "{left} in week {week}");
        let just = 1.0 - left;
        for share in [before + 1e-9, just - 1e-9] {
            assert_eq!(snapshot.quantile(share), told(far_apart(week)), "{share}");
        }
        before = just;
    }
    assert_eq!(snapshot.quantile(0.5), told(far_apart(23)));
    assert_eq!(snapshot.quantile(before + 1e-9), None);
    assert_eq!(snapshot.quantile(1.0), None);
}

/// How many of how many are still running after each length, as fractions that are never rounded.
fn model(samples: &[(u32, bool)], per_mille: u64) -> Option<u32> {
    let mut lengths: Vec<u32> = samples.iter().map(|&(length, _)| length).collect();
    lengths.sort_unstable();
    lengths.dedup();
    let (mut left, mut of) = (1_u128, 1_u128);
    for length in lengths {
        let at_risk = samples.iter().filter(|(other, _)| *other >= length).count() as u128;
        let ended = samples.iter().filter(|it| **it == (length, true)).count() as u128;
        left *= at_risk - ended;
        of *= at_risk;
        if ended > 0 && left * 1000 <= u128::from(1000 - per_mille) * of {
            return Some(length);
        }
    }
    None
}

#[test]
fn every_quantile_is_the_one_that_fractions_give() {
    let random = Random::seeded(seed());
    let (mut known, mut unknown, mut last) = (0, 0, 0);
    for _ in 0..deep(1000, 20_000) {
        let samples: Vec<(u32, bool)> = (0..=below(&random, 20))
            .map(|_| (below(&random, 8), below(&random, 3) > 0))
            .collect();
        let of_kind = |kind| move |it: &&(u32, bool)| it.1 == kind;
        let lengths = |kind| {
            samples
                .iter()
                .filter(of_kind(kind))
                .map(|it| far_apart(it.0))
        };
        let snapshot = recorded(lengths(true), lengths(false));
        for per_mille in (0..=1000).step_by(10) {
            let expected = model(&samples, per_mille);
            let told = snapshot.quantile(per_mille as f64 / 1000.0);
            let middle = expected.map(|length| Bucket::of(far_apart(length)).middle());
            assert_eq!(told, middle, "{per_mille} per mille of {samples:?}");
            *(if told.is_some() {
                &mut known
            } else {
                &mut unknown
            }) += 1;
            last += u32::from(per_mille == 1000 && told.is_some());
        }
    }
    println!("{known} known, {last} of them the longest; {unknown} unknown");
    assert!(known > unknown / 10 && unknown > known / 10 && last > 0);
}

#[test]
fn with_nothing_censored_it_is_exactly_the_nearest_rank() {
    let random = Random::seeded(seed());
    for _ in 0..deep(100, 1000) {
        let samples: Vec<Duration> = (0..=below(&random, 300))
            .map(|_| Duration::from_nanos(random.next_u64() >> below(&random, 60)))
            .collect();
        let other = Histogram::new();
        samples.iter().for_each(|&duration| other.record(duration));
        let (snapshot, other) = (recorded(samples.iter().copied(), []), other.snapshot());
        let any = (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        // And a little more than what a rank asks for, which is for the next.
        let shares = (0..1000).map(|k| f64::from(k) / 1000.0);
        let shares = shares.flat_map(|share| [share, share + 1e-14]);
        for share in shares.chain([any, 1.0]) {
            let expected = other.quantile(share).map(|told| told.max(SHORTEST));
            assert_eq!(snapshot.quantile(share), expected, "{share} of {samples:?}");
        }
    }
}

#[test]
fn ranks_stay_exact_beside_thousands_of_millions() {
    let (mut completed, mut censored) = (zeros(), zeros());
    completed[100] = u32::MAX;
    completed[101] = 1;
    let snapshot = CensoredSnapshot::from_rows(completed, censored);
    assert_eq!(snapshot.quantile(1.0 - 2e-10), told(lower(101)));
    assert_eq!(snapshot.quantile(1.0 - 3e-10), told(lower(100)));
    // The same with some given up between, which must not cost the longest its place.
    completed.fill(u32::MAX);
    censored.fill(u32::MAX);
    censored[411] = 0;
    let snapshot = CensoredSnapshot::from_rows(completed, censored);
    assert_eq!(snapshot.quantile(1.0), told(Duration::MAX));
}

#[test]
fn rounding_never_costs_the_longest_its_place() {
    let random = Random::seeded(seed());
    for _ in 0..deep(1000, 50_000) {
        let shift = below(&random, 32);
        let any = || (random.next_u64() >> 32 >> shift) as u32;
        let (completed, mut censored) = (zeros().map(|_| any()), zeros().map(|_| any()));
        let Some(last) = completed.iter().rposition(|&count| count > 0) else {
            continue;
        };
        censored[last..].fill(0);
        let snapshot = CensoredSnapshot::from_rows(completed, censored);
        assert_eq!(
            snapshot.quantile(1.0),
            told(lower(last)),
            "{completed:?} {censored:?}"
        );
        censored[last] = 1;
        let snapshot = CensoredSnapshot::from_rows(completed, censored);
        assert_eq!(snapshot.quantile(1.0), None, "{completed:?} {censored:?}");
    }
}

#[test]
fn several_quantiles_are_those_that_each_alone_would_be() {
    let snapshot = recorded((1..=50).map(ms), (40..=60).map(ms));
    let shares = [0.99, 0.5, f64::NAN, 0.0, 0.5];
    let each = shares.map(|q| snapshot.quantile(q));
    assert_eq!(snapshot.quantiles(shares), each);
    assert_eq!((each[0], each[2]), (None, None));
    assert!(each[1].is_some() && each[3] == told(ms(1)));
}

#[test]
fn merged_snapshots_are_as_if_one_had_counted_all() {
    let mut merged = recorded([ms(1), ms(2)], [ms(3)]);
    merged.merge(&recorded([ms(2)], [ms(3), ms(4)]));
    assert_eq!(
        merged,
        recorded([ms(1), ms(2), ms(2)], [ms(3), ms(3), ms(4)])
    );
    merged.clear();
    assert_eq!(merged, CensoredSnapshot::new());
}

#[test]
fn counts_stop_at_their_end_and_do_not_wrap() {
    let mut full = CensoredSnapshot::from_rows([u32::MAX; 412], [u32::MAX; 412]);
    let before = full.clone();
    full.merge(&recorded([ms(1)], [ms(1)]));
    assert_eq!(full, before);
    assert_eq!(full.count(), 2 * 412 * u64::from(u32::MAX));
}

#[test]
fn their_debug_forms_say_what_matters() {
    let histogram = CensoredHistogram::default();
    histogram.record(Duration::ZERO);
    histogram.record_censored(ms(1));
    let text =
        "CensoredSnapshot { completed: 1, censored: 1, p50: Some(67.584µs), p95: None, p99: None }";
    assert_eq!(
        format!("{histogram:?}"),
        format!("CensoredHistogram({text})")
    );
    assert_eq!(format!("{:?}", histogram.drain()), text);
}
