//! failsafe: a breaker without a layer of its own, so the thinnest possible one stands around it.

use std::task::{Context, Poll};
use std::time::Duration;

use failsafe::backoff::{Constant, constant};
use failsafe::failure_policy::{
    ConsecutiveFailures, SuccessRateOverTimeWindow, consecutive_failures,
    success_rate_over_time_window,
};
use failsafe::futures::{CircuitBreaker, ResponseFuture};
use failsafe::{Any, Config, FailurePolicy, StateMachine};
use tower_layer::Layer;
use tower_service::Service;

use super::Case;
use crate::subject::{refused, served};

const WHO: &str = "failsafe";

pub(super) const CASES: &[Case] = &[
    Case::serving(WHO, "breaker closed: consecutive failures", |inner| {
        served(inner, consecutive())
    }),
    Case::serving(WHO, "breaker closed: time window", |inner| {
        served(inner, success_rate())
    }),
    Case::special(WHO, "breaker open: refuse", || refused(consecutive())),
];

fn consecutive() -> Failsafe<ConsecutiveFailures<Constant>> {
    Failsafe::new(consecutive_failures(5, open_time()))
}

fn success_rate() -> Failsafe<SuccessRateOverTimeWindow<Constant>> {
    Failsafe::new(success_rate_over_time_window(
        0.5,
        20,
        Duration::from_secs(10),
        open_time(),
    ))
}

fn open_time() -> Constant {
    constant(Duration::from_secs(60))
}

struct Failsafe<P>(StateMachine<P, ()>);

impl<P: FailurePolicy> Failsafe<P> {
    fn new(policy: P) -> Self {
        Self(Config::new().failure_policy(policy).build())
    }
}

impl<S, P> Layer<S> for Failsafe<P> {
    type Service = Guarded<S, P>;

    fn layer(&self, inner: S) -> Guarded<S, P> {
        Guarded {
            inner,
            breaker: self.0.clone(),
        }
    }
}

struct Guarded<S, P> {
    inner: S,
    breaker: StateMachine<P, ()>,
}

impl<S: Clone, P> Clone for Guarded<S, P> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            breaker: self.breaker.clone(),
        }
    }
}

impl<S, P> Service<u64> for Guarded<S, P>
where
    S: Service<u64>,
    P: FailurePolicy + Send + Sync,
{
    type Response = S::Response;
    type Error = failsafe::Error<S::Error>;
    type Future = ResponseFuture<S::Future, P, (), Any>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(failsafe::Error::Inner)
    }

    #[inline]
    fn call(&mut self, request: u64) -> Self::Future {
        CircuitBreaker::call(&self.breaker, self.inner.call(request))
    }
}
