use std::time::Duration;

use buttress_sync::atomic::{AtomicU64, Ordering};

use super::outcome::Outcome;
use super::tally::Tally;
use buttress_timer::{Moment, nanos};

/// The settled calls of the last W, in sixteen buckets of W/15: the present one and fifteen whole ones.
///
/// A result younger than W has full weight, one older than W + W/15 has none, whatever the traffic. Recording costs one
/// compare-and-swap, and nothing depends on how many calls the window holds. Buckets are numbered through; each carries
/// the low bits of its number as a tag, so that an old bucket is replaced by the first call of a new one, and a late
/// writer changes nothing. A new generation skips sixteen numbers: all that older ones have written lies outside its
/// window, then and later.
///
/// * `calls`: `number:16 | calls:24 | failed:24`; a bucket that holds 2^24 calls is halved, which keeps its shares;
/// * `slow`: `number:16 | 0:24 | slow:24`.
#[derive(Debug)]
pub(crate) struct TimeWindow {
    width: u64,
    /// `generation:32 | offset:32`: what this generation adds to the number of a bucket.
    base: AtomicU64,
    /// The latest bucket that took a call.
    latest: AtomicU64,
    /// The latest bucket that took a failed or slow call.
    latest_bad: AtomicU64,
    calls: [AtomicU64; BUCKETS],
    slow: [AtomicU64; BUCKETS],
}

/// The number of a bucket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket(u64);

const BUCKETS: usize = 16;
const SPAN: u64 = BUCKETS as u64;

/// The shortest window. A shorter one would hold no two calls; it also keeps the numbers of buckets far from overflow.
pub(crate) const SHORTEST: Duration = Duration::from_micros(1);
/// The longest window. A longer one would be a memory of what is no longer true.
pub(crate) const LONGEST: Duration = Duration::from_secs(3600);

impl TimeWindow {
    pub(crate) fn new(window: Duration, generation: u32) -> Self {
        let unused = |_| AtomicU64::new(0);
        Self {
            width: nanos(window.max(SHORTEST)).div_ceil(SPAN - 1),
            base: AtomicU64::new(base(generation, SPAN)),
            latest: AtomicU64::new(SPAN),
            latest_bad: AtomicU64::new(0),
            calls: std::array::from_fn(unused),
            slow: std::array::from_fn(unused),
        }
    }

    /// Starts anew for the calls of `generation`.
    pub(crate) fn restart(&self, generation: u32) {
        let offset = offset(self.base.load(Ordering::Acquire));
        self.base
            .swap(base(generation, offset + SPAN), Ordering::AcqRel);
    }

    /// The sums over the window that ends at `now`.
    pub(crate) fn tally(&self, now: Moment) -> Tally {
        self.tally_at(Bucket(
            self.bucket_at(now, offset(self.base.load(Ordering::Acquire))),
        ))
    }

    /// Takes the call into the window.
    ///
    /// The bucket comes back when the sums may have reached a limit: a good call lowers every rate, so they are looked at when
    /// something bad is in the window and a bucket left it, or when the calls may just have become enough to judge.
    #[inline(always)]
    pub(crate) fn record(
        &self,
        generation: u32,
        outcome: Outcome,
        now: Moment,
        minimum_calls: u64,
    ) -> Option<Bucket> {
        let base = self.base.load(Ordering::Acquire);
        if base >> 32 != u64::from(generation) {
            return None;
        }
        let bucket = self.bucket_at(now, offset(base));
        let latest = self.latest.load(Ordering::Relaxed);
        if bucket > latest {
            self.enter(bucket, latest);
        }
        let in_bucket = self.add_call(bucket, CALL | failed(outcome))?;
        if outcome.failed() || outcome.slow() {
            self.record_bad(bucket, outcome)?;
        } else if bucket <= latest && in_bucket > minimum_calls {
            return None;
        }
        self.has_bad(bucket).then_some(Bucket(bucket))
    }

    /// Adds to a bucket and tells how many calls it holds now; `None` when a later bucket took its place.
    #[inline(always)]
    fn add_call(&self, bucket: u64, amount: u64) -> Option<u64> {
        let word = self.calls.get(place(bucket))?;
        let mut seen = word.load(Ordering::Acquire);
        loop {
            if !is_open(seen, bucket) {
                seen = self.make_room(bucket)?;
                continue;
            }
            match exchange(word, seen, seen + amount) {
                Ok(_) => return Some((seen + amount) >> 24 & FIELD),
                Err(now) => seen = now,
            }
        }
    }

    /// The word is an old bucket's, or full. A full one is halved, with its slow calls: their shares stay what they are.
    #[cold]
    fn make_room(&self, bucket: u64) -> Option<u64> {
        let word = self.calls.get(place(bucket))?;
        let seen = word.load(Ordering::Acquire);
        if is_open(seen, bucket) {
            return Some(seen);
        }
        let is_full = seen >> TAG == tag(bucket);
        let roomy = if is_full {
            halved(seen)
        } else {
            anew(seen, bucket)?
        };
        match exchange(word, seen, roomy) {
            Ok(_) if is_full => self.halve_slow(bucket),
            _ => {}
        }
        Some(word.load(Ordering::Acquire))
    }

