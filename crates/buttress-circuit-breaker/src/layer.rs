use buttress_core::{
    Adopt, Chosen, Gate, Guarded, Mark, Plain, Reclassify, Rejected, RequestContext,
};
use tower_layer::Layer;

use crate::handle::CircuitBreaker;
use crate::permit::Permit;
use crate::probe::OnProbe;
use crate::window::Window;

/// Refuses calls to a service that keeps failing.
///
/// Made by [`CircuitBreaker::layer`]. `P` is the protocol of the calls: plain by default, HTTP or gRPC after `.http()` or
/// `.grpc()` of `buttress-http`, or inside its `respond`.
#[derive(Clone, Debug)]
pub struct CircuitBreakerLayer<P = Plain> {
    breaker: CircuitBreaker,
    protocol: P,
}

impl CircuitBreakerLayer {
    pub(crate) const fn of(breaker: CircuitBreaker) -> Self {
        Self {
            breaker,
            protocol: Plain::new(),
        }
    }

    /// Opens after this many failures in a row; everything else as in [`CircuitBreaker::builder`].
    ///
    /// # Panics
    /// When `failures` is zero.
    #[must_use]
    #[track_caller]
    pub fn consecutive(failures: u32) -> Self {
        CircuitBreaker::builder("circuit-breaker")
            .consecutive_failures(failures)
            .build()
            .layer()
    }

    /// Opens when this share of the last 100 calls failed; everything else as in [`CircuitBreaker::builder`].
    ///
    /// # Panics
    /// When `share` is not above 0 and at most 1.
    #[must_use]
    #[track_caller]
    pub fn failure_rate(share: f64) -> Self {
        let builder = CircuitBreaker::builder("circuit-breaker");
        builder
            .failure_rate(share, Window::default())
            .build()
            .layer()
    }
}

impl<P> CircuitBreakerLayer<P> {
    /// The breaker whose state this layer shares.
    #[must_use]
    pub const fn breaker(&self) -> &CircuitBreaker {
        &self.breaker
    }

    /// Judges results by `classifier` instead; a closure goes through [`by`](buttress_core::by).
    #[must_use]
    pub fn classify<C>(self, classifier: C) -> CircuitBreakerLayer<P::With<Chosen<C>>>
    where
        P: Reclassify,
    {
        CircuitBreakerLayer {
            breaker: self.breaker,
            protocol: self.protocol.with(Chosen::new(classifier)),
        }
    }

    /// Lets `mark` write onto the request of every probe, before it goes out: a header that asks for a light answer, say.
    #[must_use]
    pub fn on_probe<F>(self, mark: F) -> CircuitBreakerLayer<OnProbe<P, F>> {
        CircuitBreakerLayer {
            breaker: self.breaker,
            protocol: OnProbe::new(self.protocol, mark),
        }
    }
}

impl<P: Adopt<Q>, Q> Adopt<Q> for CircuitBreakerLayer<P> {
    type Adopted = CircuitBreakerLayer<P::Adopted>;

    fn adopt(self, protocol: Q) -> Self::Adopted {
        CircuitBreakerLayer {
            breaker: self.breaker,
            protocol: self.protocol.adopt(protocol),
        }
    }
}

impl<S, P: Clone> Layer<S> for CircuitBreakerLayer<P> {
    type Service = Guarded<S, CircuitBreaker, P>;

    fn layer(&self, inner: S) -> Self::Service {
        Guarded::new(inner, self.breaker.clone(), self.protocol.clone())
    }
}

impl<Req, P: RequestContext<Req>> Gate<Req, P> for CircuitBreaker {
    type Permit = Permit;

    #[inline]
    fn admit(&self, _: &Req, _: &P) -> Result<Permit, Rejected> {
        self.try_acquire()
    }

    #[inline]
    fn mark(&self, permit: &Permit, request: &mut Req, protocol: &P) {
        if permit.is_probe() {
            protocol.stamp(request, Mark::Probe);
        }
    }
}
