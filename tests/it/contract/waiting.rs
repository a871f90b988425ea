//! The same for calls that find the bulkhead full and have to wait: dropped while they are in the queue, with a slot that was
//! just granted, and while the service that waited with them gets ready again.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use buttress_bulkhead::{Bulkhead, Permit};
use buttress_core::WidenLayer;
use buttress_http::{HttpExt, respond, respond_grpc};
use buttress_testkit::{Testable, cancel_matrix, strict_contract};
use tokio::runtime::{Builder, Runtime};
use tower::{Layer, Service};

use super::subjects::{Handles, http_subject, plain_subject};

/// Lets each call find a bulkhead of one slot full, and frees that slot after so many polls of the call: with none before the
/// first, in which the call takes it then.
#[derive(Clone)]
struct CrowdLayer {
    bulkhead: Bulkhead,
    polls: u32,
}

impl<S> Layer<S> for CrowdLayer {
    type Service = Crowd<S>;

    fn layer(&self, inner: S) -> Crowd<S> {
        let crowd = self.clone();
        Crowd { inner, crowd }
    }
}

#[derive(Clone)]
struct Crowd<S> {
    inner: S,
    crowd: CrowdLayer,
}

impl<S: Service<Req>, Req> Service<Req> for Crowd<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = CrowdFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let taken = self
            .crowd
            .bulkhead
            .try_acquire()
            .expect("its slot was lost");
        CrowdFuture {
            inner: Box::pin(self.inner.call(request)),
            taken: Some(taken),
            polls: self.crowd.polls,
        }
    }
}

struct CrowdFuture<F> {
    inner: Pin<Box<F>>,
    taken: Option<Permit>,
    polls: u32,
}

impl<F: Future> Future for CrowdFuture<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        if self.polls == 0 {
            self.taken = None;
        }
        let polled = self.inner.as_mut().poll(cx);
        if let Some(left) = self.polls.checked_sub(1) {
            assert!(polled.is_pending(), "it did not wait for its slot");
            self.polls = left;
            if left == 0 {
                self.taken = None;
            } else {
                cx.waker().wake_by_ref();
            }
        }
        polled
    }
}

/// Lets a service be pending when it is asked again whether it is ready, and then as ready as before; if it does so at all.
#[derive(Clone, Copy)]
struct LapsingLayer {
    lapses: bool,
}

impl<S> Layer<S> for LapsingLayer {
    type Service = Lapsing<S>;

    fn layer(&self, inner: S) -> Lapsing<S> {
        Lapsing {
            inner,
            layer: *self,
            ready: false,
        }
    }
}

struct Lapsing<S> {
    inner: S,
    layer: LapsingLayer,
    ready: bool,
}

impl<S: Clone> Clone for Lapsing<S> {
    fn clone(&self) -> Self {
        self.layer.layer(self.inner.clone())
    }
}

impl<S: Service<Req>, Req> Service<Req> for Lapsing<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        if self.layer.lapses && std::mem::take(&mut self.ready) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let readied = ready!(self.inner.poll_ready(cx));
        self.ready = readied.is_ok();
        Poll::Ready(readied)
    }

    fn call(&mut self, request: Req) -> S::Future {
        self.ready = false;
        self.inner.call(request)
    }
}

/// Where timers can be made; its time stands still.
fn still_time() -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap()
}

/// A drop at every point of a call that waits.
fn loses_nothing<X: Testable<Service: Clone>>(fixture: impl Fn() -> X) {
    let report = cancel_matrix(fixture);
    let ways = report.endings;
    assert!(
        ways.answered > 0 && ways.failed > 0 && ways.panicked > 0,
        "{report}"
    );
    assert!(
        ways.dropped_unpolled > 0 && ways.dropped_running > 0,
        "{report}"
    );
    assert_eq!(ways.refused, 0, "{report}");
}

macro_rules! waiting {
    ($($who:ident: |$handles:ident| $layers:expr;)+) => {$(
        mod $who {
            use super::*;

            /// A call that waits for so many polls, before a service whose readiness has lapsed by then or not.
            macro_rules! crowded {
                ($subject:ident, $polls:expr, $lapses:expr, |$plain:ident| $adopted:expr) => {
                    || {
                        let (polls, lapses) = ($polls, $lapses);
                        let $handles = Handles::for_one_call();
                        let $plain = $layers;
                        let bulkhead = $handles.bulkhead.clone();
                        let crowd = CrowdLayer { bulkhead, polls };
                        let layers = (crowd, $adopted, LapsingLayer { lapses });
                        $handles.conserved_by($subject(layers))
                    }
                };
            }

            /// A drop at every point of every kind of wait.
            macro_rules! at_every_point {
                ($subject:ident, |$plain:ident| $adopted:expr) => {{
                    let runtime = still_time();
                    let _time = runtime.enter();
                    for (polls, lapses) in [(0, false), (0, true), (1, false), (2, true)] {
                        loses_nothing(crowded!($subject, polls, lapses, |$plain| $adopted));
                    }
                }};
            }

            // proves
            #[test]
            fn keeps_the_contract_after_a_wait() {
                let runtime = still_time();
                let _time = runtime.enter();
                strict_contract(crowded!(plain_subject, 0, false, |layers| (layers, WidenLayer)));
                strict_contract(crowded!(http_subject, 0, false, |layers| respond(layers)));
            }

            // proves, PB-8
            #[test]
            fn loses_nothing_in_the_queue() {
                at_every_point!(plain_subject, |layers| (layers, WidenLayer));
            }

            // proves, PB-8
            #[test]
            fn loses_nothing_in_the_queue_over_http() {
                at_every_point!(http_subject, |layers| (layers.http(), WidenLayer));
                at_every_point!(http_subject, |layers| (layers.http().until_headers(), WidenLayer));
                at_every_point!(http_subject, |layers| respond(layers));
            }

            // proves, PB-8
            #[test]
            fn loses_nothing_in_the_queue_over_grpc() {
                at_every_point!(http_subject, |layers| (layers.grpc(), WidenLayer));
                at_every_point!(http_subject, |layers| respond_grpc(layers));
            }
        }
    )+};
}

waiting! {
    a_queue: |handles| handles.queue();
    a_queue_over_a_breaker: |handles| (handles.queue(), handles.breaker.layer());
    a_breaker_over_a_queue: |handles| (handles.breaker.layer(), handles.queue());
    a_queue_over_a_bulkhead: |handles| (handles.queue(), handles.other.refusing_layer());
    a_bulkhead_over_a_queue: |handles| (handles.other.refusing_layer(), handles.queue());
    a_queue_over_a_queue: |handles| (handles.other.layer(), handles.queue());
}
