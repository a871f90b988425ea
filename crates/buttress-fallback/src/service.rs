use std::fmt;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use buttress_core::{
    Annotate, Asking, Classify, Deadline, Keeping, Levels, Rejectable, Replay, RequestContext,
    ResponseContext, Sharing,
};
use tokio::time::Instant;
use tower_service::Service;

use crate::course::{Shelves, Speaks};
use crate::descent::{Descent, Step, tell};
use crate::future::{Call, Cold, FallbackFuture, Stage, Under, env};
use crate::handle::FallbackChain;
use crate::mark::MarkServed;

/// The service of [`FallbackLayer`](crate::FallbackLayer).
///
/// Always ready: whether the primary is becomes part of the call. An instance of it that was ready is the one that is called.
pub struct FallbackService<S, Req, T, E, K: Keeping, P, M> {
    inner: S,
    readiness: Readiness<E>,
    template: Arc<Template<S, Req, T, E, K, P, M>>,
}

/// What the primary has said of itself.
enum Readiness<E> {
    Unknown,
    Ready,
    /// An instance that has failed is never asked again.
    Failed(E),
}

/// What every call holds: the levels, and the service that another primary is cloned from.
pub(crate) struct Template<S, Req, T, E, K: Keeping, P, M> {
    pub(crate) chain: FallbackChain<Req, T, E, K>,
    pub(crate) protocol: P,
    pub(crate) mark: M,
    service: S,
}

impl<S: Clone, Req, T, E, K: Keeping, P, M> FallbackService<S, Req, T, E, K, P, M> {
    pub(crate) fn new(inner: S, chain: FallbackChain<Req, T, E, K>, protocol: P, mark: M) -> Self {
        let service = inner.clone();
        Self {
            inner,
            readiness: Readiness::Unknown,
            template: Arc::new(Template {
                chain,
                protocol,
                mark,
                service,
            }),
        }
    }
}

impl<S, R, Req, T, E, K, P, M> Service<R> for FallbackService<S, Req, T, E, K, P, M>
where
    S: Service<Req, Error = E> + Clone,
    E: Rejectable,
    K: Keeping,
    P: Replay<R, Sent = Req> + RequestContext<R> + RequestContext<Req>,
    P: Classify<S::Response, E> + Classify<T, E>,
    P: ResponseContext<S::Response> + ResponseContext<T>,
    P: Levels<S::Response, T, K> + Annotate<<P as Levels<S::Response, T, K>>::Output>,
    M: MarkServed<<P as Levels<S::Response, T, K>>::Output>,
{
    type Response = <P as Levels<S::Response, T, K>>::Output;
    type Error = E;
    type Future = FallbackFuture<S, Req, T, K, P, M, R>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        if let Readiness::Unknown = self.readiness {
            match self.inner.poll_ready(cx) {
                Poll::Ready(Ok(())) => self.readiness = Readiness::Ready,
                Poll::Ready(Err(error)) => self.readiness = Readiness::Failed(error),
                Poll::Pending => {}
            }
        }
        Poll::Ready(Ok(()))
    }

    #[inline(always)]
    fn call(&mut self, request: R) -> Self::Future {
        let Template {
            chain, protocol, ..
        } = &*self.template;
        let shared = &*chain.0;
        let deadline = RequestContext::<R>::deadline(protocol, &request);
        if !matches!(self.readiness, Readiness::Ready)
            || shared.has_preamble
            || deadline.is_some()
            || RequestContext::<R>::carries_deadline(protocol)
        {
            return self.call_with_preamble(request, deadline);
        }
        self.readiness = Readiness::Unknown;
        let (sent, kept) = protocol.prepare(request, &shared.memory);
        let primary = self.inner.call(sent);
        FallbackFuture::asking(primary, Arc::clone(&self.template), kept)
    }
}

