//! What the call of a level below the primary has taken rides on the body of its answer.

use buttress_core::{Settle, Verdict};
use http::{HeaderMap, Response};
use http_body::Body;

use crate::{ByGrpcStatus, HeadDecides, Judge, Tracked, TrailersDecide};

/// The body of a level, and what its call holds.
pub(crate) type Ridden<L> = Tracked<L, Riding, Ending>;

/// What any level has taken.
pub(crate) struct Riding(Box<dyn Held>);

trait Held: Send + Sync {
    fn settle(self: Box<Self>, verdict: Verdict);
    fn note(&self, verdict: Verdict);
}

impl<P: Settle + Send + Sync> Held for P {
    fn settle(self: Box<Self>, verdict: Verdict) {
        (*self).settle(verdict);
    }

    fn note(&self, verdict: Verdict) {
        Settle::note(self, verdict);
    }
}

impl Settle for Riding {
    fn settle(self, verdict: Verdict) {
        self.0.settle(verdict);
    }

    fn note(&self, verdict: Verdict) {
        self.0.note(verdict);
    }
}

/// Who says how the call has ended, once its body has.
pub(crate) enum Ending {
    Http(HeadDecides),
    /// A classifier of the user's own has judged the head; trailers are judged as gRPC means them.
    Grpc(TrailersDecide<ByGrpcStatus>),
}

impl Ending {
    fn of<B>(answer: &Response<B>, is_grpc: bool) -> Self {
        if is_grpc {
            Self::Grpc(TrailersDecide::after(answer, &ByGrpcStatus))
        } else {
            Self::Http(HeadDecides)
        }
    }
}

impl Judge for Ending {
    fn head_decides(&self) -> bool {
        match self {
            Self::Http(head) => head.head_decides(),
            Self::Grpc(trailers) => trailers.head_decides(),
        }
    }

    fn at_end(&self, head: Verdict, trailers: Option<&HeaderMap>) -> Verdict {
        match self {
            Self::Http(decides) => decides.at_end(head, trailers),
            Self::Grpc(decides) => decides.at_end(head, trailers),
        }
    }
}

/// Lets what a call has taken ride on its answer.
pub(crate) fn ride<L, P>(
    answer: Response<L>,
    holds: P,
    head: Verdict,
    is_grpc: bool,
) -> Response<Ridden<L>>
where
    L: Body,
    P: Settle + Send + Sync + 'static,
{
    let judge = Ending::of(&answer, is_grpc);
    Tracked::attach(answer, Riding(Box::new(holds)), head, judge)
}

/// The body of an answer that holds nothing.
pub(crate) const fn unridden<L>(body: L) -> Ridden<L> {
    Tracked::free(body, Ending::Http(HeadDecides))
}