    /// Again and again until it is done: calls that end meanwhile must not keep the slow ones at twice their share.
    fn halve_slow(&self, bucket: u64) {
        let Some(slow) = self.slow.get(place(bucket)) else {
            return;
        };
        let mut seen = slow.load(Ordering::Acquire);
        while seen >> TAG == tag(bucket) {
            match exchange(slow, seen, halved(seen)) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    fn add_slow(&self, bucket: u64) -> Option<()> {
        let word = self.slow.get(place(bucket))?;
        let mut seen = word.load(Ordering::Acquire);
        loop {
            let next = if seen >> TAG == tag(bucket) {
                seen
            } else {
                anew(seen, bucket)?
            } + 1;
            match exchange(word, seen, next) {
                Ok(_) => return Some(()),
                Err(now) => seen = now,
            }
        }
    }

    #[cold]
    fn record_bad(&self, bucket: u64, outcome: Outcome) -> Option<()> {
        self.latest_bad.fetch_max(bucket, Ordering::AcqRel);
        if outcome.slow() {
            self.add_slow(bucket)?;
        }
        Some(())
    }

    fn has_bad(&self, bucket: u64) -> bool {
        self.latest_bad.load(Ordering::Acquire) + SPAN > bucket
    }

    #[inline]
    const fn bucket_at(&self, now: Moment, offset: u64) -> u64 {
        now.nanos() / self.width + offset
    }

    /// Moves on to a new bucket, and clears the places of all that lie between. A tag has 16 bits: a word that nobody rewrites
    /// would look new again one day. What others have written meanwhile is left alone.
    #[cold]
    fn enter(&self, bucket: u64, latest: u64) {
        let entered = latest.max(bucket.saturating_sub(SPAN)) + 1..=bucket;
        let words = || entered.clone().flat_map(|number| self.words_of(number));
        let mut seen = [0; 2 * BUCKETS];
        for (slot, (_, word)) in std::iter::zip(&mut seen, words()) {
            *slot = word.load(Ordering::Acquire);
        }
        let won = self
            .latest
            .compare_exchange(latest, bucket, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok();
        if won {
            for (seen, (number, word)) in std::iter::zip(seen, words()) {
                let empty = tag(number) << TAG;
                let _ = word.compare_exchange(seen, empty, Ordering::AcqRel, Ordering::Relaxed);
            }
        }
    }

    fn words_of(&self, number: u64) -> impl Iterator<Item = (u64, &AtomicU64)> {
        let both = [&self.calls, &self.slow].into_iter();
        both.filter_map(move |words| Some((number, words.get(place(number))?)))
    }

    /// The sums over the window that ends with this bucket.
    pub(crate) fn tally_at(&self, Bucket(bucket): Bucket) -> Tally {
        let sum = |words: &[AtomicU64; BUCKETS]| {
            let live = words.iter().map(|word| word.load(Ordering::Acquire));
            live.filter(|word| tag(bucket).wrapping_sub(word >> TAG) & TAG_MASK < SPAN)
                .fold((0, 0), |(upper, lower), word| {
                    (upper + (word >> 24 & FIELD), lower + (word & FIELD))
                })
        };
        let (calls, failed) = sum(&self.calls);
        let (_, slow) = sum(&self.slow);
        Tally {
            calls,
            failed,
            slow,
        }
    }
}

const TAG: u32 = 48;
const TAG_MASK: u64 = 0xffff;
const FIELD: u64 = (1 << 24) - 1;
const CALL: u64 = 1 << 24;

const fn base(generation: u32, offset: u64) -> u64 {
    (generation as u64) << 32 | offset & 0xffff_ffff
}

const fn offset(base: u64) -> u64 {
    base & 0xffff_ffff
}

const fn tag(bucket: u64) -> u64 {
    bucket & TAG_MASK
}

#[inline]
const fn place(bucket: u64) -> usize {
    (bucket % SPAN) as usize
}

const fn failed(outcome: Outcome) -> u64 {
    outcome.failed() as u64
}

/// Whether the word is this bucket's and has room for another call: without its tag, it is then a small number.
#[inline]
const fn is_open(word: u64, bucket: u64) -> bool {
    word ^ (bucket << TAG) < FIELD << 24
}

/// The word of a new bucket, if the one that stands there is an old one's.
#[cold]
const fn anew(word: u64, bucket: u64) -> Option<u64> {
    let ahead = (word >> TAG).wrapping_sub(tag(bucket)) & TAG_MASK;
    if ahead == 0 || ahead >= TAG_MASK / 2 {
        Some(tag(bucket) << TAG)
    } else {
        None
    }
}

/// The same bucket with half of everything.
const fn halved(word: u64) -> u64 {
    let (calls, failed) = (word >> 24 & FIELD, word & FIELD);
    (word >> TAG) << TAG | (calls / 2) << 24 | (failed / 2)
}

#[inline]
fn exchange(word: &AtomicU64, seen: u64, next: u64) -> Result<u64, u64> {
    word.compare_exchange_weak(seen, next, Ordering::AcqRel, Ordering::Acquire)
}
