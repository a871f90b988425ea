//! What the breaker promises, written as plainly as it can be: lists of what happened, and a look at all of them each time.
//! Shares no code with the machine. Time is in nanoseconds; nothing is lengthened by jitter here.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ModelMode {
    Closed,
    Ramping,
    Open,
    HalfOpen,
    ForcedOpen,
    ForcedClosed,
    MetricsOnly,
}

/// Shares are in percent, so that the model compares whole numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct ModelConfig {
    pub(super) consecutive: Option<u32>,
    pub(super) calls: Option<(usize, Option<u64>, Option<u64>)>,
    pub(super) time: Option<(u64, Option<u64>, Option<u64>)>,
    pub(super) minimum_calls: usize,
    pub(super) open_for: u64,
    pub(super) max_open_for: u64,
    pub(super) growth: u64,
    pub(super) probes: usize,
    pub(super) successes_to_close: usize,
    pub(super) probe_limit: u64,
    pub(super) ramp: u64,
    pub(super) retry_after: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Result {
    Good { slow: bool },
    Bad { slow: bool, hint: Option<u64> },
    GoneSlow,
    Nothing,
}

impl Result {
    fn failed(self) -> bool {
        matches!(self, Self::Bad { .. })
    }

    fn slow(self) -> bool {
        matches!(
            self,
            Self::Good { slow: true } | Self::Bad { slow: true, .. } | Self::GoneSlow
        )
    }
}

/// How a call was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    period: u32,
    mode: ModelMode,
    probe: Option<u64>,
}

#[derive(Clone, Debug)]
struct ModelProbe {
    id: u64,
    started: u64,
    noted: Option<Result>,
}

#[derive(Clone, Debug)]
pub(super) struct Model {
    config: ModelConfig,
    pub(super) mode: ModelMode,
    pub(super) period: u32,
    /// Every result of the present period, oldest first.
    results: Vec<(u64, Result)>,
    until: u64,
    probes: Vec<ModelProbe>,
    next_probe: u64,
    probe_successes: usize,
    reopened: u32,
    pub(super) late_probes: u64,
}

impl Model {
    pub(super) fn new(config: ModelConfig) -> Self {
        Self {
            config,
            mode: ModelMode::Closed,
            period: 0,
            results: Vec::new(),
            until: 0,
            probes: Vec::new(),
            next_probe: 0,
            probe_successes: 0,
            reopened: 0,
            late_probes: 0,
        }
    }

    fn enter(&mut self, mode: ModelMode) {
        self.mode = mode;
        self.period += 1;
        self.results.clear();
    }

    /// Lets a call in, or says how long to wait. `drawn` is in millionths of a percent: a ramp lets in what is below the share it has reached.
    pub(super) fn call(&mut self, now: u64, drawn: u64) -> std::result::Result<Ticket, u64> {
        if self.mode == ModelMode::Ramping && now >= self.until {
            self.mode = ModelMode::Closed;
        }
        if self.mode == ModelMode::Open && now >= self.until {
            self.enter(ModelMode::HalfOpen);
            self.probes.clear();
            self.probe_successes = 0;
        }
        if self.mode == ModelMode::HalfOpen {
            self.end_late_probes(now);
        }
        match self.mode {
            ModelMode::Ramping => {
                let done = self.config.ramp - (self.until - now);
                let share = (done * 100).max(5 * self.config.ramp);
                if drawn * self.config.ramp < share * 1_000_000 {
                    Ok(self.ticket(None))
                } else {
                    Err(self.config.retry_after.min(self.until - now))
                }
            }
            ModelMode::Open => Err(self.until - now),
            ModelMode::ForcedOpen => Err(self.config.retry_after),
            ModelMode::HalfOpen => self.call_probe(now),
            _ => Ok(self.ticket(None)),
        }
    }

    fn ticket(&self, probe: Option<u64>) -> Ticket {
        Ticket {
            period: self.period,
            mode: self.mode,
            probe,
        }
    }

    fn call_probe(&mut self, now: u64) -> std::result::Result<Ticket, u64> {
        let on_the_way = self.probe_successes + self.probes.len();
        let wanted = on_the_way < self.config.successes_to_close;
        if wanted && self.probes.len() < self.config.probes {
            let id = self.next_probe;
            self.next_probe += 1;
            self.probes.push(ModelProbe {
                id,
                started: now,
                noted: None,
            });
            return Ok(self.ticket(Some(id)));
        }
        let oldest = self.probes.iter().map(|probe| probe.started).min().unwrap();
        Err(self
            .config
            .retry_after
            .min(oldest + self.config.probe_limit - now))
    }

    pub(super) fn note(&mut self, ticket: Ticket, result: Result, now: u64) {
        if self.mode != ModelMode::HalfOpen || ticket.period != self.period {
            return;
        }
        self.end_late_probes(now);
        if let Some(probe) = self
            .probes
            .iter_mut()
            .find(|probe| Some(probe.id) == ticket.probe)
        {
            probe.noted = Some(result);
        }
    }

