use std::convert::Infallible;
use std::marker::PhantomData;

use buttress_core::{
    Adopt, Again, Classify, Completion, Deadline, Mark, Phases, Priority, Reclassify, Recover,
    Rejected, Repeatable, Replay, ReplayMemory, RequestContext, ResponseContext, Settle, Sharing,
    Verdict, Watch,
};
use http::{HeaderMap, Request, Response};
use http_body::Body;

use crate::context::{self, sends_again};
use crate::degraded;
use crate::replayed::BoxError;
use crate::side::Side;
use crate::timeout_header::announce_grpc;
use crate::tracked;
use crate::{
    ByGrpcStatus, CutByTrailers, Discard, Head, KeptRequest, Protocol, QuotaFields, Replayed,
    Timed, ToLastFrame, Tracked, TrailersDecide, UntilHeaders,
};

/// The protocol of gRPC calls: judged by `grpc-status`, over when the trailers have gone by.
///
/// `C` is the classifier, [`ByGrpcStatus`] unless the user chose another; it judges heads and, up to the last frame, trailers
/// too: `Classify<HeaderMap, Infallible>`. `M` says when a call is over, [`ToLastFrame`] or [`UntilHeaders`]; in the latter
/// case only an answer that consists of nothing but its head says how it ended. A layer takes the protocol on with
/// [`grpc`](crate::HttpExt::grpc), or inside of [`respond_grpc`](crate::respond_grpc).
#[derive(Clone, Copy, Debug, Default)]
pub struct Grpc<C = ByGrpcStatus, M = ToLastFrame> {
    classifier: C,
    pub(crate) side: Side,
    fields: QuotaFields,
    until: PhantomData<M>,
}

impl Grpc {
    /// The protocol as it is used unless something else was chosen, on a client.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            classifier: ByGrpcStatus,
            side: Side::Client,
            fields: QuotaFields::None,
            until: PhantomData,
        }
    }

    /// The same protocol where requests arrive: nothing is written for a next service.
    pub(crate) const fn serving(self) -> Self {
        Self {
            side: Side::Server,
            ..self
        }
    }
}

impl<C, M> Grpc<C, M> {
    /// The same protocol, with calls that are over when the head of the answer is there.
    #[must_use]
    pub fn until_headers(self) -> Grpc<C, UntilHeaders> {
        Grpc {
            classifier: self.classifier,
            side: self.side,
            fields: self.fields,
            until: PhantomData,
        }
    }
}

impl<C, M> Reclassify for Grpc<C, M> {
    type With<D> = Grpc<D, M>;

    fn with<D>(self, classifier: D) -> Grpc<D, M> {
        Grpc {
            classifier,
            side: self.side,
            fields: self.fields,
            until: PhantomData,
        }
    }
}

impl<C, M> Protocol for Grpc<C, M> {
    type UntilHeaders = Grpc<C, UntilHeaders>;

    fn shorten(self) -> Self::UntilHeaders {
        self.until_headers()
    }

    fn with_quota_fields(self, fields: QuotaFields) -> Self {
        Self { fields, ..self }
    }
}

/// The first adoption wins.
impl<C, M, Q: Protocol> Adopt<Q> for Grpc<C, M> {
    type Adopted = Self;

    fn adopt(self, _: Q) -> Self {
        self
    }
}

/// The last choice counts.
impl<C, M> Adopt<QuotaFields> for Grpc<C, M> {
    type Adopted = Self;

    fn adopt(self, fields: QuotaFields) -> Self {
        self.with_quota_fields(fields)
    }
}

impl<C, M, D> Adopt<UntilHeaders<D>> for Grpc<C, M> {
    type Adopted = Grpc<C, UntilHeaders>;

    fn adopt(self, _: UntilHeaders<D>) -> Self::Adopted {
        self.until_headers()
    }
}

impl<C, B, E, P> Completion<Response<B>, E, P> for Grpc<C, ToLastFrame>
where
    C: Classify<Response<B>, E> + Classify<HeaderMap, Infallible> + Clone,
    B: Body,
    P: Settle,
{
    type Output = Response<Tracked<B, P, TrailersDecide<C>>>;

    #[inline(always)]
    fn complete(&self, permit: P, result: Result<Response<B>, E>) -> Result<Self::Output, E> {
        match result {
            Ok(mut response) => {
                let head = self.classifier.classify(Ok(&response));
                self.fields.tell(&permit, response.headers_mut());
                let judge = TrailersDecide::after(&response, &self.classifier);
                Ok(Tracked::attach(response, permit, head, judge))
            }
            Err(error) => {
                permit.settle(Classify::<Response<B>, E>::classify(
                    &self.classifier,
                    Err(&error),
                ));
                Err(error)
            }
        }
    }

    fn refusal(&self, answer: &Response<B>) -> Option<Rejected> {
        Head::of(answer).refusal()
    }
}

