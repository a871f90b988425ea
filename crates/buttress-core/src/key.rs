use std::hash::Hash;

/// Says whose call this is: the client, the tenant, the host that a keyed component keeps apart from the others.
///
/// Any closure `Fn(&Req) -> Option<K>` is one; `buttress-http` has those that read an address, a header or a path. `None` says that
/// the request has no key; what then happens is the component's choice, and by default it refuses. An empty key is a key.
///
/// It runs on every call: a key that is `Copy`, or cheap to clone, costs the least. What a client writes into a request makes a key that
/// this client chooses, and may choose anew for every call.
///
/// ```
/// use buttress_core::Key;
///
/// struct Query { tenant: Option<u32> }
///
/// let by_tenant = |query: &Query| query.tenant;
/// assert_eq!(by_tenant.key(&Query { tenant: Some(7) }), Some(7));
/// assert_eq!(by_tenant.key(&Query { tenant: None }), None);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say whose call a `{Req}` is",
    label = "no `Key<{Req}>` for `{Self}`",
    note = "a closure returns an option, and its key can be compared, hashed and kept: `|request: &_| Some(…)`"
)]
pub trait Key<Req: ?Sized> {
    /// What tells one from another.
    type Key: Clone + Eq + Hash + Send + Sync + 'static;

    /// The key of this request, where it has one.
    fn key(&self, request: &Req) -> Option<Self::Key>;
}

impl<F, Req: ?Sized, K> Key<Req> for F
where
    F: Fn(&Req) -> Option<K>,
    K: Clone + Eq + Hash + Send + Sync + 'static,
{
    type Key = K;

    #[inline(always)]
    fn key(&self, request: &Req) -> Option<K> {
        self(request)
    }
}
