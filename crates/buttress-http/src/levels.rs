//! How a fallback chain speaks HTTP and gRPC.

use std::convert::Infallible;

use buttress_core::{
    Annotate, Asking, Cached, Keeper, Levels, Note, Rejected, Settle, Trail, Uncached, Verdict,
};
use http::Response;
use http_body::Body;

use crate::degraded;
use crate::replayed::BoxError;
use crate::ridden::{ride, unridden};
use crate::side::Side;
use crate::{FallbackBody, Grpc, Http, KeptAnswer, Until};

macro_rules! has_levels {
    ($protocol:ident, $is_grpc:literal, $exhausted:path) => {
        /// Each level may have a body of its own, which holds what its call has taken: the level's slot, and permits of its gates. On a server, inside of `respond`, a chain that no level of has answered says so
        /// itself; elsewhere the primary's failure goes to the caller.
        impl<C, M: Until, B, L> Levels<Response<B>, Response<L>, Uncached> for $protocol<C, M>
        where
            B: Body<Error: Into<BoxError>>,
            L: Body<Error: Into<BoxError>>,
        {
            type Output = Response<FallbackBody<B, L>>;

            fn first(&self, answer: Response<B>) -> Self::Output {
                answer.map(FallbackBody::first)
            }

            fn lower(&self, answer: Response<L>) -> Self::Output {
                answer.map(|body| FallbackBody::lower(unridden(body)))
            }

            fn lower_holding<H>(
                &self,
                answer: Response<L>,
                holds: H,
                verdict: Verdict,
            ) -> Self::Output
            where
                H: Settle + Send + Sync + 'static,
            {
                if M::RIDES {
                    return ride(answer, holds, verdict, $is_grpc).map(FallbackBody::lower);
                }
                holds.settle(verdict);
                Levels::<Response<B>, Response<L>, Uncached>::lower(self, answer)
            }

            fn restore(&self, kept: Infallible) -> Self::Output {
                match kept {}
            }

            fn keep(&self, answer: Self::Output, _: Keeper<Infallible>) -> Self::Output {
                answer
            }

            fn exhausted(&self, trail: &Trail, over: Option<Rejected>) -> Option<Self::Output> {
                let made = |bytes| FallbackBody::made(bytes, None);
                (self.side == Side::Server).then(|| $exhausted(trail, over).map(made))
            }
        }

        /// The same with caches, for which an answer is copied while it goes by.
        impl<C, M: Until, B, L> Levels<Response<B>, Response<L>, Cached<KeptAnswer>>
            for $protocol<C, M>
        where
            B: Body<Error: Into<BoxError>>,
            L: Body<Error: Into<BoxError>>,
        {
            type Output = Response<FallbackBody<B, L>>;

            fn first(&self, answer: Response<B>) -> Self::Output {
                answer.map(FallbackBody::first)
            }

            fn lower(&self, answer: Response<L>) -> Self::Output {
                answer.map(|body| FallbackBody::lower(unridden(body)))
            }

            fn lower_holding<H>(
                &self,
                answer: Response<L>,
                holds: H,
                verdict: Verdict,
            ) -> Self::Output
            where
                H: Settle + Send + Sync + 'static,
            {
                if M::RIDES {
                    return ride(answer, holds, verdict, $is_grpc).map(FallbackBody::lower);
                }
                holds.settle(verdict);
                Levels::<Response<B>, Response<L>, Cached<KeptAnswer>>::lower(self, answer)
            }

            fn restore(&self, kept: KeptAnswer) -> Self::Output {
                kept.restore()
            }

            fn fits(&self, kept: &KeptAnswer, asking: &Asking) -> bool {
                kept.fits(asking)
            }

            fn keep(&self, answer: Self::Output, keeper: Keeper<KeptAnswer>) -> Self::Output {
                FallbackBody::keep(answer, keeper, $is_grpc)
            }

            fn exhausted(&self, trail: &Trail, over: Option<Rejected>) -> Option<Self::Output> {
                let made = |bytes| FallbackBody::made(bytes, None);
                (self.side == Side::Server).then(|| $exhausted(trail, over).map(made))
            }
        }

        /// [`DEGRADED_MODE_HEADER`](crate::DEGRADED_MODE_HEADER) and [`DEGRADED_LEVEL_HEADER`](crate::DEGRADED_LEVEL_HEADER); the whole
        /// of it stands in the extensions, as [`ServedBy`](buttress_core::ServedBy).
        impl<C, M, B> Annotate<Response<B>> for $protocol<C, M> {
            fn annotate(&self, answer: &mut Response<B>, note: Note) {
                degraded::annotate(answer, note, $is_grpc);
            }
        }
    };
}

has_levels!(Http, false, degraded::problem);
has_levels!(Grpc, true, degraded::grpc_status);
