use buttress_core::{
    Adopt, Completion, Deadline, Mark, Priority, Reclassify, Rejected, RequestContext,
};

/// A protocol whose calls matter as much as a function of the request says; in everything else it is the protocol `P`.
///
/// Made by [`BulkheadLayer::priority`](crate::BulkheadLayer::priority), and for many keys by
/// `layer.protocol(|protocol| Prioritised::new(protocol, choose))`.
#[derive(Clone, Copy, Debug)]
pub struct Prioritised<P, F> {
    protocol: P,
    choose: F,
}

impl<P, F> Prioritised<P, F> {
    /// Lets `choose` say how much a call matters.
    #[must_use]
    pub const fn new(protocol: P, choose: F) -> Self {
        Self { protocol, choose }
    }
}

impl<Req, P, F> RequestContext<Req> for Prioritised<P, F>
where
    P: RequestContext<Req>,
    F: Fn(&Req) -> Priority,
{
    fn deadline(&self, request: &Req) -> Option<Deadline> {
        self.protocol.deadline(request)
    }

    fn priority(&self, request: &Req) -> Option<Priority> {
        Some((self.choose)(request))
    }

    fn is_retry(&self, request: &Req) -> bool {
        self.protocol.is_retry(request)
    }

    fn stamp(&self, request: &mut Req, mark: Mark) {
        self.protocol.stamp(request, mark);
    }
}

impl<T, E, Permit, P: Completion<T, E, Permit>, F> Completion<T, E, Permit> for Prioritised<P, F> {
    type Output = P::Output;

    #[inline(always)]
    fn complete(&self, permit: Permit, result: Result<T, E>) -> Result<P::Output, E> {
        self.protocol.complete(permit, result)
    }

    fn refusal(&self, answer: &T) -> Option<Rejected> {
        self.protocol.refusal(answer)
    }
}

impl<P: Reclassify, F> Reclassify for Prioritised<P, F> {
    type With<C> = Prioritised<P::With<C>, F>;

    fn with<C>(self, classifier: C) -> Self::With<C> {
        Prioritised::new(self.protocol.with(classifier), self.choose)
    }
}

impl<P: Adopt<Q>, Q, F> Adopt<Q> for Prioritised<P, F> {
    type Adopted = Prioritised<P::Adopted, F>;

    fn adopt(self, protocol: Q) -> Self::Adopted {
        Prioritised::new(self.protocol.adopt(protocol), self.choose)
    }
}
