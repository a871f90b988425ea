//! What a token bucket promises, as plainly as it can be: a level of tokens that is filled up step by step. Shares no code with the
//! machine, which knows no level. Exact: tokens are counted in nanoseconds of filling.

pub(super) struct Model {
    interval: i128,
    burst: i128,
    tokens: i128,
    now: i128,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Taken,
    /// Not yet: the nanoseconds until then.
    Refused(u64),
    Never,
}

/// The clock stops here, as the docs say.
const END: u64 = 1_152_921_504_606_846_975;

impl Model {
    pub(super) fn new(interval: u64, burst: u32) -> Self {
        let (interval, burst) = (i128::from(interval), i128::from(burst));
        Self {
            interval,
            burst,
            tokens: interval * burst,
            now: 0,
        }
    }

    fn capacity(&self) -> i128 {
        self.interval * self.burst
    }

    fn fill(&mut self, now: u64) {
        let now = i128::from(now.min(END));
        self.tokens = (self.tokens + now - self.now).min(self.capacity());
        self.now = now;
    }

    pub(super) fn take(&mut self, units: u32, now: u64) -> Answer {
        self.fill(now);
        let cost = i128::from(units) * self.interval;
        if units == 0 || cost <= self.tokens {
            self.tokens -= cost;
            Answer::Taken
        } else if cost > self.capacity() {
            Answer::Never
        } else {
            Answer::Refused(u64::try_from(cost - self.tokens).unwrap())
        }
    }

    pub(super) fn give_back(&mut self, units: u32, now: u64) {
        self.fill(now);
        self.tokens += i128::from(units) * self.interval;
        self.tokens = self.tokens.min(self.capacity());
    }

    /// Down to a debt of one burst; a deeper one, left by a change of the rate, stays.
    pub(super) fn charge(&mut self, units: u32, now: u64) {
        self.fill(now);
        let charged = self.tokens - i128::from(units) * self.interval;
        self.tokens = charged.max(-self.capacity()).min(self.tokens);
    }

    /// What is missing stays missing, in units; a fraction of a nanosecond is rounded up.
    pub(super) fn set(&mut self, interval: u64, burst: u32, now: u64) {
        self.fill(now);
        let missing = self.capacity() - self.tokens;
        let (old, new) = (self.interval, i128::from(interval));
        let missing = (missing * new + old - 1) / old;
        self.interval = new;
        self.burst = i128::from(burst);
        self.tokens = self.capacity() - missing;
    }

    pub(super) fn remaining(&self) -> u32 {
        u32::try_from(self.tokens.max(0) / self.interval).unwrap()
    }

    pub(super) fn missing(&self) -> u64 {
        u64::try_from(self.capacity() - self.tokens).unwrap()
    }

    pub(super) fn is_in_debt(&self) -> bool {
        self.tokens < 0
    }
}
