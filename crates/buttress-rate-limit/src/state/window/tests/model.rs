//! What a sliding window promises, as plainly as it can be: a log of all units. Shares no code with the machine, which has no log.

use std::collections::VecDeque;

/// A unit: when it was taken, by which call, and whether it was charged to it afterwards.
#[derive(Clone, Debug)]
struct Unit {
    time: u64,
    call: usize,
}

pub(super) struct Model {
    pub(super) limit: u32,
    pub(super) width: u64,
    log: VecDeque<Unit>,
    /// What was in the log when limit or width changed, and is older than the newest units of the new limit, or had left the window;
    /// and what has left the log since because newer units came.
    older: VecDeque<Unit>,
    /// The shortest of the windows that units have left since.
    pub(super) narrowest: u64,
    /// Whether what is charged beyond the limit is forgiven at once, or never.
    forgives: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Taken,
    /// Not yet: the nanoseconds until then.
    Refused(u64),
    Never,
}

impl Model {
    pub(super) fn new(limit: u32, width: u64, forgives: bool) -> Self {
        Self {
            limit,
            width,
            log: VecDeque::new(),
            older: VecDeque::new(),
            narrowest: u64::MAX,
            forgives,
        }
    }

    fn times_inside(&self, now: u64) -> Vec<u64> {
        let times = self.older.iter().chain(&self.log).map(|unit| unit.time);
        times.filter(|time| time + self.width > now).collect()
    }

    pub(super) fn inside(&self, now: u64) -> u32 {
        u32::try_from(self.times_inside(now).len()).unwrap()
    }

    pub(super) fn clear_after(&self, now: u64) -> u64 {
        let last = self.times_inside(now).last().copied();
        last.map_or(0, |time| time + self.width - now)
    }

    pub(super) fn would_take(&self, units: u32, now: u64) -> Answer {
        if units > self.limit {
            return Answer::Never;
        }
        let times = self.times_inside(now);
        let over = (times.len() + units as usize).saturating_sub(self.limit as usize);
        if units == 0 || over == 0 {
            return Answer::Taken;
        }
        Answer::Refused(times[over - 1] + self.width - now)
    }

    pub(super) fn push(&mut self, units: u32, call: usize, now: u64) {
        for _ in 0..units {
            self.log.push_back(Unit { time: now, call });
        }
        self.forgive(now);
    }

    /// Of the newest units of the limit the ring knows exactly. Of the others those are forgiven that were charged beyond it.
    fn forgive(&mut self, now: u64) {
        while self.forgives && self.log.len() > self.limit as usize {
            let unit = self.log.pop_front();
            self.older
                .extend(unit.filter(|unit| unit.time + self.width <= now));
            self.narrowest = self.narrowest.min(self.width);
        }
    }

    /// The newest of the log, as long as they are of this call.
    pub(super) fn give_back_newest(&mut self, call: usize, units: u32) -> u32 {
        let mut given = 0;
        while given < units && self.log.back().is_some_and(|unit| unit.call == call) {
            self.log.pop_back();
            given += 1;
        }
        given
    }

    /// So many units of this call, wherever they stand: a coarse slot knows no order.
    pub(super) fn give_back_any(&mut self, call: usize, units: u32) {
        for _ in 0..units {
            let found = self.log.iter().rposition(|unit| unit.call == call);
            self.log.remove(found.unwrap());
        }
    }

    /// Nothing is forgotten, but nobody can give it back any more.
    pub(super) fn set(&mut self, limit: u32, width: u64, now: u64) {
        if !self.forgives {
            self.narrowest = self.narrowest.min(self.width);
        }
        (self.limit, self.width) = (limit, width);
        self.older.append(&mut self.log);
        self.older
            .iter_mut()
            .for_each(|unit| unit.call = usize::MAX);
        let newest = (self.inside(now) as usize).min(limit as usize);
        self.log = self.older.split_off(self.older.len() - newest);
    }
}
