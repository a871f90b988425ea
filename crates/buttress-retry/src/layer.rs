use buttress_core::{Adopt, Chosen, Plain, Reclassify};
use tower_layer::Layer;

use crate::handle::Retry;
use crate::service::RetryService;
use crate::tailored::{CloneBy, RecoverBy, RepeatableBy};

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
        self.map(|protocol| protocol.with(Chosen::new(classifier)))
    }

    /// Lets `function` say how a request is cloned, where it is not `Clone`; what it gives nothing for is sent once.
    ///
    /// ```
    /// # #[derive(Debug)] struct Upload { file: Option<Vec<u8>> }
    /// # impl Upload { fn try_clone(&self) -> Option<Self> { Some(Self { file: self.file.clone() }) } }
    /// use buttress_retry::RetryBudgetLayer;
    ///
    /// let layer = RetryBudgetLayer::new(3).clone_by(|upload: &Upload| upload.try_clone());
    /// # let _ = layer;
    /// ```
    #[must_use]
    pub fn clone_by<Req, F>(self, function: F) -> RetryBudgetLayer<CloneBy<P, F>>
    where
        F: Fn(&Req) -> Option<Req>,
    {
        self.map(|protocol| CloneBy::new(protocol, function))
    }

    /// Lets `function` say whether sending a request twice has the effect of sending it once.
    ///
    /// Otherwise plain requests count as repeatable, those over HTTP by their method or an idempotency key, and those over gRPC
    /// as not repeatable, for nothing in them says so. What was never sent is sent again all the same.
    #[must_use]
    pub fn repeatable<Req, F>(self, function: F) -> RetryBudgetLayer<RepeatableBy<P, F>>
    where
        F: Fn(&Req) -> bool,
    {
        self.map(|protocol| RepeatableBy::new(protocol, function))
    }

    /// Lets `function` take the request out of an error that still holds it, unsent, such as hyper's
    /// `TrySendError::take_message`: it is sent again without a copy, whatever its method and the length of its body.
    ///
    /// The function is asked only when the call is going to be tried again. An error that is the last answer stays whole, unless the
    /// service turns out not to be ready for that attempt.
    #[must_use]
    pub fn recover<E, Sent, F>(self, function: F) -> RetryBudgetLayer<RecoverBy<P, F>>
    where
        F: Fn(&mut E) -> Option<Sent>,
    {
        self.map(|protocol| RecoverBy::new(protocol, function))
    }

    fn map<Q>(self, change: impl FnOnce(P) -> Q) -> RetryBudgetLayer<Q> {
        RetryBudgetLayer {
            retry: self.retry,
            protocol: change(self.protocol),
        }
    }
}

impl<P: Adopt<Q>, Q> Adopt<Q> for RetryBudgetLayer<P> {
    type Adopted = RetryBudgetLayer<P::Adopted>;

    fn adopt(self, protocol: Q) -> Self::Adopted {
        self.map(|own| own.adopt(protocol))
    }
}

impl<S: Clone, P: Clone> Layer<S> for RetryBudgetLayer<P> {
    type Service = RetryService<S, P>;

    fn layer(&self, inner: S) -> Self::Service {
        RetryService::new(inner, self.retry.clone(), self.protocol.clone())
    }
}
