use std::fmt;

use buttress_core::{Adopt, Chosen, Keeping, Plain, Reclassify, ServedBy, Uncached};
use tower_layer::Layer;

use crate::cloned::CloneBy;
use crate::handle::FallbackChain;
use crate::mark::{MapServed, Unmarked};
use crate::service::FallbackService;

/// Asks the other levels of a chain when a service fails.
///
/// Made by [`FallbackChain::layer`]. The service is the primary, and must be `Clone`; for futures that are `Send` it must be `Sync`, too. Its readiness is part of the call: a service that
/// is not ready in its time, or fails to get ready, is fallen back from too, so this layer is always ready. `P` is the protocol of the
/// calls: plain by default, where requests must be `Clone` and all levels answer with the same type; HTTP or gRPC after `.http()` or
/// `.grpc()` of `buttress-http`, or inside its `respond`, where bodies are kept while they are sent, and answers are marked.
pub struct FallbackLayer<Req, T, E, K: Keeping = Uncached, P = Plain, M = Unmarked> {
    chain: FallbackChain<Req, T, E, K>,
    protocol: P,
    mark: M,
}

impl<Req, T, E, K: Keeping> FallbackLayer<Req, T, E, K> {
    pub(crate) const fn of(chain: FallbackChain<Req, T, E, K>) -> Self {
        Self {
            chain,
            protocol: Plain::new(),
            mark: Unmarked,
        }
    }
}

impl<Req, T, E, K: Keeping, P, M> FallbackLayer<Req, T, E, K, P, M> {
    /// The handle whose levels this layer asks.
    #[must_use]
    pub const fn chain(&self) -> &FallbackChain<Req, T, E, K> {
        &self.chain
    }

    /// Judges results by `classifier` instead; a closure goes through [`by`](buttress_core::by).
    #[must_use]
    pub fn classify<C>(self, classifier: C) -> FallbackLayer<Req, T, E, K, P::With<Chosen<C>>, M>
    where
        P: Reclassify,
    {
        self.map(|protocol| protocol.with(Chosen::new(classifier)))
    }

    /// Clones requests that are not `Clone` by `function`. Where it returns nothing only the primary is asked, and levels that need no
    /// request: caches and values.
    ///
    /// ```
    /// use buttress_fallback::{FallbackChain, Source};
    ///
    /// /// Not `Clone`: it may be a stream.
    /// struct Upload(Option<Vec<u8>>);
    ///
    /// let chain: FallbackChain<Upload, usize, std::io::Error> = FallbackChain::builder("uploads").build();
    /// let layer = chain.layer().clone_by(|upload: &Upload| Some(Upload(Some(upload.0.clone()?))));
    /// # let _ = layer;
    /// ```
    #[must_use]
    pub fn clone_by<F>(self, function: F) -> FallbackLayer<Req, T, E, K, CloneBy<P, F>, M>
    where
        F: Fn(&Req) -> Option<Req>,
    {
        self.map(|protocol| CloneBy::new(protocol, function))
    }

    /// Lets `function` mark an answer that comes from below the primary, or was kept. Over HTTP headers do that already.
    #[must_use]
    pub fn map_served<O, F>(self, function: F) -> FallbackLayer<Req, T, E, K, P, MapServed<F>>
    where
        F: Fn(O, &ServedBy) -> O,
    {
        FallbackLayer {
            chain: self.chain,
            protocol: self.protocol,
            mark: MapServed(function),
        }
    }

    fn map<Q>(self, change: impl FnOnce(P) -> Q) -> FallbackLayer<Req, T, E, K, Q, M> {
        FallbackLayer {
            chain: self.chain,
            protocol: change(self.protocol),
            mark: self.mark,
        }
    }
}

impl<Req, T, E, K: Keeping, P: Adopt<Q>, M, Q> Adopt<Q> for FallbackLayer<Req, T, E, K, P, M> {
    type Adopted = FallbackLayer<Req, T, E, K, P::Adopted, M>;

    fn adopt(self, protocol: Q) -> Self::Adopted {
        self.map(|own| own.adopt(protocol))
    }
}

impl<S, Req, T, E, K, P, M> Layer<S> for FallbackLayer<Req, T, E, K, P, M>
where
    S: Clone,
    K: Keeping,
    P: Clone,
    M: Clone,
{
    type Service = FallbackService<S, Req, T, E, K, P, M>;

    fn layer(&self, inner: S) -> Self::Service {
        let (protocol, mark) = (self.protocol.clone(), self.mark.clone());
        FallbackService::new(inner, self.chain.clone(), protocol, mark)
    }
}

impl<Req, T, E, K: Keeping, P: Clone, M: Clone> Clone for FallbackLayer<Req, T, E, K, P, M> {
    fn clone(&self) -> Self {
        Self {
            chain: self.chain.clone(),
            protocol: self.protocol.clone(),
            mark: self.mark.clone(),
        }
    }
}

impl<Req, T, E, K: Keeping, P: fmt::Debug, M> fmt::Debug for FallbackLayer<Req, T, E, K, P, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FallbackLayer")
            .field("chain", &self.chain)
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}
