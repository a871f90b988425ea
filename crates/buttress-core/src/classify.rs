use std::fmt;

use crate::{Again, Rejectable, Verdict};

/// Decides what the result of a call says about the dependency, and about trying again.
///
/// Implemented by [`ByResult`], by the classifiers of `buttress-http`, and by any closure
/// `Fn(Result<&T, &E>) -> Verdict`; hand a closure over through [`by`], which helps the compiler with its lifetimes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot judge a call that ends with `{T}` or `{E}`",
    label = "no classifier for `Result<&{T}, &{E}>`",
    note = "where another error says \"no room for a refusal\", cure that one first: this one goes with it",
    note = "if you wrote a closure, it needs help with its types: `by(|result: Result<&_, &_>| …)`, over HTTP `by_head(|head| …)`",
    note = "layers that follow a body to its last frame change its type: write `Response<_>`"
)]
pub trait Classify<T, E> {
    /// What the result says about the dependency.
    fn classify(&self, result: Result<&T, &E>) -> Verdict;

    /// What the result says about trying again; by default what follows from the verdict.
    fn again(&self, result: Result<&T, &E>) -> Again {
        self.classify(result).into()
    }
}

impl<F, T, E> Classify<T, E> for F
where
    F: Fn(Result<&T, &E>) -> Verdict,
{
    #[inline(always)]
    fn classify(&self, result: Result<&T, &E>) -> Verdict {
        self(result)
    }
}

/// Calls every `Ok` a success and every `Err` a failure, save our own refusals.
///
/// The classifier of the [`Plain`](crate::Plain) protocol. A refusal of ours further in is neutral and not tried again, so
/// a full bulkhead inside never opens a breaker outside, whatever their order; a timeout of ours is a failure.
#[derive(Clone, Copy, Debug, Default)]
pub struct ByResult;

impl<T, E: Rejectable> Classify<T, E> for ByResult {
    #[inline(always)]
    fn classify(&self, result: Result<&T, &E>) -> Verdict {
        match result {
            Ok(_) => Verdict::Success,
            Err(error) => classify_error(error),
        }
    }

    fn again(&self, result: Result<&T, &E>) -> Again {
        match result.map_err(Rejectable::rejection) {
            Ok(_) => Again::No,
            Err(None) => Again::Yes,
            Err(Some(rejected)) => rejected.reason().again(),
        }
    }
}

#[cold]
fn classify_error(error: &impl Rejectable) -> Verdict {
    error
        .rejection()
        .map_or(Verdict::Failure, |rejected| rejected.reason().verdict())
}

/// Takes a closure as a classifier, and tells the compiler that it works for every lifetime.
///
/// ```
/// use buttress_core::{by, Classify, Verdict};
///
/// let even = by(|result: Result<&u32, &std::io::Error>| match result {
///     Ok(n) if n % 2 == 0 => Verdict::Success,
///     _ => Verdict::Failure,
/// });
/// assert_eq!(even.classify(Ok(&3)), Verdict::Failure);
/// ```
pub fn by<T, E, F>(classifier: F) -> F
where
    F: Fn(Result<&T, &E>) -> Verdict,
{
    classifier
}

/// Marks a classifier that the user chose, so that it survives when a layer adopts another protocol.
#[derive(Clone, Copy)]
pub struct Chosen<C>(C);

// Without asking whether the classifier can be printed: most are closures.
impl<C> fmt::Debug for Chosen<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chosen")
    }
}

impl<C> Chosen<C> {
    /// Marks `classifier` as chosen.
    #[must_use]
    pub const fn new(classifier: C) -> Self {
        Self(classifier)
    }
}

impl<C: Classify<T, E>, T, E> Classify<T, E> for Chosen<C> {
    #[inline(always)]
    fn classify(&self, result: Result<&T, &E>) -> Verdict {
        self.0.classify(result)
    }

    fn again(&self, result: Result<&T, &E>) -> Again {
        self.0.again(result)
    }
}

/// A protocol that can take another classifier, keeping the rest of itself.
pub trait Reclassify {
    /// The same protocol with classifier `C`.
    type With<C>;

    /// Takes `classifier` in place of the present one.
    fn with<C>(self, classifier: C) -> Self::With<C>;
}
