use buttress_core::{Adopt, ByResult, Chosen, Reclassify};

use crate::QuotaFields;

/// A call over HTTP is over when the last frame of its answer has gone by.
///
/// The usual end of [`Http`](crate::Http) and [`Grpc`](crate::Grpc) calls: what the call holds rides on the body, in
/// [`Tracked`](crate::Tracked).
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "a marker has nothing inside")]
pub struct ToLastFrame;

/// A call over HTTP is over when the head of its answer is there; the body goes its own way.
///
/// Chosen with [`until_headers`](crate::HttpExt::until_headers): for answers that have no end of their own, and where the
/// type of the body must stay what it is. On a layer that has no protocol yet it waits for one, with the classifier that the
/// user may have chosen.
#[derive(Clone, Copy, Debug, Default)]
pub struct UntilHeaders<C = ByResult>(C);

/// When a call is over: [`ToLastFrame`] or [`UntilHeaders`].
pub trait Until {
    /// Whether what a call has taken rides on the body of its answer.
    const RIDES: bool;
}

impl Until for ToLastFrame {
    const RIDES: bool = true;
}

impl<C> Until for UntilHeaders<C> {
    const RIDES: bool = false;
}

impl UntilHeaders {
    /// The marker, with no classifier chosen.
    #[must_use]
    pub const fn new() -> Self {
        Self(ByResult)
    }
}

impl<C> Reclassify for UntilHeaders<C> {
    type With<D> = UntilHeaders<D>;

    fn with<D>(self, classifier: D) -> UntilHeaders<D> {
        UntilHeaders(classifier)
    }
}

/// A protocol whose calls can also be over at the head of the answer: [`Http`](crate::Http) and [`Grpc`](crate::Grpc).
///
/// A protocol of one's own implements it to work together with [`until_headers`](crate::HttpExt::until_headers). It also
/// tells protocols, which do not replace one that was chosen, from the marker [`UntilHeaders`], which changes it.
pub trait Protocol: Reclassify {
    /// The same protocol, over at the head.
    type UntilHeaders: Reclassify;

    /// Makes the calls be over at the head.
    fn shorten(self) -> Self::UntilHeaders;

    /// Tells clients of their quotas in these fields, where the protocol can; nothing changes unless it says how.
    #[must_use]
    fn with_quota_fields(self, fields: QuotaFields) -> Self
    where
        Self: Sized,
    {
        let _ = fields;
        self
    }
}

impl<Q: Protocol> Adopt<Q> for UntilHeaders<ByResult> {
    type Adopted = Q::UntilHeaders;

    fn adopt(self, protocol: Q) -> Self::Adopted {
        protocol.shorten()
    }
}

impl<C, Q: Protocol> Adopt<Q> for UntilHeaders<Chosen<C>> {
    type Adopted = <Q::UntilHeaders as Reclassify>::With<Chosen<C>>;

    fn adopt(self, protocol: Q) -> Self::Adopted {
        protocol.shorten().with(self.0)
    }
}

impl<C, D> Adopt<UntilHeaders<D>> for UntilHeaders<C> {
    type Adopted = Self;

    fn adopt(self, _: UntilHeaders<D>) -> Self {
        self
    }
}
