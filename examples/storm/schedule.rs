//! The script of a storm: which phase lasts from when to when.

use std::ops::Range;
use std::time::Duration;

use serde::Serialize;

/// What payments goes through, in this order, and at last the gateways themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Calm,
    Slow,
    HalfFailing,
    Hanging,
    Dead,
    Back,
    Rush,
}

impl Phase {
    pub const ALL: [Self; 7] = [
        Self::Calm,
        Self::Slow,
        Self::HalfFailing,
        Self::Hanging,
        Self::Dead,
        Self::Back,
        Self::Rush,
    ];

    /// Whether the greedy client calls in it.
    pub const fn has_greed(self) -> bool {
        !matches!(self, Self::Calm)
    }

    /// How much of the run the phase takes, beside the others.
    pub const fn weight(self) -> u32 {
        match self {
            Self::Calm | Self::Back | Self::Rush => 2,
            Self::Slow | Self::HalfFailing | Self::Hanging | Self::Dead => 1,
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Slow => "slow",
            Self::HalfFailing => "half 503",
            Self::Hanging => "hanging",
            Self::Dead => "dead",
            Self::Back => "back",
            Self::Rush => "rush",
        }
    }

    /// What payments does, in two words; in the rush, what callers do.
    pub const fn brief(self) -> &'static str {
        match self {
            Self::Calm => "answers",
            Self::Slow => "10 × slower",
            Self::HalfFailing => "half fails",
            Self::Hanging => "never answers",
            Self::Dead => "killed",
            Self::Back => "started again",
            Self::Rush => "twice too many calls",
        }
    }

    /// What happens, for somebody who sees the name for the first time.
    pub const fn story(self) -> &'static str {
        match self {
            Self::Calm => "payments answers in 10–20 ms, 5 % with 503",
            Self::Slow => "payments is ten times slower",
            Self::HalfFailing => "half of payments’ answers are 503",
            Self::Hanging => "payments accepts calls and never answers",
            Self::Dead => "payments is killed, its port closed",
            Self::Back => "payments is started again",
            Self::Rush => "twice as many calls come as the gateway can serve",
        }
    }
}

/// The phases laid over the length of a run.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    total: Duration,
}

impl Schedule {
    pub const fn new(total: Duration) -> Self {
        Self { total }
    }

    pub const fn total(self) -> Duration {
        self.total
    }

    /// How long a breaker stays open before it probes, and how long a probe may take.
    pub fn open_time(self) -> Duration {
        self.total / 40
    }

    /// When the rush begins, which lasts to the end: nothing that it leaves behind harms a phase.
    pub fn rush(self) -> Range<Duration> {
        let rush = self.phases().find(|(phase, _)| *phase == Phase::Rush);
        rush.map_or(self.total..self.total, |(_, span)| span)
    }

    /// When the greedy client calls: from the end of the calm phase, which shows how it is without it.
    pub fn greed(self) -> Range<Duration> {
        let calm = self.phases().find(|(phase, _)| !phase.has_greed());
        calm.map_or(Duration::ZERO, |(_, span)| span.end)..self.total
    }

    /// Each phase with the part of the run it takes.
    pub fn phases(self) -> impl Iterator<Item = (Phase, Range<Duration>)> {
        let weights: u32 = Phase::ALL.into_iter().map(Phase::weight).sum();
        let at = move |weight: u32| self.total * weight / weights;
        Phase::ALL.into_iter().scan(0, move |before, phase| {
            let from = at(*before);
            *before += phase.weight();
            Some((phase, from..at(*before)))
        })
    }

    /// The phase under way at `time`; the last one holds for ever.
    pub fn phase_at(self, time: Duration) -> Phase {
        let under_way = self.phases().find(|(_, span)| span.contains(&time));
        under_way.map_or(Phase::Rush, |(phase, _)| phase)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: Schedule = Schedule::new(Duration::from_secs(40));

    #[test]
    fn phases_take_their_weight_and_leave_no_gap() {
        let spans: Vec<_> = RUN
            .phases()
            .map(|(_, s)| (s.start.as_secs(), s.end.as_secs()))
            .collect();
        assert_eq!(
            spans,
            [
                (0, 8),
                (8, 12),
                (12, 16),
                (16, 20),
                (20, 24),
                (24, 32),
                (32, 40)
            ]
        );
    }

    #[test]
    fn any_length_is_covered_from_its_first_to_its_last_instant() {
        for seconds in [15, 17, 30, 599] {
            let schedule = Schedule::new(Duration::from_secs(seconds));
            let mut end = Duration::ZERO;
            for (_, span) in schedule.phases() {
                assert_eq!(span.start, end);
                end = span.end;
            }
            assert_eq!(end, schedule.total());
        }
    }

    #[test]
    fn a_boundary_belongs_to_the_phase_that_begins() {
        assert_eq!(RUN.phase_at(Duration::ZERO), Phase::Calm);
        assert_eq!(
            RUN.phase_at(Duration::from_millis(15_999)),
            Phase::HalfFailing
        );
        assert_eq!(RUN.phase_at(Duration::from_secs(16)), Phase::Hanging);
        assert_eq!(RUN.phase_at(Duration::from_secs(41)), Phase::Rush);
    }

    #[test]
    fn the_rush_is_the_last_fifth_of_the_run() {
        assert_eq!(RUN.rush(), Duration::from_secs(32)..RUN.total());
    }

    #[test]
    fn the_greedy_client_comes_when_the_calm_is_over_and_stays() {
        assert_eq!(RUN.greed(), Duration::from_secs(8)..RUN.total());
        for (phase, span) in RUN.phases() {
            assert_eq!(phase.has_greed(), RUN.greed().contains(&span.start));
        }
    }

    #[test]
    fn a_breaker_stays_open_for_a_fortieth_of_the_run() {
        assert_eq!(RUN.open_time(), Duration::from_secs(1));
    }
}
