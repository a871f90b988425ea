//! Retries around a plain function, without tower.

use std::error::Error as StdError;
use std::future::Future;
use std::task::{Context, Poll};

use buttress_core::{Again, Classify, Plain, Reclassify, Verdict, find_rejection};
use tower_service::Service;

use crate::handle::Retry;
use crate::service::RetryService;

impl Retry {
    /// Calls an asynchronous function, and calls it again when it fails, as the layer does with a service.
    ///
    /// Every error counts as a failure that is worth another try, save a refusal of ours inside of it;
    /// [`run_by`](Self::run_by) takes a classifier, and any error type.
    ///
    /// ```
    /// # async fn load(id: u32) -> std::io::Result<u32> { Ok(id) }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// use buttress_retry::Retry;
    ///
    /// let retry = Retry::builder("orders-db").build();
    /// let order = retry.run(|| load(7)).await?;
    /// # assert_eq!(order, 7);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What the last call of the function fails with.
    ///
    /// # Cancel safety
    /// Dropping the future ends the call that runs; a retry that was let go and not made goes back into the budget.
    pub async fn run<T, E, F, Fut>(&self, call: F) -> Result<T, E>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<T, E>>,
        E: StdError + 'static,
    {
        self.run_by(ByError, call).await
    }

    /// Calls an asynchronous function, and calls it again when `classifier` says so.
    ///
    /// # Errors
    /// What the last call of the function fails with.
    ///
    /// # Cancel safety
    /// As [`run`](Self::run).
    pub async fn run_by<C, T, E, F, Fut>(&self, classifier: C, call: F) -> Result<T, E>
    where
        C: Classify<T, E>,
        F: Fn() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let protocol = Plain::new().with(classifier);
        let mut service = RetryService::new(Function(&call), self.clone(), protocol);
        service.call(()).await
    }
}

/// A function as a service that is always ready.
struct Function<'a, F>(&'a F);

impl<F> Clone for Function<'_, F> {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

impl<F, Fut, T, E> Service<()> for Function<'_, F>
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    type Response = T;
    type Error = E;
    type Future = Fut;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), E>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Fut {
        (self.0)()
    }
}

/// Judges as [`ByResult`](buttress_core::ByResult) does, but errors need no room for a refusal.
struct ByError;

impl<T, E: StdError + 'static> Classify<T, E> for ByError {
    fn classify(&self, result: Result<&T, &E>) -> Verdict {
        match result.map_err(|error| find_rejection(error)) {
            Ok(_) => Verdict::Success,
            Err(None) => Verdict::Failure,
            Err(Some(rejected)) => rejected.reason().verdict(),
        }
    }

    fn again(&self, result: Result<&T, &E>) -> Again {
        match result.map_err(|error| find_rejection(error)) {
            Ok(_) => Again::No,
            Err(None) => Again::Yes,
            Err(Some(rejected)) => rejected.reason().again(),
        }
    }
}
