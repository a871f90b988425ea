//! A protocol in which a function clones requests: everything else is asked of the protocol below.

use std::fmt;

use buttress_core::{
    Adopt, Again, Annotate, Asking, Classify, Deadline, Keeper, Keeping, Levels, Mark, Note,
    Priority, Reclassify, Rejected, Replay, ReplayMemory, RequestContext, ResponseContext, Settle,
    Sharing, Trail, Verdict,
};

/// A protocol in which a function says how a request is cloned, if it can be.
///
/// Made by [`FallbackLayer::clone_by`](crate::FallbackLayer::clone_by).
#[derive(Clone, Copy)]
pub struct CloneBy<P, F> {
    protocol: P,
    function: F,
}

impl<P, F> CloneBy<P, F> {
    pub(crate) const fn new(protocol: P, function: F) -> Self {
        Self { protocol, function }
    }
}

impl<P, F, Req> Replay<Req> for CloneBy<P, F>
where
    F: Fn(&Req) -> Option<Req>,
{
    type Sent = Req;
    type Kept = Req;

    fn prepare(&self, request: Req, _: &ReplayMemory) -> (Req, Option<Req>) {
        let kept = (self.function)(&request);
        (request, kept)
    }

    fn replay(&self, kept: &mut Req) -> Option<Req> {
        (self.function)(kept)
    }
}

impl<P: Classify<T, E>, F, T, E> Classify<T, E> for CloneBy<P, F> {
    #[inline(always)]
    fn classify(&self, result: Result<&T, &E>) -> Verdict {
        self.protocol.classify(result)
    }

    fn again(&self, result: Result<&T, &E>) -> Again {
        self.protocol.again(result)
    }
}

impl<P: RequestContext<Req>, F, Req> RequestContext<Req> for CloneBy<P, F> {
    #[inline(always)]
    fn deadline(&self, request: &Req) -> Option<Deadline> {
        self.protocol.deadline(request)
    }

    #[inline(always)]
    fn carries_deadline(&self) -> bool {
        self.protocol.carries_deadline()
    }

    fn priority(&self, request: &Req) -> Option<Priority> {
        self.protocol.priority(request)
    }

    fn is_retry(&self, request: &Req) -> bool {
        self.protocol.is_retry(request)
    }

    #[inline(always)]
    fn units(&self, request: &Req) -> u32 {
        self.protocol.units(request)
    }

    #[inline(always)]
    fn follows_quota(&self) -> bool {
        self.protocol.follows_quota()
    }

    fn sharing(&self, request: &Req) -> Sharing {
        self.protocol.sharing(request)
    }

    fn asking(&self, request: &Req) -> Asking {
        self.protocol.asking(request)
    }

    fn stamp(&self, request: &mut Req, mark: Mark) {
        self.protocol.stamp(request, mark);
    }
}

impl<P: ResponseContext<T>, F, T> ResponseContext<T> for CloneBy<P, F> {
    type Discard = P::Discard;

    fn discard(&self, answer: T) -> P::Discard {
        self.protocol.discard(answer)
    }

    fn refusal(&self, answer: &T) -> Option<Rejected> {
        self.protocol.refusal(answer)
    }

    fn is_degraded(&self, answer: &T) -> bool {
        self.protocol.is_degraded(answer)
    }
}

impl<P: Levels<T, L, K>, F, T, L, K: Keeping> Levels<T, L, K> for CloneBy<P, F> {
    type Output = P::Output;

    #[inline(always)]
    fn first(&self, answer: T) -> P::Output {
        self.protocol.first(answer)
    }

    fn lower(&self, answer: L) -> P::Output {
        self.protocol.lower(answer)
    }

    fn lower_holding<H>(&self, answer: L, holds: H, verdict: Verdict) -> P::Output
    where
        H: Settle + Send + Sync + 'static,
    {
        self.protocol.lower_holding(answer, holds, verdict)
    }

    fn restore(&self, kept: K::Value) -> P::Output {
        self.protocol.restore(kept)
    }

    fn fits(&self, kept: &K::Value, asking: &Asking) -> bool {
        self.protocol.fits(kept, asking)
    }

    fn keep(&self, answer: P::Output, keeper: Keeper<K::Value>) -> P::Output {
        self.protocol.keep(answer, keeper)
    }

    fn exhausted(&self, trail: &Trail, refused: Option<Rejected>) -> Option<P::Output> {
        self.protocol.exhausted(trail, refused)
    }
}

impl<P: Annotate<T>, F, T> Annotate<T> for CloneBy<P, F> {
    fn annotate(&self, answer: &mut T, note: Note) {
        self.protocol.annotate(answer, note);
    }
}

impl<P: Reclassify, F> Reclassify for CloneBy<P, F> {
    type With<C> = CloneBy<P::With<C>, F>;

    fn with<C>(self, classifier: C) -> Self::With<C> {
        CloneBy::new(self.protocol.with(classifier), self.function)
    }
}

impl<P: Adopt<Q>, F, Q> Adopt<Q> for CloneBy<P, F> {
    type Adopted = CloneBy<P::Adopted, F>;

    fn adopt(self, protocol: Q) -> Self::Adopted {
        CloneBy::new(self.protocol.adopt(protocol), self.function)
    }
}

// Without asking whether the function can be printed: none can.
impl<P: fmt::Debug, F> fmt::Debug for CloneBy<P, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CloneBy").field(&self.protocol).finish()
    }
}
