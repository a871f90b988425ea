use super::rota::Duty;
use crate::ending::End;
use crate::life::{Life, Step};
use crate::random::SplitMix64;
use crate::testable::Testable;

/// One call under way, and how much longer its caller stays.
pub(super) struct Task<X: Testable> {
    life: Life<X>,
    /// Steps until the caller leaves; `None`: stays for as long as it goes on.
    steps: Option<u32>,
    /// Visits until the caller leaves a call that hangs.
    patience: u32,
    waiting: bool,
}

/// What a visit to a task found.
pub(super) enum Visit {
    /// It went on.
    Busy,
    /// It waits to be woken.
    Idle,
    /// It is over, or its caller leaves.
    Over(End),
}

impl<X: Testable> Task<X> {
    pub(super) fn new(service: X::Service, duty: &Duty<'_>, random: &mut SplitMix64) -> Self {
        Self {
            life: Life::woken_by(service, duty.waker()),
            steps: (random.below(4) == 0).then(|| random.below(8)),
            patience: 1 + random.below(8),
            waiting: false,
        }
    }

    /// Takes a step if there is anything new.
    pub(super) fn visit(&mut self, subject: &X) -> Visit {
        if self.steps == Some(0) {
            return self.over();
        }
        if self.is_idle() {
            return Visit::Idle;
        }
        if !self.waiting || self.is_woken() {
            self.step(subject);
        }
        if self.life.hangs() {
            self.patience -= 1;
        }
        let over = self.life.is_over() || self.patience == 0;
        if over { self.over() } else { Visit::Busy }
    }

    /// Whether nothing will happen here until it is woken.
    pub(super) fn is_idle(&self) -> bool {
        let leaves = self.life.hangs() || self.steps == Some(0);
        self.waiting && !leaves && !self.is_woken()
    }

    pub(super) fn is_woken(&self) -> bool {
        self.life.is_woken()
    }

    fn step(&mut self, subject: &X) {
        self.steps = self.steps.map(|steps| steps - 1);
        self.waiting = matches!(self.life.step(subject), Step::Pending);
    }

    fn over(&self) -> Visit {
        Visit::Over(self.life.end())
    }
}
