use std::fmt;

use buttress_core::{Adopt, Chosen, Guarded, Plain, Reclassify};
use tower_layer::Layer;

use crate::by_key::{ByKey, MissingKey};
use crate::keyed::Keyed;

/// Asks, for every call of a service, the handle of the request's key; for handles that decide at once.
///
/// Made by [`Keyed::by`]. `P` is the protocol of the calls: plain by default, HTTP or gRPC after `.http()` or `.grpc()` of
/// `buttress-http`, or inside its `respond`.
pub struct KeyedLayer<K, H, X, P = Plain> {
    gate: ByKey<K, H, X>,
    protocol: P,
}

impl<K, H, X> KeyedLayer<K, H, X> {
    pub(crate) const fn of(gate: ByKey<K, H, X>) -> Self {
        Self {
            gate,
            protocol: Plain::new(),
        }
    }
}

impl<K, H, X, P> KeyedLayer<K, H, X, P> {
    /// The handles that this layer asks.
    #[must_use]
    pub const fn keyed(&self) -> &Keyed<K, H> {
        &self.gate.keyed
    }

    /// Says what happens to a request that has no key. It is refused by default.
    #[must_use]
    pub fn missing_key(mut self, choice: MissingKey) -> Self {
        self.gate.missing = choice;
        self
    }

    /// Judges results by `classifier` instead; a closure goes through [`by`](buttress_core::by).
    #[must_use]
    pub fn classify<C>(self, classifier: C) -> KeyedLayer<K, H, X, P::With<Chosen<C>>>
    where
        P: Reclassify,
    {
        self.protocol(|protocol| protocol.with(Chosen::new(classifier)))
    }

    /// Puts another protocol in the place of this one, or around it: what the layer of a single handle has methods for.
    #[must_use]
    pub fn protocol<Q>(self, change: impl FnOnce(P) -> Q) -> KeyedLayer<K, H, X, Q> {
        KeyedLayer {
            gate: self.gate,
            protocol: change(self.protocol),
        }
    }
}

impl<K, H, X, P: Adopt<Q>, Q> Adopt<Q> for KeyedLayer<K, H, X, P> {
    type Adopted = KeyedLayer<K, H, X, P::Adopted>;

    fn adopt(self, protocol: Q) -> Self::Adopted {
        self.protocol(|own| own.adopt(protocol))
    }
}

impl<S, K, H, X: Clone, P: Clone> Layer<S> for KeyedLayer<K, H, X, P> {
    type Service = Guarded<S, ByKey<K, H, X>, P>;

    fn layer(&self, inner: S) -> Self::Service {
        Guarded::new(inner, self.gate.clone(), self.protocol.clone())
    }
}

impl<K, H, X: Clone, P: Clone> Clone for KeyedLayer<K, H, X, P> {
    fn clone(&self) -> Self {
        Self {
            gate: self.gate.clone(),
            protocol: self.protocol.clone(),
        }
    }
}

impl<K, H, X, P: fmt::Debug> fmt::Debug for KeyedLayer<K, H, X, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedLayer")
            .field("gate", &self.gate)
            .field("protocol", &self.protocol)
            .finish()
    }
}
