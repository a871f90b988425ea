use std::convert::Infallible;

use buttress_core::{Classify, Verdict};
use http::{HeaderMap, Response};

use crate::{Head, by_grpc_status};

/// Decides how a call ended whose body has ended.
///
/// What [`Tracked`](crate::Tracked) asks at the last frame. For a protocol of one's own, whose calls end otherwise than those of
/// [`Http`](crate::Http) and [`Grpc`](crate::Grpc).
pub trait Judge {
    /// Whether the head has said everything, so that it counts for a body that is left unread, or read to its promised length,
    /// too.
    fn head_decides(&self) -> bool;

    /// How the call ended, when its body ended well: with these trailers, if there were any.
    fn at_end(&self, head: Verdict, trailers: Option<&HeaderMap>) -> Verdict;
}

/// The head has said how the call ends, if nothing goes wrong on the way: HTTP.
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a judge without settings is written as its name"
)]
pub struct HeadDecides;

impl Judge for HeadDecides {
    #[inline]
    fn head_decides(&self) -> bool {
        true
    }

    #[inline]
    fn at_end(&self, head: Verdict, _: Option<&HeaderMap>) -> Verdict {
        head
    }
}

/// The trailers say how the call has ended, unless the head already did: gRPC.
#[derive(Clone, Copy, Debug, Default)]
pub struct TrailersDecide<C> {
    /// Judges the trailers that are still to come.
    awaited: Option<C>,
}

impl<C: Clone> TrailersDecide<C> {
    /// Judges the trailers of this answer with `classifier`, unless its head has the status already.
    #[inline]
    #[must_use]
    pub fn after<B>(response: &Response<B>, classifier: &C) -> Self {
        let decided = by_grpc_status::is_decided(Head::of(response));
        Self {
            awaited: if decided {
                None
            } else {
                Some(classifier.clone())
            },
        }
    }
}

impl<C: Classify<HeaderMap, Infallible>> Judge for TrailersDecide<C> {
    #[inline]
    fn head_decides(&self) -> bool {
        self.awaited.is_none()
    }

    fn at_end(&self, head: Verdict, trailers: Option<&HeaderMap>) -> Verdict {
        match (&self.awaited, trailers) {
            (None, _) => head,
            (Some(classifier), Some(trailers)) => classifier.classify(Ok(trailers)),
            (Some(classifier), None) => classifier.classify(Ok(&HeaderMap::new())),
        }
    }
}
