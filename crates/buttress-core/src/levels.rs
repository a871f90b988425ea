use std::convert::Infallible;
use std::fmt;
use std::marker::PhantomData;

use crate::Trail;

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

    /// An answer of a level below it.
    fn lower(&self, answer: L) -> Self::Output;

    /// An answer that was kept.
    fn restore(&self, kept: K::Value) -> Self::Output;

    /// Hands what is to be kept of a good answer to `keeper`, at once or when all of it has gone by; or drops `keeper`, where it must
    /// not be kept.
    fn keep(&self, answer: Self::Output, keeper: Keeper<K::Value>) -> Self::Output;

    /// An answer that says that every level was asked in vain, where the protocol makes one: otherwise the primary's own failure goes
    /// to the caller.
    fn exhausted(&self, trail: &Trail) -> Option<Self::Output> {
        let _ = trail;
        None
    }
}

/// What the caches of a chain keep: [`Uncached`] or [`Cached`].
pub trait Keeping {
    /// What is kept of an answer.
    type Value: Clone + Send + 'static;
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

impl<V: Clone + Send + 'static> Keeping for Cached<V> {
    type Value = V;
}

/// Takes in what is to be kept of an answer; dropped where nothing is.
pub struct Keeper<V>(Box<dyn FnOnce(V, usize) + Send + Sync>);

impl<V> Keeper<V> {
    /// Hands what is kept to `keep`, with the number of bytes that it takes.
    pub fn new(keep: impl FnOnce(V, usize) + Send + Sync + 'static) -> Self {
        Self(Box::new(keep))
    }

    /// Takes it in, with the number of bytes that it takes.
    pub fn keep(self, value: V, bytes: usize) {
        (self.0)(value, bytes);
    }
}

impl<V> fmt::Debug for Keeper<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keeper")
    }
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
