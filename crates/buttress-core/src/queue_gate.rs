use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::{Rejected, Settle};

/// Decides whether a call may start, and lets it wait for its turn when it may not start at once.
///
/// A component that implements this gets its tower service for nothing: [`Queued`](crate::Queued). `P` is the protocol of
/// the calls; a gate that wants to know the deadline or the priority of a request bounds it with
/// [`RequestContext`](crate::RequestContext).
pub trait QueueGate<Req, P> {
    /// What an admitted call holds until it is over.
    type Permit: Settle;

    /// The wait for a permit; refuses a call that has waited in vain.
    ///
    /// Dropping it leaves the queue, and gives back a permit that was already meant for it.
    type Wait: Future<Output = Result<Self::Permit, Rejected>>;

    /// Lets the call in when nothing stands in its way. Never waits.
    ///
    /// `None` decides nothing yet: [`queue`](Self::queue) is asked next, and may refuse at once.
    fn try_admit(&self, request: &Req, protocol: &P) -> Option<Self::Permit>;

    /// Lets the call wait. Asked only after [`try_admit`](Self::try_admit) let nobody in; the wait may begin, and take a place in
    /// the queue, with its first poll.
    ///
    /// # Errors
    /// The refusal, with its reason and a time to come back, of a call that cannot wait at all.
    fn queue(&self, request: &Req, protocol: &P) -> Result<Self::Wait, Rejected>;

    /// Ends the wait of a call that got its permit, and then finds the inner service not ready: refuses it once it can no longer
    /// start in time. Its permit is dropped then. By default such a call waits for the service as long as it takes.
    fn poll_overdue(wait: Pin<&mut Self::Wait>, cx: &mut Context<'_>) -> Poll<Rejected> {
        let _ = (wait, cx);
        Poll::Pending
    }

    /// Says whether a call that has waited may still start. Asked when the inner service is ready for it.
    ///
    /// # Errors
    /// The refusal of a call that comes too late; its permit is dropped.
    fn resume(&self, permit: &Self::Permit, request: &Req, protocol: &P) -> Result<(), Rejected> {
        let _ = (permit, request, protocol);
        Ok(())
    }

    /// Writes onto the request of a call that was let in, before the inner service gets it.
    #[inline]
    fn mark(&self, permit: &Self::Permit, request: &mut Req, protocol: &P) {
        let _ = (permit, request, protocol);
    }
}
