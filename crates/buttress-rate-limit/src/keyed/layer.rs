use std::fmt;
use std::hash::Hash;

use buttress_core::{Adopt, Chosen, Guarded, Plain, QuotaSources, Reclassify};
use tower_layer::Layer;

use super::{KeyedGate, KeyedRateLimit};
use crate::weighted::Weighted;

/// Refuses calls to a service of which too many of one key come.
///
/// Made by [`KeyedRateLimit::by`]. `P` is the protocol of the calls, as in [`RateLimitLayer`](crate::RateLimitLayer).
pub struct KeyedRateLimitLayer<K, X, P = Plain> {
    gate: KeyedGate<K, X>,
    protocol: P,
}

impl<K, X> KeyedRateLimitLayer<K, X> {
    pub(super) const fn of(limit: KeyedRateLimit<K>, key: X) -> Self {
        Self {
            gate: KeyedGate { limit, key },
            protocol: Plain::new(),
        }
    }
}

impl<K, X, P> KeyedRateLimitLayer<K, X, P> {
    /// The limit whose state this layer shares.
    #[must_use]
    pub const fn limit(&self) -> &KeyedRateLimit<K> {
        &self.gate.limit
    }

    /// Lets a call weigh as much as `estimate` says of its request, instead of one; see
    /// [`RateLimitLayer::cost`](crate::RateLimitLayer::cost).
    #[must_use]
    pub fn cost<Req, E>(self, estimate: E) -> KeyedRateLimitLayer<K, X, Weighted<P, E>>
    where
        E: Fn(&Req) -> u32,
    {
        self.over(|protocol| Weighted::new(protocol, estimate))
    }

    /// Judges results by `classifier` instead, for what is given back; a closure goes through [`by`](buttress_core::by).
    #[must_use]
    pub fn classify<C>(self, classifier: C) -> KeyedRateLimitLayer<K, X, P::With<Chosen<C>>>
    where
        P: Reclassify,
    {
        self.over(|protocol| protocol.with(Chosen::new(classifier)))
    }

    fn over<Q>(self, change: impl FnOnce(P) -> Q) -> KeyedRateLimitLayer<K, X, Q> {
        KeyedRateLimitLayer {
            gate: self.gate,
            protocol: change(self.protocol),
        }
    }
}

impl<K, X, P, E> KeyedRateLimitLayer<K, X, Weighted<P, E>> {
    /// Lets the answer say what the call has cost in the end; see [`ActualCost`](crate::ActualCost).
    #[must_use]
    pub fn actual<T, A>(self, actual: A) -> KeyedRateLimitLayer<K, X, Weighted<P, E, A>>
    where
        A: Fn(&T) -> Option<u32>,
    {
        self.over(|protocol| protocol.settled_by(actual))
    }
}

impl<K, X, P, Q> Adopt<Q> for KeyedRateLimitLayer<K, X, P>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    P: Adopt<Q>,
{
    type Adopted = KeyedRateLimitLayer<K, X, P::Adopted>;

    fn adopt(self, protocol: Q) -> Self::Adopted {
        self.over(|own| own.adopt(protocol))
    }

    fn quota_sources(&self, sources: &mut QuotaSources) {
        sources.push(self.gate.limit.quota_source());
    }
}

impl<S, K, X: Clone, P: Clone> Layer<S> for KeyedRateLimitLayer<K, X, P> {
    type Service = Guarded<S, KeyedGate<K, X>, P>;

    fn layer(&self, inner: S) -> Self::Service {
        Guarded::new(inner, self.gate.clone(), self.protocol.clone())
    }
}

impl<K, X: Clone, P: Clone> Clone for KeyedRateLimitLayer<K, X, P> {
    fn clone(&self) -> Self {
        Self {
            gate: self.gate.clone(),
            protocol: self.protocol.clone(),
        }
    }
}

impl<K, X, P: fmt::Debug> fmt::Debug for KeyedRateLimitLayer<K, X, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedRateLimitLayer")
            .field("gate", &self.gate)
            .field("protocol", &self.protocol)
            .finish()
    }
}
