use std::time::Duration;

use buttress_core::{Adopt, Chosen, Plain, Reclassify};
use tower_layer::Layer;

use crate::handle::AdaptiveTimeout;
use crate::service::AdaptiveTimeoutService;

/// Ends calls to a service that take too long.
///
/// Made by [`AdaptiveTimeout::layer`]. `P` is the protocol of the calls: plain by default; HTTP or gRPC after `.http()` or `.grpc()`
/// of `buttress-http`, or inside its `respond`, where an answer has a head and a body, each with limits of its own.
#[derive(Clone, Debug)]
pub struct AdaptiveTimeoutLayer<P = Plain> {
    timeout: AdaptiveTimeout,
    protocol: P,
}

impl AdaptiveTimeoutLayer {
    pub(crate) const fn of(timeout: AdaptiveTimeout) -> Self {
        Self {
            timeout,
            protocol: Plain::new(),
        }
    }

    /// Learns, with everything as in [`AdaptiveTimeout::builder`].
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "each has a state of its own, which a default would hide"
    )]
    pub fn new() -> Self {
        AdaptiveTimeout::builder("timeout").build().layer()
    }

    /// Limits whole calls to this, and learns nothing.
    ///
    /// # Panics
    /// When `limit` is zero.
    #[must_use]
    #[track_caller]
    pub fn fixed(limit: Duration) -> Self {
        AdaptiveTimeout::fixed(limit).layer()
    }
}

impl<P> AdaptiveTimeoutLayer<P> {
    /// The handle whose state this layer shares.
    #[must_use]
    pub const fn timeout(&self) -> &AdaptiveTimeout {
        &self.timeout
    }

    /// Judges results by `classifier` instead; a closure goes through [`by`](buttress_core::by). The timeout learns from what it
    /// calls a success.
    #[must_use]
    pub fn classify<C>(self, classifier: C) -> AdaptiveTimeoutLayer<P::With<Chosen<C>>>
    where
        P: Reclassify,
    {
        AdaptiveTimeoutLayer {
            timeout: self.timeout,
            protocol: self.protocol.with(Chosen::new(classifier)),
        }
    }
}

impl<P: Adopt<Q>, Q> Adopt<Q> for AdaptiveTimeoutLayer<P> {
    type Adopted = AdaptiveTimeoutLayer<P::Adopted>;

    fn adopt(self, protocol: Q) -> Self::Adopted {
        AdaptiveTimeoutLayer {
            timeout: self.timeout,
            protocol: self.protocol.adopt(protocol),
        }
    }
}

impl<S, P: Clone> Layer<S> for AdaptiveTimeoutLayer<P> {
    type Service = AdaptiveTimeoutService<S, P>;

    fn layer(&self, inner: S) -> Self::Service {
        AdaptiveTimeoutService::new(inner, self.timeout.clone(), self.protocol.clone())
    }
}
