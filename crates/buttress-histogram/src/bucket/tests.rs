use std::iter;

use buttress_sync::Random;
use buttress_testkit::{deep, seed};

use super::*;

const NANOSECOND: Duration = Duration::from_nanos(1);
const HOUR: Duration = Duration::from_secs(3600);

fn last() -> Bucket {
    Bucket(LAST)
}

/// Where each bucket begins, by doubling and dividing whole numbers.
fn lowers() -> Vec<u128> {
    let doublings = iter::successors(Some(512_u128), |lower| Some(lower * 2));
    let steps = doublings.flat_map(|lower| (16..32).map(move |sixteenths| lower / 16 * sixteenths));
    let from_second = steps.skip_while(|&lower| lower < 992);
    iter::once(0).chain(from_second).take(510).collect()
}

#[test]
fn buckets_begin_where_doublings_and_their_sixteenths_do() {
    let begins: Vec<u128> = Bucket::all()
        .map(|bucket| bucket.lower().as_nanos())
        .collect();
    assert_eq!(begins, lowers());
}

#[test]
fn each_bucket_ends_where_the_next_begins() {
    assert_eq!(Bucket(0).lower(), Duration::ZERO);
    for (bucket, next) in iter::zip(Bucket::all(), Bucket::all().skip(1)) {
        assert!(bucket < next && bucket.lower() < bucket.upper());
        assert_eq!(bucket.upper(), next.lower());
    }
    assert_eq!(last().upper(), Duration::MAX);
}

#[test]
fn each_bucket_counts_what_lies_between_its_ends_and_nothing_beside() {
    for (bucket, next) in iter::zip(Bucket::all(), Bucket::all().skip(1)) {
        assert_eq!(Bucket::of(bucket.lower()), bucket);
        assert_eq!(Bucket::of(bucket.middle()), bucket);
        assert_eq!(Bucket::of(bucket.upper() - NANOSECOND), bucket);
        assert_eq!(Bucket::of(bucket.upper()), next);
    }
    assert_eq!(Bucket::of(last().lower()), last());
    assert_eq!(Bucket::of(Duration::MAX), last());
}

#[test]
fn the_middle_is_within_a_thirty_second_of_everything_in_the_bucket() {
    for bucket in Bucket::all().take(Bucket::COUNT - 1).skip(1) {
        let [lower, middle, upper] =
            [bucket.lower(), bucket.middle(), bucket.upper()].map(|bound| bound.as_nanos());
        let longest = upper - 1;
        assert!((middle - lower) * 32 <= lower, "{bucket:?}");
        assert!((longest - middle) * 32 <= longest, "{bucket:?}");
        assert_eq!(middle - lower, upper - middle, "{bucket:?}");
    }
}

#[test]
fn the_bound_holds_from_a_microsecond_to_an_hour() {
    assert!(Bucket::of(Duration::from_micros(1)) > Bucket(0));
    assert!(Bucket::of(HOUR) < last());
    assert!(Bucket(0).upper() <= Duration::from_micros(1));
    assert_eq!(last().lower(), Duration::from_nanos(3_710_851_743_744));
}

#[test]
fn the_endless_bucket_is_told_as_its_beginning() {
    assert_eq!(last().middle(), last().lower());
    assert_eq!(Bucket(0).middle(), Duration::from_nanos(496));
}

#[test]
fn the_index_is_the_place_among_all_buckets() {
    assert_eq!(Bucket::all().len(), Bucket::COUNT);
    for (index, bucket) in Bucket::all().enumerate() {
        assert_eq!(bucket.index(), index);
    }
}

#[test]
fn any_duration_is_in_the_bucket_that_a_search_finds() {
    let lowers = lowers();
    let random = Random::seeded(seed());
    let mut met = vec![0_u32; Bucket::COUNT];
    for _ in 0..deep(100_000, 10_000_000) {
        let duration = any_duration(&random);
        let expected = lowers.partition_point(|&lower| lower <= duration.as_nanos()) - 1;
        assert_eq!(Bucket::of(duration).index(), expected, "{duration:?}");
        met[expected] += 1;
    }
    assert!(met.iter().all(|&times| times > 0), "{met:?}");
}

#[test]
fn a_longer_duration_is_never_in_a_lower_bucket() {
    let random = Random::seeded(seed());
    for _ in 0..deep(100_000, 10_000_000) {
        let (one, other) = (any_duration(&random), any_duration(&random));
        let (shorter, longer) = (one.min(other), one.max(other));
        assert!(
            Bucket::of(shorter) <= Bucket::of(longer),
            "{shorter:?} {longer:?}"
        );
    }
}

#[test]
fn any_number_of_seconds_is_safe() {
    for seconds in (0..=52)
        .map(|bits| u64::MAX >> bits)
        .chain([3711, 4000, 4001])
    {
        for nanos in [0, 1, 999_999_999] {
            assert_eq!(
                Bucket::of(Duration::new(seconds, nanos)),
                last(),
                "{seconds}"
            );
        }
    }
}

/// Any length, short and long ones alike, zero and the longest included.
fn any_duration(random: &Random) -> Duration {
    let bits = random.next_u64() % 95;
    let nanos = u128::from(random.next_u64()) << 64 | u128::from(random.next_u64());
    let nanos = nanos >> (128 - bits).min(127);
    let seconds = u64::try_from(nanos / 1_000_000_000).unwrap_or(u64::MAX);
    let rest = u32::try_from(nanos % 1_000_000_000).unwrap();
    Duration::new(seconds, rest)
}
