use crate::{Rejected, Settle};

/// Decides at once whether a call may start.
///
/// A component that implements this gets its tower service for nothing: [`Guarded`](crate::Guarded). `P` is the protocol of
/// the calls; a gate that wants to know the deadline or the priority of a request bounds it with
/// [`RequestContext`](crate::RequestContext).
pub trait Gate<Req, P> {
    /// What an admitted call holds until it is over.
    type Permit: Settle;

    /// Lets the call in, or refuses it. Never waits.
    ///
    /// # Errors
    /// The refusal, with its reason and a time to come back.
    fn admit(&self, request: &Req, protocol: &P) -> Result<Self::Permit, Rejected>;

    /// Writes onto the request of a call that was let in, before the inner service gets it.
    #[inline]
    fn mark(&self, permit: &Self::Permit, request: &mut Req, protocol: &P) {
        let _ = (permit, request, protocol);
    }
}
