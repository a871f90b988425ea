use std::error::Error as StdError;

use buttress_core::{Error, Rejectable, Rejected};

/// An error type in which a refusal can be told from the service's own errors, and taken out to be answered.
///
/// [`Error<E>`](Error) leaves `E`, so a service that cannot fail still cannot; a boxed error stays boxed. An error enum of
/// one's own joins in with a few lines, as for [`Rejectable`].
#[diagnostic::on_unimplemented(
    message = "a refusal cannot be taken out of the error type `{Self}` to be answered",
    label = "the error of this service is `{Self}`",
    note = "`RespondLayer` is the upper half of a pair: put `.layer(WidenLayer)` innermost, below all the layers",
    note = "`respond((a.layer(), b.layer()))` brings both halves",
    note = "a foreign layer between the two must hand on the error of the service below it"
)]
pub trait Answerable {
    /// What is left when refusals are answered.
    type Inner;

    /// Tells a refusal from the service's own error.
    fn sort(self) -> Error<Self::Inner>;
}

impl<E> Answerable for Error<E> {
    type Inner = E;

    #[inline]
    fn sort(self) -> Self {
        self
    }
}

// For every lifetime: with `'static` alone, `tokio::spawn(service.oneshot(request))` is refused by the compiler.
impl Answerable for Box<dyn StdError + Send + Sync + '_> {
    type Inner = Self;

    fn sort(self) -> Error<Self> {
        self.rejection()
            .map_or_else(|| Error::Inner(self), Error::Rejected)
    }
}

impl Answerable for Rejected {
    type Inner = std::convert::Infallible;

    fn sort(self) -> Error<Self::Inner> {
        Error::Rejected(self)
    }
}
