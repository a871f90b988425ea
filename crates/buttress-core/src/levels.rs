use std::any::Any;
use std::convert::Infallible;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::{Keeper, Rejected, Settle, Trail, Verdict};

/// Makes one kind of answer of what the levels of a chain give: `T` the primary, `L` the levels below it, `K` those that keep
/// answers.
///
/// Plain answers are of one type. Over HTTP each level may have a body of its own, and an answer that is to be kept is kept while it
/// goes by.
#[diagnostic::on_unimplemented(
    message = "the protocol `{Self}` makes no one answer of `{T}`, from the primary, and `{L}`, from the levels below it",
    label = "no `Levels<{T}, {L}, {K}>` for `{Self}`",
    note = "plain levels answer with the primary's own type, which is `Clone` where answers are kept: a cache of `{T}`",
    note = "over HTTP, after `.http()` or `.grpc()`, they answer with `http::Response<_>`, and caches keep `buttress_http::KeptAnswer`"
)]
pub trait Levels<T, L, K: Keeping> {
    /// What the caller gets.
    type Output;

    /// An answer of the primary.
    fn first(&self, answer: T) -> Self::Output;

    /// An answer of a level below it, which has taken nothing.
    fn lower(&self, answer: L) -> Self::Output;

    /// An answer of a level below it, judged so, and what its call has taken: given back at once, unless the protocol knows of a later
    /// end, such as that of a body.
    fn lower_holding<H>(&self, answer: L, holds: H, verdict: Verdict) -> Self::Output
    where
        H: Settle + Send + Sync + 'static,
    {
        holds.settle(verdict);
        self.lower(answer)
    }

    /// An answer that was kept.
    fn restore(&self, kept: K::Value) -> Self::Output;

    /// Whether an answer that was kept for the same key is one to this request, too.
    fn fits(&self, kept: &K::Value, asking: &Asking) -> bool {
        let _ = (kept, asking);
        true
    }

    /// Hands what is to be kept of a good answer to `keeper`, at once or when all of it has gone by. Where it must not be kept it lets
    /// `keeper` [forget](Keeper::forget) what the answer supersedes, or drops it.
    fn keep(&self, answer: Self::Output, keeper: Keeper<K::Value>) -> Self::Output;

    /// An answer that says that every level was asked in vain, where the protocol makes one: otherwise the primary's own failure goes
    /// to the caller. `refused` says that it was no failure of theirs: there was no time to ask all of them, or all were refused.
    fn exhausted(&self, trail: &Trail, refused: Option<Rejected>) -> Option<Self::Output> {
        let _ = (trail, refused);
        None
    }
}

/// What the caches of a chain keep: [`Uncached`] or [`Cached`].
pub trait Keeping {
    /// What is kept of an answer.
    type Value: Clone + Send + Sync + 'static;
}

/// A chain without caches.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "it stands for a type, and has no value"
)]
pub enum Uncached {}

/// A chain whose caches keep values of type `V`.
#[derive(Clone, Copy, Debug)]
pub struct Cached<V>(Infallible, PhantomData<V>);

impl Keeping for Uncached {
    type Value = Infallible;
}

impl<V: Clone + Send + Sync + 'static> Keeping for Cached<V> {
    type Value = V;
}

/// Whom an answer may be kept for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "nobody, some, or all")]
pub enum Sharing {
    /// Nobody.
    Never,
    /// Those of the same tenant: the request says who its caller is.
    WithinTenant,
    /// All that have the same key.
    WithAll,
}

/// What a request says of answers that are kept.
#[derive(Clone)]
#[expect(
    clippy::exhaustive_structs,
    reason = "made by a protocol, read by the chain: they must agree on every field"
)]
pub struct Asking {
    /// Whether the answer to it may be kept.
    pub keeps: bool,
    /// Whether one that was kept may answer it before anybody was asked.
    pub takes_kept: bool,
    /// Whether it changes what is asked for under its key. Then nothing of it is kept or given, and once it went well what was kept is
    /// outdated.
    pub changes: bool,
    /// What an answer may depend on beside the key, for the protocol to [look at](Levels::fits).
    pub variant: Option<Arc<dyn Any + Send + Sync>>,
}

impl Default for Asking {
    fn default() -> Self {
        Self {
            keeps: true,
            takes_kept: true,
            changes: false,
            variant: None,
        }
    }
}

impl fmt::Debug for Asking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asking")
            .field("keeps", &self.keeps)
            .field("takes_kept", &self.takes_kept)
            .field("changes", &self.changes)
            .finish_non_exhaustive()
    }
}