impl<S, Req, T, E, K, P, M> FallbackService<S, Req, T, E, K, P, M>
where
    S: Service<Req, Error = E> + Clone,
    E: Rejectable,
    K: Keeping,
{
    /// Keeps the time, looks into the caches, goes to another level first, waits for the primary to be ready: each where it must.
    #[inline(never)]
    fn call_with_preamble<R>(
        &mut self,
        request: R,
        deadline: Option<Deadline>,
    ) -> FallbackFuture<S, Req, T, K, P, M, R>
    where
        P: Replay<R, Sent = Req> + RequestContext<R> + Speaks<Req, S::Response, T, E, K>,
    {
        let template = Arc::clone(&self.template);
        let (shared, protocol) = (&*template.chain.0, &template.protocol);
        let said = shared.has_preamble.then(|| said::<R>(protocol, &request));
        let (sent, mut kept) = protocol.prepare(request, &shared.memory);
        let mut cold = said.map(|(sharing, asking)| {
            let placed = shared.shelves(&sent, sharing);
            Box::new(Cold::of(Shelves { placed, asking }, Instant::now()))
        });
        let mut descent = Descent::new(shared.walk(), None);
        if deadline.is_some() || RequestContext::<R>::carries_deadline(protocol) {
            descent.start(shared, deadline);
        }
        // One that comes too late is told so when it is polled.
        let begun = descent.begin::<P, R, Req, T, K>(&env(&template, cold.as_deref()), &mut kept);
        let stage = match begun {
            Some(step) => {
                match (&step, &mut cold) {
                    (Step::Running(_), Some(cold)) => cold.ahead = Some((self.take(), sent)),
                    // What failed to get ready is not what the next call asks.
                    _ if matches!(self.readiness, Readiness::Failed(_)) => drop(self.take()),
                    _ => {}
                }
                Stage::Below { step: Some(step) }
            }
            None => {
                descent.ask_primary(shared);
                let env = env(&template, cold.as_deref());
                match descent.for_primary::<P, R, Req, T, K>(&env, sent, &mut kept) {
                    Some(mut sent) => {
                        if let Some(times) = &descent.times {
                            tell(protocol, &mut sent, times, shared.announces);
                        }
                        self.ask_primary(sent)
                    }
                    None => Stage::Below { step: None },
                }
            }
        };
        let under = Some(Under { descent, cold });
        let call = Call::new(Arc::clone(&template), kept, under);
        FallbackFuture::prepared(stage, call)
    }

    /// Asks the primary, or lets its readiness be waited for.
    fn ask_primary<O>(&mut self, sent: Req) -> Stage<S, S::Future, Req, O, T, E, K::Value> {
        match mem::replace(&mut self.readiness, Readiness::Unknown) {
            Readiness::Ready => Stage::Calling {
                primary: self.inner.call(sent),
            },
            Readiness::Unknown => Stage::Readying {
                parked: Some((self.take(), sent)),
            },
            Readiness::Failed(error) => {
                self.take();
                let error = Some(error);
                Stage::Unready { error }
            }
        }
    }

    /// The instance that was polled, with another left in its place; or yet another, where that one has failed.
    fn take(&mut self) -> S {
        let fresh = || self.template.service.clone();
        let readiness = mem::replace(&mut self.readiness, Readiness::Unknown);
        let polled = mem::replace(&mut self.inner, fresh());
        match readiness {
            Readiness::Failed(_) => fresh(),
            Readiness::Unknown | Readiness::Ready => polled,
        }
    }
}

/// What a request says of answers that are kept.
fn said<R>(protocol: &impl RequestContext<R>, request: &R) -> (Sharing, Asking) {
    (protocol.sharing(request), protocol.asking(request))
}

/// A clone has not been made ready.
impl<S: Clone, Req, T, E, K: Keeping, P, M> Clone for FallbackService<S, Req, T, E, K, P, M> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            readiness: Readiness::Unknown,
            template: Arc::clone(&self.template),
        }
    }
}

impl<S: fmt::Debug, Req, T, E, K: Keeping, P, M> fmt::Debug
    for FallbackService<S, Req, T, E, K, P, M>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FallbackService")
            .field("inner", &self.inner)
            .field("chain", &self.template.chain)
            .finish_non_exhaustive()
    }
}
