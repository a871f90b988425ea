//! What others do, as a control: three retries without a budget, or within tower's.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Sleep, sleep};
use tower::retry::Policy;
use tower::retry::budget::{Budget, TpsBudget};

use super::load::Chance;

const RETRIES: u32 = 3;
const BASE: Duration = Duration::from_millis(100);

/// As many retries after the same waits as our default has. The budget is used as tower's documentation shows it.
#[derive(Clone)]
pub(super) struct Control {
    budget: Option<Arc<TpsBudget>>,
    retries: u32,
    chance: Chance,
}

impl Control {
    pub(super) fn naive(chance: &Chance) -> Self {
        Self {
            budget: None,
            retries: 0,
            chance: chance.clone(),
        }
    }

    pub(super) fn within_tps_budget(chance: &Chance) -> Self {
        Self {
            budget: Some(Arc::default()),
            ..Self::naive(chance)
        }
    }

    fn back_off(&mut self) -> Sleep {
        let jitter = 0.5 + self.chance.unit();
        let wait = BASE * 2_u32.pow(self.retries);
        self.retries += 1;
        sleep(wait.mul_f64(jitter))
    }
}

impl<T, E> Policy<(), T, E> for Control {
    type Future = Sleep;

    fn retry(&mut self, (): &mut (), result: &mut Result<T, E>) -> Option<Sleep> {
        let budget = self.budget.as_ref();
        if result.is_ok() {
            budget.inspect(|budget| budget.deposit());
            return None;
        }
        let may_retry = self.retries < RETRIES && budget.is_none_or(|budget| budget.withdraw());
        may_retry.then(|| self.back_off())
    }

    fn clone_request(&mut self, (): &()) -> Option<()> {
        Some(())
    }
}
