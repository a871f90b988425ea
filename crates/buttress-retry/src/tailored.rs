//! Protocols with one answer of the user's own: everything else is asked of the protocol below.

use std::fmt;

use buttress_core::{
    Adopt, Again, Classify, Deadline, Mark, Priority, Reclassify, Recover, Repeatable, Replay,
    ReplayMemory, RequestContext, ResponseContext, Verdict,
};

/// A protocol in which a function says how a request is cloned, if it can be.
///
/// Made by [`RetryBudgetLayer::clone_by`](crate::RetryBudgetLayer::clone_by).
#[derive(Clone, Copy)]
pub struct CloneBy<P, F> {
    protocol: P,
    function: F,
}

/// A protocol in which a function says whether a request may be sent twice.
///
/// Made by [`RetryBudgetLayer::repeatable`](crate::RetryBudgetLayer::repeatable).
#[derive(Clone, Copy)]
pub struct RepeatableBy<P, F> {
    protocol: P,
    function: F,
}

/// A protocol in which a function gets the unsent request back from an error.
///
/// Made by [`RetryBudgetLayer::recover`](crate::RetryBudgetLayer::recover).
#[derive(Clone, Copy)]
pub struct RecoverBy<P, F> {
    protocol: P,
    function: F,
}

impl<P, F, Req> Replay<Req> for CloneBy<P, F>
where
    F: Fn(&Req) -> Option<Req>,
{
    type Sent = Req;
    type Kept = Req;

    fn prepare(&self, request: Req, _: &ReplayMemory) -> (Req, Option<Req>) {
        let kept = (self.function)(&request);
        (request, kept)
    }

    fn replay(&self, kept: &mut Req) -> Option<Req> {
        (self.function)(kept)
    }
}

impl<P, F, Req> Repeatable<Req> for RepeatableBy<P, F>
where
    F: Fn(&Req) -> bool,
{
    fn repeatable(&self, request: &Req) -> bool {
        (self.function)(request)
    }
}

impl<P, F, E, Sent> Recover<E, Sent> for RecoverBy<P, F>
where
    F: Fn(&mut E) -> Option<Sent>,
{
    const MAY: bool = true;

    fn recover(&self, error: &mut E) -> Option<Sent> {
        (self.function)(error)
    }
}

macro_rules! replays_as_before {
    ($wrapper:ident) => {
        impl<P: Replay<Req>, F, Req> Replay<Req> for $wrapper<P, F> {
            type Sent = P::Sent;
            type Kept = P::Kept;

            #[inline(always)]
            fn prepare(&self, request: Req, memory: &ReplayMemory) -> (P::Sent, Option<P::Kept>) {
                self.protocol.prepare(request, memory)
            }

            fn replay(&self, kept: &mut P::Kept) -> Option<P::Sent> {
                self.protocol.replay(kept)
            }
        }
    };
}

macro_rules! is_repeatable_as_before {
    ($wrapper:ident) => {
        impl<P: Repeatable<Req>, F, Req> Repeatable<Req> for $wrapper<P, F> {
            #[inline(always)]
            fn repeatable(&self, request: &Req) -> bool {
                self.protocol.repeatable(request)
            }
        }
    };
}

macro_rules! recovers_as_before {
    ($wrapper:ident) => {
        impl<P: Recover<E, Sent>, F, E, Sent> Recover<E, Sent> for $wrapper<P, F> {
            const MAY: bool = P::MAY;

            fn recover(&self, error: &mut E) -> Option<Sent> {
                self.protocol.recover(error)
            }
        }
    };
}

replays_as_before!(RepeatableBy);
replays_as_before!(RecoverBy);
is_repeatable_as_before!(CloneBy);
is_repeatable_as_before!(RecoverBy);
recovers_as_before!(CloneBy);
recovers_as_before!(RepeatableBy);

/// What none of them changes.
macro_rules! rest_as_before {
    ($wrapper:ident) => {
        impl<P, F> $wrapper<P, F> {
            pub(crate) const fn new(protocol: P, function: F) -> Self {
                Self { protocol, function }
            }
        }

        impl<P: Classify<T, E>, F, T, E> Classify<T, E> for $wrapper<P, F> {
            #[inline(always)]
            fn classify(&self, result: Result<&T, &E>) -> Verdict {
                self.protocol.classify(result)
            }

            fn again(&self, result: Result<&T, &E>) -> Again {
                self.protocol.again(result)
            }
        }

        impl<P: RequestContext<Req>, F, Req> RequestContext<Req> for $wrapper<P, F> {
            #[inline(always)]
            fn deadline(&self, request: &Req) -> Option<Deadline> {
                self.protocol.deadline(request)
            }

            fn priority(&self, request: &Req) -> Option<Priority> {
                self.protocol.priority(request)
            }

            #[inline(always)]
            fn is_retry(&self, request: &Req) -> bool {
                self.protocol.is_retry(request)
            }

            fn stamp(&self, request: &mut Req, mark: Mark) {
                self.protocol.stamp(request, mark);
            }
        }

        impl<P: ResponseContext<T>, F, T> ResponseContext<T> for $wrapper<P, F> {
            type Discard = P::Discard;

            fn discard(&self, answer: T) -> P::Discard {
                self.protocol.discard(answer)
            }
        }

        impl<P: Reclassify, F> Reclassify for $wrapper<P, F> {
            type With<C> = $wrapper<P::With<C>, F>;

            fn with<C>(self, classifier: C) -> Self::With<C> {
                $wrapper::new(self.protocol.with(classifier), self.function)
            }
        }

        impl<P: Adopt<Q>, F, Q> Adopt<Q> for $wrapper<P, F> {
            type Adopted = $wrapper<P::Adopted, F>;

            fn adopt(self, protocol: Q) -> Self::Adopted {
                $wrapper::new(self.protocol.adopt(protocol), self.function)
            }
        }

        // Without asking whether the function can be printed: none can.
        impl<P: fmt::Debug, F> fmt::Debug for $wrapper<P, F> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($wrapper))
                    .field(&self.protocol)
                    .finish()
            }
        }
    };
}

rest_as_before!(CloneBy);
rest_as_before!(RepeatableBy);
rest_as_before!(RecoverBy);
