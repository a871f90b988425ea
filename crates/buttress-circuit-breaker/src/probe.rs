use std::fmt;

use buttress_core::{
    Adopt, Completion, Deadline, Mark, Priority, Reclassify, Rejected, RequestContext,
};

/// A protocol that also marks the requests of probes.
///
/// Made by [`CircuitBreakerLayer::on_probe`](crate::CircuitBreakerLayer::on_probe), and for many keys by
/// `layer.protocol(|protocol| OnProbe::new(protocol, mark))`.
#[derive(Clone, Copy)]
pub struct OnProbe<P, F> {
    protocol: P,
    mark: F,
}

impl<P, F> OnProbe<P, F> {
    /// Lets `mark` write onto the request of every probe, before it goes out.
    #[must_use]
    pub const fn new(protocol: P, mark: F) -> Self {
        Self { protocol, mark }
    }
}

impl<P, F, Req> RequestContext<Req> for OnProbe<P, F>
where
    P: RequestContext<Req>,
    F: Fn(&mut Req),
{
    fn deadline(&self, request: &Req) -> Option<Deadline> {
        self.protocol.deadline(request)
    }

    fn priority(&self, request: &Req) -> Option<Priority> {
        self.protocol.priority(request)
    }

    fn stamp(&self, request: &mut Req, mark: Mark) {
        self.protocol.stamp(request, mark);
        if mark == Mark::Probe {
            (self.mark)(request);
        }
    }
}

impl<P, F, T, E, Permit> Completion<T, E, Permit> for OnProbe<P, F>
where
    P: Completion<T, E, Permit>,
{
    type Output = P::Output;

    fn complete(&self, permit: Permit, result: Result<T, E>) -> Result<P::Output, E> {
        self.protocol.complete(permit, result)
    }

    fn refusal(&self, answer: &T) -> Option<Rejected> {
        self.protocol.refusal(answer)
    }
}

impl<P: Adopt<Q>, F, Q> Adopt<Q> for OnProbe<P, F> {
    type Adopted = OnProbe<P::Adopted, F>;

    fn adopt(self, protocol: Q) -> Self::Adopted {
        OnProbe {
            protocol: self.protocol.adopt(protocol),
            mark: self.mark,
        }
    }
}

impl<P: Reclassify, F> Reclassify for OnProbe<P, F> {
    type With<C> = OnProbe<P::With<C>, F>;

    fn with<C>(self, classifier: C) -> Self::With<C> {
        OnProbe {
            protocol: self.protocol.with(classifier),
            mark: self.mark,
        }
    }
}

impl<P: fmt::Debug, F> fmt::Debug for OnProbe<P, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnProbe")
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}
