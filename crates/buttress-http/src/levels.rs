//! How a fallback chain speaks HTTP and gRPC.

use std::convert::Infallible;

use buttress_core::{
    Annotate, Asking, Cached, Keeper, Keeping, Levels, Note, Rejected, Settle, Trail, Uncached,
    Verdict,
};
use http::Response;
use http_body::Body;

use crate::degraded;
use crate::replayed::BoxError;
use crate::ridden::{ride, unridden};
use crate::side::Side;
use crate::{FallbackBody, Grpc, Http, KeptAnswer, Until};

/// What the caches of a chain keep: an answer, or nothing, where there are none.
pub(crate) trait Keepable: Sized {
    fn kept(&self) -> &KeptAnswer;

    fn into_kept(self) -> KeptAnswer;

    /// Who takes in an answer, if anybody does.
    fn keeper(keeper: Keeper<Self>) -> Option<Keeper<KeptAnswer>>;
}

impl Keepable for Infallible {
    fn kept(&self) -> &KeptAnswer {
        match *self {}
    }

    fn into_kept(self) -> KeptAnswer {
        match self {}
    }

    fn keeper(_: Keeper<Self>) -> Option<Keeper<KeptAnswer>> {
        None
    }
}

impl Keepable for KeptAnswer {
    fn kept(&self) -> &KeptAnswer {
        self
    }

    fn into_kept(self) -> KeptAnswer {
        self
    }

    fn keeper(keeper: Keeper<Self>) -> Option<Keeper<KeptAnswer>> {
        Some(keeper)
    }
}

macro_rules! has_levels {
    ($protocol:ident, $keeping:ty, $is_grpc:literal, $exhausted:path) => {
        /// Each level may have a body of its own, which holds what its call has taken: the level's slot, and permits of its gates.
        /// Caches keep [`KeptAnswer`]s, for which an answer is copied while it goes by. On a server, inside of `respond`, a chain of
        /// which no level has answered says so itself; elsewhere the primary's failure goes to the caller.
        impl<C, M: Until, B, L> Levels<Response<B>, Response<L>, $keeping> for $protocol<C, M>
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
                answer.map(|body| FallbackBody::lower(unridden(body)))
            }

            fn restore(&self, kept: <$keeping as Keeping>::Value) -> Self::Output {
                kept.into_kept().restore()
            }

            fn fits(&self, kept: &<$keeping as Keeping>::Value, asking: &Asking) -> bool {
                kept.kept().fits(asking)
            }

            fn keep(
                &self,
                answer: Self::Output,
                keeper: Keeper<<$keeping as Keeping>::Value>,
            ) -> Self::Output {
                match Keepable::keeper(keeper) {
                    Some(keeper) => FallbackBody::keep(answer, keeper, $is_grpc),
                    None => answer,
                }
            }

            fn exhausted(&self, trail: &Trail, refused: Option<Rejected>) -> Option<Self::Output> {
                let made = |bytes| FallbackBody::made(bytes, None);
                (self.side == Side::Server).then(|| $exhausted(trail, refused).map(made))
            }
        }
    };
}

// Each by itself, so that the compiler knows what a chain over HTTP keeps without being told.
has_levels!(Http, Uncached, false, degraded::problem);
has_levels!(Http, Cached<KeptAnswer>, false, degraded::problem);
has_levels!(Grpc, Uncached, true, degraded::grpc_status);
has_levels!(Grpc, Cached<KeptAnswer>, true, degraded::grpc_status);

macro_rules! says_its_level {
    ($protocol:ident, $is_grpc:literal) => {
        /// [`DEGRADED_MODE_HEADER`](crate::DEGRADED_MODE_HEADER) and [`DEGRADED_LEVEL_HEADER`](crate::DEGRADED_LEVEL_HEADER); the whole
        /// of it stands in the extensions, as [`ServedBy`](buttress_core::ServedBy).
        impl<C, M, B> Annotate<Response<B>> for $protocol<C, M> {
            fn annotate(&self, answer: &mut Response<B>, note: Note) {
                degraded::annotate(answer, note, $is_grpc);
            }
        }
    };
}

says_its_level!(Http, false);
says_its_level!(Grpc, true);
