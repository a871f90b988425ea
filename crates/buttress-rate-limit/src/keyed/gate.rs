use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use buttress_core::{Gate, Key, Rejected, RequestContext};

use super::{KeyedPermit, KeyedRateLimit};
use crate::layer::is_too_late;

/// The limit of a keyed layer, and what gives a request its key.
pub struct KeyedGate<K, X> {
    pub(super) limit: KeyedRateLimit<K>,
    pub(super) key: X,
}

impl<Req, P, K, X> Gate<Req, P> for KeyedGate<K, X>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    X: Key<Req, Key = K>,
    P: RequestContext<Req>,
{
    type Permit = KeyedPermit<K>;

    #[inline(always)]
    fn admit(&self, request: &Req, protocol: &P) -> Result<KeyedPermit<K>, Rejected> {
        let shared = &self.limit.0;
        if is_too_late(request, protocol) {
            return Err(shared.refuse_late());
        }
        let units = protocol.units(request);
        let Some(key) = self.key.key(request) else {
            let taken = shared.take_without_key(units)?;
            return Ok(KeyedPermit::new(None, taken));
        };
        shared.take(key, units, |key, taken| {
            let kept = protocol.follows_quota().then(|| (Arc::clone(shared), key));
            KeyedPermit::new(kept, taken)
        })
    }
}

impl<K, X: Clone> Clone for KeyedGate<K, X> {
    fn clone(&self) -> Self {
        Self {
            limit: self.limit.clone(),
            key: self.key.clone(),
        }
    }
}

impl<K, X> fmt::Debug for KeyedGate<K, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedGate")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}
