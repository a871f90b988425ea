use std::error::Error as StdError;
use std::fmt;

use crate::{Refusal, Rejected};

/// An error type with room for a refusal of ours.
///
/// Layers keep the error type of the service below them; what they need is a way to put a [`Rejected`] into it and to see
/// one that an inner layer has put there. Boxed errors have room, [`Error<E>`] makes room, and an error enum of one's own
/// gets room with two one-line methods:
///
/// ```
/// use buttress_core::{Rejectable, Rejected};
///
/// #[derive(Debug)]
/// enum OrderError {
///     Refused(Rejected),
///     Database(std::io::Error),
/// }
///
/// impl Rejectable for OrderError {
///     fn reject(rejected: Rejected) -> Self {
///         Self::Refused(rejected)
///     }
///     fn rejection(&self) -> Option<Rejected> {
///         if let Self::Refused(rejected) = self { Some(*rejected) } else { None }
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "the error type `{Self}` has no room for a refusal",
    label = "this service's error is `{Self}`, into which a layer cannot put its refusal",
    note = "in front of axum or tonic, wrap the layers: `respond((a.layer(), b.layer()))`; answers are rendered for you",
    note = "around a client, make room once, innermost: `.layer(WidenLayer)`; the error becomes `Error<{Self}>`",
    note = "an error enum of your own needs two one-line methods: `impl Rejectable`"
)]
pub trait Rejectable {
    /// Puts a refusal into an error of this type.
    fn reject(rejected: Rejected) -> Self;

    /// The refusal that this error carries, also behind other errors.
    fn rejection(&self) -> Option<Rejected>;

    /// The first link of the chain of sources, for a classifier that looks for the cause of this error: a connection that
    /// was never made, for one. By default there is nothing to look into.
    fn chain(&self) -> Option<&(dyn StdError + 'static)> {
        None
    }
}

/// Adds room for a refusal to the error type of a service or a future.
///
/// Made by [`WidenLayer`](crate::WidenLayer) and by the `run` of a handle. There are two variants and there will be no third,
/// so a match is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a match on both variants is the promise"
)]
pub enum Error<E> {
    /// A component of ours refused the call, or ended it.
    Rejected(Rejected),
    /// The error of the service itself.
    Inner(E),
}

impl<E> Error<E> {
    /// The service's own error, when it is one.
    #[must_use]
    pub fn into_inner(self) -> Option<E> {
        match self {
            Self::Rejected(_) => None,
            Self::Inner(error) => Some(error),
        }
    }
}

impl<E> Error<Error<E>> {
    /// Makes one of two, where one protected call runs inside another.
    #[must_use]
    pub fn flatten(self) -> Error<E> {
        match self {
            Self::Rejected(rejected) => Error::Rejected(rejected),
            Self::Inner(error) => error,
        }
    }
}

impl<E: StdError + 'static> Rejectable for Error<E> {
    #[inline]
    fn reject(rejected: Rejected) -> Self {
        Self::Rejected(rejected)
    }

    #[inline]
    fn rejection(&self) -> Option<Rejected> {
        match self {
            Self::Rejected(rejected) => Some(*rejected),
            Self::Inner(error) => find_rejection(error),
        }
    }

    fn chain(&self) -> Option<&(dyn StdError + 'static)> {
        self.source()
    }
}

impl<E: fmt::Display> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(rejected) => rejected.fmt(f),
            Self::Inner(error) => error.fmt(f),
        }
    }
}

impl<E: StdError + 'static> StdError for Error<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Rejected(rejected) => rejected.source(),
            Self::Inner(error) => Some(error),
        }
    }
}

// For every lifetime: with `'static` alone, `tokio::spawn(service.oneshot(request))` is refused by the compiler.
impl Rejectable for Box<dyn StdError + Send + Sync + '_> {
    fn reject(rejected: Rejected) -> Self {
        Box::new(rejected)
    }

    fn rejection(&self) -> Option<Rejected> {
        self.source().and_then(find_rejection)
    }

    // Not the boxed error itself: with a borrowed lifetime it is no `'static` error.
    fn chain(&self) -> Option<&(dyn StdError + 'static)> {
        self.source()
    }
}

/// How deep a chain of sources is followed. Real chains have a handful of links; a cyclic one must end.
const DEEPEST_SOURCE: usize = 64;

