use std::convert::Infallible;
use std::future::{Ready, ready};

use crate::{
    Again, Annotate, ByResult, Cached, Chosen, Classify, Completion, Keep, Keeper, Levels, Phases,
    QuotaSources, Reclassify, Recover, Repeatable, Replay, ReplayMemory, RequestContext,
    ResponseContext, Settle, Uncached, Verdict, Watch,
};

/// The protocol of calls that know nothing of HTTP: over when their future returns, judged by their `Result`.
///
/// What every layer starts with. `.http()` and `.grpc()` of `buttress-http` put another in its place; the classifier can be
/// chosen with a layer's `classify`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain<C = ByResult>(C);

impl Plain {
    /// The protocol with its usual classifier, [`ByResult`].
    #[must_use]
    pub const fn new() -> Self {
        Self(ByResult)
    }
}

impl<C> Reclassify for Plain<C> {
    type With<D> = Plain<D>;

    fn with<D>(self, classifier: D) -> Plain<D> {
        Plain(classifier)
    }
}

impl<C, T, E, P> Completion<T, E, P> for Plain<C>
where
    C: Classify<T, E>,
    P: Settle,
{
    type Output = T;

    #[inline(always)]
    fn complete(&self, permit: P, result: Result<T, E>) -> Result<T, E> {
        permit.settle(self.0.classify(result.as_ref()));
        result
    }
}

impl<C, Req: ?Sized> RequestContext<Req> for Plain<C> {}

/// Whoever retries plain calls knows that they may be.
impl<C, Req: ?Sized> Repeatable<Req> for Plain<C> {
    #[inline(always)]
    fn repeatable(&self, _: &Req) -> bool {
        true
    }
}

impl<C: Classify<T, E>, T, E> Classify<T, E> for Plain<C> {
    #[inline(always)]
    fn classify(&self, result: Result<&T, &E>) -> Verdict {
        self.0.classify(result)
    }

    fn again(&self, result: Result<&T, &E>) -> Again {
        self.0.again(result)
    }
}

/// An answer is there as a whole, or not at all.
impl<C, T, W: Watch> Phases<T, W> for Plain<C> {
    type Output = T;

    #[inline(always)]
    fn has_head(&self) -> bool {
        false
    }

    #[inline(always)]
    fn watch(&self, answer: T, _: impl FnOnce() -> W) -> T {
        answer
    }
}

/// An answer that nobody wants is dropped.
impl<C, T> ResponseContext<T> for Plain<C> {
    type Discard = Ready<()>;

    fn discard(&self, _: T) -> Ready<()> {
        ready(())
    }
}

impl<C, T> Annotate<T> for Plain<C> {}

/// Every level answers with the same type.
impl<C, T> Levels<T, T, Uncached> for Plain<C> {
    type Output = T;

    #[inline(always)]
    fn first(&self, answer: T) -> T {
        answer
    }

    #[inline(always)]
    fn lower(&self, answer: T) -> T {
        answer
    }

    fn restore(&self, kept: Infallible) -> T {
        match kept {}
    }

    #[inline(always)]
    fn keep(&self, answer: T, _: Keeper<Infallible>) -> T {
        answer
    }
}

/// Every level answers with the same type, and caches keep a clone.
impl<C, T: Clone + Send + Sync + 'static> Levels<T, T, Cached<T>> for Plain<C> {
    type Output = T;

    #[inline(always)]
    fn first(&self, answer: T) -> T {
        answer
    }

    #[inline(always)]
    fn lower(&self, answer: T) -> T {
        answer
    }

    #[inline(always)]
    fn restore(&self, kept: T) -> T {
        kept
    }

    fn keep(&self, answer: T, keeper: Keeper<T>) -> T {
        keeper.keep(answer.clone(), Keep::of(size_of::<T>()));
        answer
    }
}

/// A request is kept as it is and sent as a clone.
impl<C, Req: Clone> Replay<Req> for Plain<C> {
    type Sent = Req;
    type Kept = Req;

    #[inline(always)]
    fn prepare(&self, request: Req, _: &ReplayMemory) -> (Req, Option<Req>) {
        (request.clone(), Some(request))
    }

    fn replay(&self, kept: &mut Req) -> Option<Req> {
        Some(kept.clone())
    }
}

/// No error gives a request back, as far as anybody has said.
impl<C, E, Sent> Recover<E, Sent> for Plain<C> {}

/// Takes on the protocol `Q` where none has been chosen yet.
///
/// Protocols implement it, layers pass it on to theirs, tuples to each of their layers. A protocol that was chosen stays,
/// and so does a classifier: adopting decides only what nobody has decided.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot take on a protocol",
    label = "not a layer of buttress, nor a tuple of them",
    note = "a foreign layer goes among ours unchanged: `as_is(layer)` of buttress-http",
    note = "a layer of your own passes the protocol on to its own: `impl<P: Adopt<Q>, Q> Adopt<Q>`"
)]
pub trait Adopt<Q> {
    /// The same thing, with protocol `Q` where none was chosen.
    type Adopted;

    /// Takes on `protocol` where none was chosen.
    fn adopt(self, protocol: Q) -> Self::Adopted;

    /// Hands out what an edge has to know of the quotas that are kept here, to tell a client that is refused. A layer that keeps
    /// none has nothing to say.
    fn quota_sources(&self, sources: &mut QuotaSources) {
        let _ = sources;
    }
}

impl<Q> Adopt<Q> for Plain<ByResult> {
    type Adopted = Q;

    fn adopt(self, protocol: Q) -> Q {
        protocol
    }
}

impl<C, Q: Reclassify> Adopt<Q> for Plain<Chosen<C>> {
    type Adopted = Q::With<Chosen<C>>;

    fn adopt(self, protocol: Q) -> Self::Adopted {
        protocol.with(self.0)
    }
}

macro_rules! adopt_for_tuples {
    ($($layer:ident)+) => {
        impl<Q: Clone, $($layer: Adopt<Q>),+> Adopt<Q> for ($($layer,)+) {
            type Adopted = ($($layer::Adopted,)+);

            #[expect(non_snake_case, reason = "the variables are named as their types are")]
            fn adopt(self, protocol: Q) -> Self::Adopted {
                let ($($layer,)+) = self;
                ($($layer.adopt(protocol.clone()),)+)
            }

            #[expect(non_snake_case, reason = "the variables are named as their types are")]
            fn quota_sources(&self, sources: &mut QuotaSources) {
                let ($($layer,)+) = self;
                $($layer.quota_sources(sources);)+
            }
        }
    };
}

// As many as tower-layer makes layers of tuples, and a user stacks.
adopt_for_tuples!(A);
adopt_for_tuples!(A B);
adopt_for_tuples!(A B C);
adopt_for_tuples!(A B C D);
adopt_for_tuples!(A B C D E);
adopt_for_tuples!(A B C D E F);
adopt_for_tuples!(A B C D E F G);
adopt_for_tuples!(A B C D E F G H);
