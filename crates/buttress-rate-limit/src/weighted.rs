use buttress_core::{
    Adopt, Again, Classify, Completion, Deadline, Mark, Priority, QuotaSources, Reason, Reclassify,
    Rejectable, Rejected, RequestContext, Verdict,
};

use crate::permit::Charged;

/// A protocol whose calls weigh as much as a function of the request says, and in the end as much as one of the answer says; in
/// everything else it is the protocol `P`.
///
/// Made by [`RateLimitLayer::cost`](crate::RateLimitLayer::cost) and its likes. What a call took is given back when it turns out that
/// it cost nothing: when the answer is throttled or overloaded, when the request was never sent, and when a component of ours
/// further in refused it, but for a timeout or a deadline, up to which it may have run: also where that is an answer already, made by an edge in the same process.
#[derive(Clone, Copy, Debug)]
pub struct Weighted<P, E, A = Estimated> {
    protocol: P,
    estimate: E,
    actual: A,
}

/// What an answer says that its call has cost.
///
/// Any closure `Fn(&T) -> Option<u32>` is one; `None` lets the estimate stand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say what a call that ends with `{T}` has cost",
    label = "a closure is written `|answer: &_| Some(…)`"
)]
pub trait ActualCost<T> {
    /// The units that the call has cost, when the answer tells.
    fn actual(&self, answer: &T) -> Option<u32>;
}

impl<F: Fn(&T) -> Option<u32>, T> ActualCost<T> for F {
    fn actual(&self, answer: &T) -> Option<u32> {
        self(answer)
    }
}

/// No answer tells: a call costs what was estimated.
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    clippy::exhaustive_structs,
    reason = "it says that there is nothing to say"
)]
pub struct Estimated;

impl<T> ActualCost<T> for Estimated {
    #[inline]
    fn actual(&self, _: &T) -> Option<u32> {
        None
    }
}

impl<P, E> Weighted<P, E> {
    pub(crate) const fn new(protocol: P, estimate: E) -> Self {
        Self {
            protocol,
            estimate,
            actual: Estimated,
        }
    }

    pub(crate) fn settled_by<A>(self, actual: A) -> Weighted<P, E, A> {
        Weighted {
            protocol: self.protocol,
            estimate: self.estimate,
            actual,
        }
    }
}

impl<Req, P, E, A> RequestContext<Req> for Weighted<P, E, A>
where
    P: RequestContext<Req>,
    E: Fn(&Req) -> u32,
{
    fn deadline(&self, request: &Req) -> Option<Deadline> {
        self.protocol.deadline(request)
    }

    fn carries_deadline(&self) -> bool {
        self.protocol.carries_deadline()
    }

    fn priority(&self, request: &Req) -> Option<Priority> {
        self.protocol.priority(request)
    }

    fn is_retry(&self, request: &Req) -> bool {
        self.protocol.is_retry(request)
    }

    fn units(&self, request: &Req) -> u32 {
        (self.estimate)(request)
    }

    fn follows_quota(&self) -> bool {
        true
    }

    fn stamp(&self, request: &mut Req, mark: Mark) {
        self.protocol.stamp(request, mark);
    }
}

impl<T, Err, Permit, P, E, A> Completion<T, Err, Permit> for Weighted<P, E, A>
where
    P: Completion<T, Err, Permit> + Classify<T, Err>,
    A: ActualCost<T>,
    Err: Rejectable,
    Permit: Charged,
{
    type Output = P::Output;

    fn complete(&self, mut permit: Permit, result: Result<T, Err>) -> Result<P::Output, Err> {
        let judged = result.as_ref();
        let refused = match judged {
            Ok(answer) => self.protocol.refusal(answer),
            Err(error) => error.rejection(),
        };
        if self.cost_nothing(judged, refused) {
            permit.give_back();
        } else if let Some(units) = judged.ok().and_then(|answer| self.actual.actual(answer)) {
            permit.correct(units);
        }
        self.protocol.complete(permit, result)
    }

    fn refusal(&self, answer: &T) -> Option<Rejected> {
        self.protocol.refusal(answer)
    }
}

impl<P, E, A> Weighted<P, E, A> {
    /// Whether nobody did any work for this call, so that nobody bills it.
    fn cost_nothing<T, Err>(&self, result: Result<&T, &Err>, refused: Option<Rejected>) -> bool
    where
        P: Classify<T, Err>,
    {
        if let Some(rejected) = refused {
            // It may have run until then; or a client with a short deadline would work for nothing.
            let may_have_run = [Reason::TimedOut, Reason::DeadlineExceeded];
            return !may_have_run.contains(&rejected.reason());
        }
        let turned_away = matches!(
            self.protocol.classify(result),
            Verdict::Throttled { .. } | Verdict::Overloaded { .. }
        );
        turned_away || self.protocol.again(result) == Again::NotSent
    }
}

impl<P: Reclassify, E, A> Reclassify for Weighted<P, E, A> {
    type With<C> = Weighted<P::With<C>, E, A>;

    fn with<C>(self, classifier: C) -> Self::With<C> {
        Weighted {
            protocol: self.protocol.with(classifier),
            estimate: self.estimate,
            actual: self.actual,
        }
    }
}

impl<P: Adopt<Q>, Q, E, A> Adopt<Q> for Weighted<P, E, A> {
    type Adopted = Weighted<P::Adopted, E, A>;

    fn adopt(self, protocol: Q) -> Self::Adopted {
        Weighted {
            protocol: self.protocol.adopt(protocol),
            estimate: self.estimate,
            actual: self.actual,
        }
    }

    fn quota_sources(&self, sources: &mut QuotaSources) {
        self.protocol.quota_sources(sources);
    }
}
