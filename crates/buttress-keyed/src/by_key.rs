use std::fmt;
use std::hash::Hash;
use std::pin::Pin;
use std::task::{Context, Poll};

use buttress_core::{Gate, Key, QueueGate, Rejected};

use crate::keyed::Keyed;
use crate::per_key::PerKey;

/// What happens to a request that has no key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MissingKey {
    /// It is refused.
    #[default]
    Refuse,
    /// It goes by the handle that keys share for which there is no room: whoever leaves the key out shares the fate of all
    /// others who do.
    Share,
}

/// Handles, and whose to ask: the gate of keyed layers.
pub struct ByKey<K, H, X> {
    pub(crate) keyed: Keyed<K, H>,
    pub(crate) key: X,
    pub(crate) missing: MissingKey,
}

impl<K, H, X> ByKey<K, H, X> {
    pub(crate) fn new(keyed: Keyed<K, H>, key: X) -> Self {
        let missing = MissingKey::default();
        Self {
            keyed,
            key,
            missing,
        }
    }
}

impl<K, H, X> ByKey<K, H, X>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    H: PerKey,
{
    /// The handle of this request, if it may go by one.
    #[inline(always)]
    fn handle<Req>(&self, request: &Req) -> Option<H>
    where
        X: Key<Req, Key = K>,
    {
        match self.key.key(request) {
            Some(key) => Some(self.keyed.get(&key)),
            None => self.handle_without_key(),
        }
    }

    #[cold]
    fn handle_without_key(&self) -> Option<H> {
        let shares = self.missing == MissingKey::Share;
        shares.then(|| self.keyed.shared().clone())
    }

    #[cold]
    #[inline(never)]
    fn refuse(&self) -> Rejected {
        self.keyed.note_keyless();
        self.keyed.shared().without_key()
    }
}

impl<K, H, X: Clone> Clone for ByKey<K, H, X> {
    fn clone(&self) -> Self {
        Self {
            keyed: self.keyed.clone(),
            key: self.key.clone(),
            missing: self.missing,
        }
    }
}

/// Asks the handle of the request's key. Everything after that is a matter of the permit, which knows its own handle; what a gate
/// does with a permit it asks of the shared one, which is of the same component.
impl<Req, P, K, H, X> Gate<Req, P> for ByKey<K, H, X>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    X: Key<Req, Key = K>,
    H: PerKey + Gate<Req, P>,
{
    type Permit = H::Permit;

    #[inline(always)]
    fn admit(&self, request: &Req, protocol: &P) -> Result<H::Permit, Rejected> {
        let handle = self.handle(request).ok_or_else(|| self.refuse())?;
        handle.admit(request, protocol)
    }

    #[inline]
    fn mark(&self, permit: &H::Permit, request: &mut Req, protocol: &P) {
        Gate::mark(self.keyed.shared(), permit, request, protocol);
    }
}

impl<Req, P, K, H, X> QueueGate<Req, P> for ByKey<K, H, X>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    X: Key<Req, Key = K>,
    H: PerKey + QueueGate<Req, P>,
{
    type Permit = H::Permit;
    type Wait = H::Wait;

    #[inline(always)]
    fn try_admit(&self, request: &Req, protocol: &P) -> Option<H::Permit> {
        self.handle(request)?.try_admit(request, protocol)
    }

    fn queue(&self, request: &Req, protocol: &P) -> Result<H::Wait, Rejected> {
        let handle = self.handle(request).ok_or_else(|| self.refuse())?;
        handle.queue(request, protocol)
    }

    fn poll_overdue(wait: Pin<&mut H::Wait>, cx: &mut Context<'_>) -> Poll<Rejected> {
        H::poll_overdue(wait, cx)
    }

    fn resume(&self, permit: &H::Permit, request: &Req, protocol: &P) -> Result<(), Rejected> {
        self.keyed.shared().resume(permit, request, protocol)
    }

    #[inline]
    fn mark(&self, permit: &H::Permit, request: &mut Req, protocol: &P) {
        QueueGate::mark(self.keyed.shared(), permit, request, protocol);
    }
}

impl<K, H, X> fmt::Debug for ByKey<K, H, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByKey")
            .field("keyed", &self.keyed)
            .field("missing", &self.missing)
            .finish_non_exhaustive()
    }
}
