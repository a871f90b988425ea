use std::future::Future;

use crate::{ByResult, Classify, Error, GuardedFuture, Plain, Rejected, Settle, WidenFuture};

/// Runs a future under a permit: what the `run` of every handle does.
///
/// Nothing happens before the first poll. Then `acquire` is polled; if it refuses, `future` is dropped without having been
/// polled. The result is judged by [`ByResult`].
///
/// The error of `future` must be a [`std::error::Error`]; with a boxed one, which is none, acquire and settle by hand.
///
/// # Errors
/// [`Error::Rejected`] with the refusal, or [`Error::Inner`] with the error of `future`.
///
/// # Cancel safety
/// Dropping the returned future drops `acquire`, or `future`, after which it gives the permit back, unsettled.
pub async fn run<Permit, F, T, E>(
    acquire: impl Future<Output = Result<Permit, Rejected>>,
    future: F,
) -> Result<T, Error<E>>
where
    Permit: Settle,
    F: Future<Output = Result<T, E>>,
    ByResult: Classify<T, Error<E>>,
    E: std::error::Error + 'static,
{
    match acquire.await {
        Ok(permit) => GuardedFuture::admitted(WidenFuture::new(future), permit, Plain::new()).await,
        Err(rejected) => Err(Error::Rejected(rejected)),
    }
}
