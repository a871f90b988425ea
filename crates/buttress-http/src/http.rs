use std::marker::PhantomData;

use buttress_core::{
    Adopt, Again, Asking, Classify, Completion, Deadline, Mark, Phases, Priority, Reclassify,
    Recover, Rejected, Repeatable, Replay, ReplayMemory, RequestContext, ResponseContext, Settle,
    Sharing, Verdict, Watch,
};
use http::{Method, Request, Response};
use http_body::Body;

use crate::caching;
use crate::context::{self, sends_again};
use crate::degraded;
use crate::replayed::BoxError;
use crate::side::Side;
use crate::timed::is_event_stream;
use crate::timeout_header::announce_http;
use crate::tracked;
use crate::{
    ByStatus, CutByError, Discard, Head, HeadDecides, KeptRequest, Protocol, QuotaFields, Replayed,
    Timed, ToLastFrame, Tracked, UntilHeaders,
};

/// The protocol of HTTP calls: judged by their status, over at the last frame of the answer.
///
/// `C` is the classifier, [`ByStatus`] unless the user chose another; `M` says when a call is over, [`ToLastFrame`] or
/// [`UntilHeaders`]. A layer takes it on with [`http`](crate::HttpExt::http), or inside of [`respond`](crate::respond()).
#[derive(Clone, Copy, Debug, Default)]
pub struct Http<C = ByStatus, M = ToLastFrame> {
    classifier: C,
    pub(crate) side: Side,
    fields: QuotaFields,
    until: PhantomData<M>,
}

impl Http {
    /// The protocol as it is used unless something else was chosen, on a client.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            classifier: ByStatus,
            side: Side::Client,
            fields: QuotaFields::None,
            until: PhantomData,
        }
    }

    /// The same protocol where requests arrive: nothing is written for a next service, and clients hear of their quotas.
    pub(crate) const fn serving(self) -> Self {
        Self {
            side: Side::Server,
            fields: QuotaFields::Draft11,
            ..self
        }
    }
}

impl<C, M> Http<C, M> {
    /// The same protocol, with calls that are over when the head of the answer is there.
    #[must_use]
    pub fn until_headers(self) -> Http<C, UntilHeaders> {
        Http {
            classifier: self.classifier,
            side: self.side,
            fields: self.fields,
            until: PhantomData,
        }
    }
}

impl<C, M> Reclassify for Http<C, M> {
    type With<D> = Http<D, M>;

    fn with<D>(self, classifier: D) -> Http<D, M> {
        Http {
            classifier,
            side: self.side,
            fields: self.fields,
            until: PhantomData,
        }
    }
}

impl<C, M> Protocol for Http<C, M> {
    type UntilHeaders = Http<C, UntilHeaders>;

    fn shorten(self) -> Self::UntilHeaders {
        self.until_headers()
    }

    fn with_quota_fields(self, fields: QuotaFields) -> Self {
        Self { fields, ..self }
    }
}

/// The first adoption wins.
impl<C, M, Q: Protocol> Adopt<Q> for Http<C, M> {
    type Adopted = Self;

    fn adopt(self, _: Q) -> Self {
        self
    }
}

/// The last choice counts.
impl<C, M> Adopt<QuotaFields> for Http<C, M> {
    type Adopted = Self;

    fn adopt(self, fields: QuotaFields) -> Self {
        self.with_quota_fields(fields)
    }
}

impl<C, M, D> Adopt<UntilHeaders<D>> for Http<C, M> {
    type Adopted = Http<C, UntilHeaders>;

    fn adopt(self, _: UntilHeaders<D>) -> Self::Adopted {
        self.until_headers()
    }
}

impl<C, B, E, P> Completion<Response<B>, E, P> for Http<C, ToLastFrame>
where
    C: Classify<Response<B>, E>,
    B: Body,
    P: Settle,
{
    type Output = Response<Tracked<B, P>>;

    #[inline(always)]
    fn complete(&self, permit: P, result: Result<Response<B>, E>) -> Result<Self::Output, E> {
        match result {
            Ok(mut response) => {
                let head = self.classifier.classify(Ok(&response));
                self.fields.tell(&permit, response.headers_mut());
                Ok(Tracked::attach(response, permit, head, HeadDecides))
            }
            Err(error) => {
                permit.settle(self.classifier.classify(Err(&error)));
                Err(error)
            }
        }
    }

    fn refusal(&self, answer: &Response<B>) -> Option<Rejected> {
        Head::of(answer).refusal()
    }
}

impl<C, B, E, P> Completion<Response<B>, E, P> for Http<C, UntilHeaders>
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

/// The body keeps its time, and fails where it is cut. An answer of server-sent events is a stream; of a 2xx to `CONNECT` the head
/// does not tell, and a layer around such calls says [`until_headers`](crate::HttpExt::until_headers).
impl<C, B, W> Phases<Response<B>, W> for Http<C, ToLastFrame>
where
    B: Body<Error: Into<BoxError>>,
    W: Watch,
{
    type Output = Response<Timed<B, W, CutByError>>;

    #[inline]
    fn has_head(&self) -> bool {
        true
    }

    #[inline]
    fn watch(&self, answer: Response<B>, watch: impl FnOnce() -> W) -> Self::Output {
        let promised = tracked::promised(&answer);
        if tracked::has_ended(&answer, promised) {
            Timed::unwatched(answer)
        } else {
            let is_stream = is_event_stream(answer.headers());
            Timed::watched(answer, watch(), is_stream, promised)
        }
    }
}

/// Time is kept to the head; the body goes its own way.
impl<C, B, W: Watch> Phases<Response<B>, W> for Http<C, UntilHeaders> {
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
/// A deadline is put into the extensions beside one that is there. On a client the time that remains is written into
/// [`TIMEOUT_HEADER`](crate::TIMEOUT_HEADER) for the next service, unless a shorter one stands there; on a server, inside of
/// [`respond`](crate::respond()), headers stay as they came.
impl<C, M, B> RequestContext<Request<B>> for Http<C, M> {
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
        match *request.method() {
            Method::GET => context::sharing(request.headers()),
            // What it outdates was kept for all, whoever changes it.
            ref method if !method.is_safe() => Sharing::WithAll,
            _ => Sharing::Never,
        }
    }

    fn asking(&self, request: &Request<B>) -> Asking {
        caching::asking(request)
    }

    fn stamp(&self, request: &mut Request<B>, mark: Mark) {
        context::stamp(request, mark);
        if let Mark::Deadline {
            deadline,
            now,
            announce: true,
        } = mark
            && self.side == Side::Client
        {
            announce_http(request.headers_mut(), deadline.remaining(now));
        }
    }
}

/// As the method says, or an idempotency key.
impl<C, M, B> Repeatable<Request<B>> for Http<C, M> {
    fn repeatable(&self, request: &Request<B>) -> bool {
        context::is_repeatable(request)
    }
}

sends_again!(Http);

#[cfg(test)]
mod tests;