    pub(super) fn end(&mut self, ticket: Ticket, result: Result, now: u64) {
        if ticket.period != self.period {
            return;
        }
        match self.mode {
            ModelMode::Closed | ModelMode::Ramping | ModelMode::MetricsOnly => {
                // A call that says nothing is no occasion to judge.
                if result == Result::Nothing {
                    return;
                }
                self.results.push((now, result));
                if self.mode != ModelMode::MetricsOnly && self.must_open(now) {
                    self.reopened = 0;
                    self.open(result, now);
                }
            }
            ModelMode::HalfOpen => {
                self.end_late_probes(now);
                self.end_probe(ticket.probe.unwrap(), result, now);
            }
            _ => {}
        }
    }

    fn end_late_probes(&mut self, now: u64) {
        while self.mode == ModelMode::HalfOpen {
            let limit = self.config.probe_limit;
            let mut late: Vec<_> = self
                .probes
                .iter()
                .filter(|p| p.started + limit <= now)
                .cloned()
                .collect();
            late.sort_by_key(|probe| (probe.started, probe.id));
            let Some(first) = late.first() else { return };
            self.late_probes += 1;
            let result = first.noted.unwrap_or(Result::Bad {
                slow: false,
                hint: None,
            });
            self.end_probe(first.id, result, now);
        }
    }

    fn end_probe(&mut self, id: u64, result: Result, now: u64) {
        if self.mode != ModelMode::HalfOpen || !self.probes.iter().any(|probe| probe.id == id) {
            return;
        }
        self.probes.retain(|probe| probe.id != id);
        match result {
            Result::Nothing => {}
            Result::Good { slow: false } => {
                self.probe_successes += 1;
                if self.probe_successes >= self.config.successes_to_close {
                    self.enter(if self.config.ramp > 0 {
                        ModelMode::Ramping
                    } else {
                        ModelMode::Closed
                    });
                    self.until = now + self.config.ramp;
                }
            }
            _ => {
                self.reopened += 1;
                self.open(result, now);
            }
        }
    }

    fn open(&mut self, result: Result, now: u64) {
        let hint = if let Result::Bad {
            hint: Some(hint), ..
        } = result
        {
            hint
        } else {
            0
        };
        let factor = self.config.growth.saturating_pow(self.reopened);
        let wished = self.config.open_for.saturating_mul(factor).max(hint);
        let open_for = wished
            .min(self.config.max_open_for)
            .max(self.config.open_for);
        self.enter(ModelMode::Open);
        self.until = now + open_for;
    }

    pub(super) fn streak(&self) -> u32 {
        let known = self
            .results
            .iter()
            .rev()
            .filter(|(_, result)| *result != Result::GoneSlow);
        u32::try_from(known.take_while(|(_, result)| result.failed()).count()).unwrap()
    }

    fn must_open(&self, now: u64) -> bool {
        let last_failed = self
            .results
            .last()
            .is_some_and(|(_, result)| result.failed());
        let in_a_row = last_failed
            && self
                .config
                .consecutive
                .is_some_and(|most| self.streak() >= most);
        let by_calls = self.config.calls.is_some_and(|(size, failed, slow)| {
            let start = self.results.len().saturating_sub(size);
            self.too_many(&self.results[start..], failed, slow)
        });
        let by_time = self.config.time.is_some_and(|(window, failed, slow)| {
            self.too_many(&self.in_time(window, now), failed, slow)
        });
        in_a_row || by_calls || by_time
    }

    /// The present fifteenth of the window and the fifteen before it.
    pub(super) fn in_time(&self, window: u64, now: u64) -> Vec<(u64, Result)> {
        let step = window.div_ceil(15);
        self.results
            .iter()
            .filter(|(at, _)| at / step + 15 >= now / step)
            .copied()
            .collect()
    }

    fn too_many(&self, results: &[(u64, Result)], failed: Option<u64>, slow: Option<u64>) -> bool {
        let total = results.len() as u64;
        let share = |percent: Option<u64>, of: fn(Result) -> bool| {
            let part = results.iter().filter(|(_, result)| of(*result)).count() as u64;
            percent.is_some_and(|percent| part > 0 && part * 100 >= percent * total)
        };
        results.len() >= self.config.minimum_calls
            && (share(failed, Result::failed) || share(slow, Result::slow))
    }

    pub(super) fn force(&mut self, mode: ModelMode) {
        self.probes.clear();
        self.reopened = 0;
        self.enter(mode);
    }

    pub(super) fn probes_in_flight(&self) -> usize {
        if self.mode == ModelMode::HalfOpen {
            self.probes.len()
        } else {
            0
        }
    }
}