impl<C, B, E, P> Completion<Response<B>, E, P> for Grpc<C, UntilHeaders>
where
    C: Classify<Response<B>, E>,
    P: Settle,
{
    type Output = Response<B>;

    #[inline(always)]
    fn complete(&self, permit: P, result: Result<Response<B>, E>) -> Result<Self::Output, E> {
        let verdict = self.classifier.classify(result.as_ref());
        let result = result.map(|mut response| {
            self.fields.tell(&permit, response.headers_mut());
            response
        });
        permit.settle(verdict);
        result
    }

    fn refusal(&self, answer: &Response<B>) -> Option<Rejected> {
        Head::of(answer).refusal()
    }
}

/// The body keeps its time, and ends with a status where it is cut. Every answer with a body may be a stream: nothing in a head
/// tells one message from many.
impl<C, B, W> Phases<Response<B>, W> for Grpc<C, ToLastFrame>
where
    B: Body,
    W: Watch,
{
    type Output = Response<Timed<B, W, CutByTrailers>>;

    #[inline]
    fn has_head(&self) -> bool {
        true
    }

    #[inline]
    fn watch(&self, answer: Response<B>, watch: impl FnOnce() -> W) -> Self::Output {
        // A promise of no bytes is none of no trailers.
        if tracked::has_ended(&answer, None) {
            Timed::unwatched(answer)
        } else {
            Timed::watched(answer, watch(), true, None)
        }
    }
}

/// Time is kept to the head; the body goes its own way.
impl<C, B, W: Watch> Phases<Response<B>, W> for Grpc<C, UntilHeaders> {
    type Output = Response<B>;

    #[inline]
    fn has_head(&self) -> bool {
        true
    }

    #[inline]
    fn watch(&self, answer: Response<B>, _: impl FnOnce() -> W) -> Response<B> {
        answer
    }
}

/// Reads the deadline and the priority from the request's extensions, where no header says anything, and writes marks there;
/// that of a retry stands in [`ATTEMPT_HEADER`](crate::ATTEMPT_HEADER) too.
///
/// A deadline is put into the extensions beside one that is there. On a client the time that remains until the caller's is written
/// into [`GRPC_TIMEOUT_HEADER`](crate::GRPC_TIMEOUT_HEADER) for the next service, unless a shorter one stands there, and a total of
/// ours is not; on a server, inside of [`respond_grpc`](crate::respond_grpc), headers stay as they came.
impl<C, M, B> RequestContext<Request<B>> for Grpc<C, M> {
    fn deadline(&self, request: &Request<B>) -> Option<Deadline> {
        request.extensions().get().copied()
    }

    fn carries_deadline(&self) -> bool {
        true
    }

    fn priority(&self, request: &Request<B>) -> Option<Priority> {
        request.extensions().get().copied()
    }

    fn is_retry(&self, request: &Request<B>) -> bool {
        context::is_retry(request.headers(), request.extensions())
    }

    fn follows_quota(&self) -> bool {
        self.fields != QuotaFields::None
    }

    fn sharing(&self, request: &Request<B>) -> Sharing {
        context::sharing(request.headers())
    }

    fn stamp(&self, request: &mut Request<B>, mark: Mark) {
        context::stamp(request, mark);
        // Nothing tells a stream from a call that has one answer, and other servers cut both: a total of ours, which spares streams,
        // is not told.
        if let Mark::Deadline {
            deadline,
            now,
            announce: true,
        } = mark
            && let Some(deadline) = deadline.callers()
            && self.side == Side::Client
        {
            announce_grpc(request.headers_mut(), deadline.remaining(now));
        }
    }
}

/// Nothing in a gRPC request says that it is: `repeatable` of the retry's layer names the methods that are.
impl<C, M, B> Repeatable<Request<B>> for Grpc<C, M> {
    fn repeatable(&self, _: &Request<B>) -> bool {
        false
    }
}

sends_again!(Grpc);
