use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use buttress_core::{Condition, Fact, Inspect, Name, Value};
use buttress_sync::Striped;
use buttress_sync::atomic::{AtomicU64, Ordering};
use buttress_timer::Moment;
use tokio::time::Instant;

mod builder;
mod deposits;
mod sliding;
mod token;

#[cfg(all(test, buttress_loom))]
mod loom_tests;
#[cfg(all(test, not(buttress_loom)))]
#[expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "helpers of tests may fail a test"
)]
mod tests;

pub use self::builder::RetryBudgetBuilder;
use self::builder::{Config, Kind};
use self::deposits::{Deposits, Terms};
use self::sliding::Sliding;
pub use self::token::RetryToken;

/// Bounds how many retries there are, whatever fails and however many tasks retry: by default one in ten requests.
///
/// Every success brings a tenth of a retry, up to what ten seconds of one's own requests bring (3 at least), and time brings one
/// in 50 s. So retries are at most 10 % of requests; a burst of failures is retried; and when nothing succeeds nothing is left to
/// retry with, so that retries never keep an outage alive. First attempts are never refused.
///
/// The handle owns the state; clones share it. Share one budget among all that call the same dependency.
///
/// ```
/// use buttress_retry::RetryBudget;
///
/// let budget = RetryBudget::builder("inventory").build();
/// budget.requested();
/// if let Some(token) = budget.try_retry() {
///     token.sent();
/// }
/// assert_eq!(budget.snapshot().total_retries, 1);
/// ```
#[derive(Clone)]
pub struct RetryBudget(Arc<Shared>);

struct Shared {
    name: Name,
    bounds: Bounds,
    budget_percent: f64,
    requests: Striped<1>,
    retries: AtomicU64,
    origin: Instant,
}

enum Bounds {
    Deposits(Deposits),
    Sliding(Box<Sliding>),
}

/// The figures of a budget at one moment. Counts are exact when nothing is running.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct BudgetSnapshot {
    /// The budget's name.
    pub name: Name,
    /// First attempts since it was built.
    pub total_requests: u64,
    /// Retries that were sent since it was built.
    pub total_retries: u64,
    /// Retries in a hundred requests.
    pub retry_rate_percent: f64,
    /// Retries in a hundred requests that are configured at most.
    pub budget_percent: f64,
    /// Whether a retry would be let go now.
    pub within_budget: bool,
}

impl RetryBudget {
    /// Configures a budget of this name.
    pub fn builder(name: impl Into<Name>) -> RetryBudgetBuilder {
        RetryBudgetBuilder::new(name.into())
    }

    /// A budget that is a share of a sliding window: see [`RetryBudgetBuilder::sliding`].
    ///
    /// # Panics
    /// When the ratio is not in 0 to 1, or the window below 64 ms.
    #[must_use]
    #[track_caller]
    pub fn sliding(ratio: f64, window: Duration) -> Self {
        Self::builder("retry").ratio(ratio).sliding(window).build()
    }

    pub(crate) fn from_config(name: Name, config: Config) -> Self {
        let bounds = match config.kind {
            Kind::Deposits { refund } => {
                let deposit = config.share_in(1_000);
                Bounds::Deposits(Deposits::new(Terms { deposit, refund }, Moment::START))
            }
            Kind::Sliding { window } => {
                let sliding = Sliding::new(config.share_in(1_000_000), window);
                Bounds::Sliding(Box::new(sliding))
            }
        };
        Self(Arc::new(Shared {
            name,
            bounds,
            budget_percent: 100.0 * config.ratio,
            requests: Striped::new(),
            retries: AtomicU64::new(0),
            origin: Instant::now(),
        }))
    }

    /// Notes a first attempt. Reads no clock, unless the budget slides.
    #[inline]
    pub fn requested(&self) {
        self.0.requests.add(0);
        if let Bounds::Sliding(sliding) = &self.0.bounds {
            sliding.requested(self.0.now());
        }
    }

    /// Notes that a first attempt succeeded: one load while the budget is full.
    #[inline]
    pub fn succeeded(&self) {
        if let Bounds::Deposits(deposits) = &self.0.bounds {
            deposits.succeeded();
        }
    }

    /// Notes that a retry succeeded.
    pub fn retry_succeeded(&self) {
        if let Bounds::Deposits(deposits) = &self.0.bounds {
            deposits.retry_succeeded();
        }
    }

    /// Lets a retry go, if the budget has one left: checking and taking are one step.
    ///
    /// # Cancel safety
    /// A token that is dropped before [`sent`](RetryToken::sent) goes back into the budget.
    #[must_use]
    pub fn try_retry(&self) -> Option<RetryToken> {
        self.try_retry_at(Instant::now())
    }

    /// The same for a caller who knows what time it is.
    pub(crate) fn try_retry_at(&self, now: Instant) -> Option<RetryToken> {
        let now = self.0.moment(now);
        let slot = match &self.0.bounds {
            Bounds::Deposits(deposits) => deposits.take(now, || self.0.requests()).then_some(0)?,
            Bounds::Sliding(sliding) => sliding.take(now)?,
        };
        Some(RetryToken::new(self.clone(), slot))
    }

    /// The figures of this moment.
    #[must_use]
    pub fn snapshot(&self) -> BudgetSnapshot {
        let (requests, retries) = (self.0.requests(), self.0.retries.load(Ordering::Relaxed));
        BudgetSnapshot {
            name: self.0.name,
            total_requests: requests,
            total_retries: retries,
            retry_rate_percent: percent(retries, requests),
            budget_percent: self.0.budget_percent,
            within_budget: self.has_some(),
        }
    }

    /// The budget's name.
    #[must_use]
    pub fn name(&self) -> Name {
        self.0.name
    }

    fn has_some(&self) -> bool {
        let now = self.0.now();
        match &self.0.bounds {
            Bounds::Deposits(deposits) => deposits.has_some(now, || self.0.requests()),
            Bounds::Sliding(sliding) => sliding.has_some(now),
        }
    }

    fn note_sent(&self) {
        self.0.retries.fetch_add(1, Ordering::Relaxed);
    }

    fn give_back(&self, slot: u64) {
        match &self.0.bounds {
            Bounds::Deposits(deposits) => deposits.give_back(),
            Bounds::Sliding(sliding) => sliding.give_back(slot),
        }
    }
}

impl Shared {
    fn now(&self) -> Moment {
        self.moment(Instant::now())
    }

    fn moment(&self, now: Instant) -> Moment {
        Moment::after_start(now.saturating_duration_since(self.origin))
    }

    fn requests(&self) -> u64 {
        let [requests] = self.requests.sums();
        requests
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a percentage is a figure to look at"
)]
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    100.0 * part as f64 / whole as f64
}

impl Inspect for RetryBudget {
    fn name(&self) -> Name {
        self.0.name
    }

    fn kind(&self) -> &'static str {
        "retry_managers"
    }

    fn condition(&self) -> Condition {
        if self.has_some() {
            Condition::Up
        } else {
            Condition::Degraded
        }
    }

    fn facts(&self) -> Vec<Fact> {
        let snapshot = self.snapshot();
        vec![
            ("total_requests", Value::Count(snapshot.total_requests)),
            ("total_retries", Value::Count(snapshot.total_retries)),
            (
                "retry_rate_percent",
                Value::Number(snapshot.retry_rate_percent),
            ),
            ("budget_percent", Value::Number(snapshot.budget_percent)),
            ("within_budget", Value::Flag(snapshot.within_budget)),
        ]
    }
}

impl fmt::Debug for RetryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryBudget")
            .field("name", &self.0.name)
            .finish_non_exhaustive()
    }
}
