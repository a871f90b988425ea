use std::fmt;
use std::sync::Arc;

use buttress_core::{Listener, Name};

use crate::budget::RetryBudget;
use crate::config::{Config, RetryBuilder};
use crate::event::Event;
use crate::layer::RetryBudgetLayer;
use crate::shared::Shared;
use crate::snapshot::Snapshot;

/// Sends again what failed, within a [`RetryBudget`].
///
/// The handle owns the state; clones share it, and so do the services of every layer made from it.
///
/// # Examples
/// ```
/// use buttress_retry::Retry;
///
/// let retry = Retry::builder("inventory").retries(2).build();
/// let stack = tower::ServiceBuilder::new().layer(retry.layer());
/// # let _ = stack;
/// ```
#[derive(Clone)]
pub struct Retry(pub(crate) Arc<Shared>);

impl Retry {
    /// Configures retries of this name.
    pub fn builder(name: impl Into<Name>) -> RetryBuilder {
        RetryBuilder::new(name.into())
    }

    pub(crate) fn from_config(
        name: Name,
        config: Config,
        budget: RetryBudget,
        listener: Listener<Event>,
    ) -> Self {
        Self(Arc::new(Shared::new(name, config, budget, listener)))
    }

    /// Stands before a service, which must be `Clone`, and sends again what fails there. Every layer made here shares the
    /// budget and the figures.
    #[must_use]
    pub fn layer(&self) -> RetryBudgetLayer {
        RetryBudgetLayer::of(self.clone())
    }

    /// The budget that bounds the retries.
    #[must_use]
    pub fn budget(&self) -> &RetryBudget {
        &self.0.budget
    }

    /// The figures of this moment.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.0.snapshot()
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> Name {
        self.0.name
    }
}

impl fmt::Debug for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry")
            .field("name", &self.0.name)
            .finish_non_exhaustive()
    }
}
