use buttress_core::{Adopt, Chosen, Plain, Reclassify};
use tower_layer::Layer;

use crate::handle::Retry;
use crate::service::RetryService;

/// Sends calls to a service again when they fail, within a budget.
///
/// Made by [`Retry::layer`]. The service must be `Clone`: the instance that was polled makes the first attempt, and further ones
/// are made by clones that are polled until they are ready. Nothing is cloned but to retry. `P` is the protocol of the calls:
/// plain by default, where requests must be `Clone`; HTTP or gRPC after `.http()` or `.grpc()` of `buttress-http`, or inside its
/// `respond`, where bodies are kept while they are sent.
#[derive(Clone, Debug)]
pub struct RetryBudgetLayer<P = Plain> {
    retry: Retry,
    protocol: P,
}

impl RetryBudgetLayer {
    pub(crate) const fn of(retry: Retry) -> Self {
        Self {
            retry,
            protocol: Plain::new(),
        }
    }

    /// Sends a request again this often at most, with a budget of its own; everything else as in [`Retry::builder`].
    #[must_use]
    pub fn new(retries: u32) -> Self {
        Retry::builder("retry").retries(retries).build().layer()
    }
}

impl<P> RetryBudgetLayer<P> {
    /// The handle whose state this layer shares.
    #[must_use]
    pub const fn retry(&self) -> &Retry {
        &self.retry
    }

    /// Judges results by `classifier` instead; a closure goes through [`by`](buttress_core::by). What it calls a failure is tried
    /// again; a classifier type can say otherwise in its `again`.
    #[must_use]
    pub fn classify<C>(self, classifier: C) -> RetryBudgetLayer<P::With<Chosen<C>>>
    where
        P: Reclassify,
    {
        RetryBudgetLayer {
            retry: self.retry,
            protocol: self.protocol.with(Chosen::new(classifier)),
        }
    }
}

impl<P: Adopt<Q>, Q> Adopt<Q> for RetryBudgetLayer<P> {
    type Adopted = RetryBudgetLayer<P::Adopted>;

    fn adopt(self, protocol: Q) -> Self::Adopted {
        RetryBudgetLayer {
            retry: self.retry,
            protocol: self.protocol.adopt(protocol),
        }
    }
}

impl<S: Clone, P: Clone> Layer<S> for RetryBudgetLayer<P> {
    type Service = RetryService<S, P>;

    fn layer(&self, inner: S) -> Self::Service {
        RetryService::new(inner, self.retry.clone(), self.protocol.clone())
    }
}