/// Finds the refusal of ours that an error is, or was caused by.
///
/// Follows [`source`](StdError::source), at most 64 deep, and sees through [`Error`], boxed errors and `io::Error::other`.
///
/// ```
/// use buttress_core::{find_rejection, Name, Reason, Rejected};
///
/// let rejected = Rejected::new(Reason::Overloaded, Name::new("reports"));
/// assert_eq!(find_rejection(&std::io::Error::other(rejected)), Some(rejected));
/// assert_eq!(find_rejection(&std::fmt::Error), None);
/// ```
// Inlined as far as the first link: where the type of the error is known, and has no source, nothing is left to be asked.
#[inline]
#[must_use]
pub fn find_rejection(error: &(dyn StdError + 'static)) -> Option<Rejected> {
    let of_itself = rejection_of(error);
    of_itself.or_else(|| error.source().and_then(find_deeper))
}

/// The refusal that this very link of a chain is.
#[inline]
fn rejection_of(error: &(dyn StdError + 'static)) -> Option<Rejected> {
    let refusal = error.downcast_ref::<Refusal>().map(Refusal::rejected);
    refusal.or_else(|| error.downcast_ref().copied())
}

fn find_deeper(source: &(dyn StdError + 'static)) -> Option<Rejected> {
    let mut link = Some(source);
    for _ in 1..DEEPEST_SOURCE {
        let error = link?;
        if let Some(rejected) = rejection_of(error) {
            return Some(rejected);
        }
        link = error.source();
    }
    None
}

impl Rejectable for Rejected {
    fn reject(rejected: Rejected) -> Self {
        rejected
    }

    fn rejection(&self) -> Option<Rejected> {
        Some(*self)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::{Name, Reason};

    type BoxError = Box<dyn StdError + Send + Sync>;

    fn refusal() -> Rejected {
        Rejected::new(Reason::Throttled, Name::new("search"))
    }

    #[test]
    fn a_boxed_error_gives_the_refusal_back_however_deep_it_stands() {
        let plain = BoxError::reject(refusal());
        let widened: BoxError = Box::new(Error::<io::Error>::Rejected(refusal()));
        let inside: BoxError = Box::new(Error::Inner(io::Error::other(refusal())));
        let twice: BoxError = Box::new(io::Error::other(io::Error::other(refusal())));
        let boxed_again: BoxError = Box::new(io::Error::other(BoxError::reject(refusal())));
        for error in [plain, widened, inside, twice, boxed_again] {
            assert_eq!(error.rejection(), Some(refusal()), "{error:?}");
        }
    }

    #[test]
    fn a_foreign_error_is_no_refusal() {
        let boxed: BoxError = Box::new(io::Error::other("disk on fire"));
        assert_eq!(boxed.rejection(), None);
        assert_eq!(Error::Inner(fmt::Error).rejection(), None);
        assert_eq!(
            Error::Inner(io::Error::other("disk on fire")).rejection(),
            None
        );
    }

    #[test]
    fn a_borrowed_boxed_error_has_room_too() {
        #[derive(Debug)]
        struct Borrowing<'a>(&'a str, Rejected);
        impl fmt::Display for Borrowing<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.0)
            }
        }
        impl StdError for Borrowing<'_> {
            fn source(&self) -> Option<&(dyn StdError + 'static)> {
                Some(&self.1)
            }
        }
        let text = String::from("borrowed");
        let error: Box<dyn StdError + Send + Sync + '_> = Box::new(Borrowing(&text, refusal()));
        assert_eq!(error.rejection(), Some(refusal()));
    }

    #[test]
    fn a_chain_that_never_ends_is_left() {
        #[derive(Debug)]
        struct Cycle;
        impl fmt::Display for Cycle {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("cycle")
            }
        }
        impl StdError for Cycle {
            fn source(&self) -> Option<&(dyn StdError + 'static)> {
                Some(&Self)
            }
        }
        assert_eq!(find_rejection(&Cycle), None);
    }

    #[test]
    fn nested_room_becomes_one() {
        let nested: Error<Error<fmt::Error>> = Error::Inner(Error::Rejected(refusal()));
        assert_eq!(nested.flatten(), Error::Rejected(refusal()));
    }
}
