use std::future::Future;
use std::task::{Context, Poll};

use tower_service::Service;

use super::Target;

/// What is called again and again: a service, or one with something around it that is no service, because its future has no
/// name.
pub trait Callee: Clone + Send + 'static {
    /// What a call fails with.
    type Error: Send;

    /// As of a service.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>>;

    /// As of a service.
    fn call(&mut self, request: u64) -> impl Future<Output = Result<u64, Self::Error>> + Send;
}

impl<S: Target> Callee for S {
    type Error = <S as Service<u64>>::Error;

    #[inline(always)]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Service::poll_ready(self, cx)
    }

    #[inline(always)]
    fn call(&mut self, request: u64) -> impl Future<Output = Result<u64, Self::Error>> + Send {
        Service::call(self, request)
    }
}
