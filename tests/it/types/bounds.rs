//! Send, Sync, 'static, Clone and Debug where the parts are, and nothing more is asked of the inner service.

use std::fmt::Debug;
use std::future::{Ready, ready};
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll};

use buttress_bulkhead::Bulkhead;
use buttress_circuit_breaker::CircuitBreaker;
use buttress_core::{Error, Observer, Rejected, WidenLayer};
use buttress_http::{HttpExt, RespondLayer, as_is, respond, respond_grpc};
use http::Request;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

use super::{BoxError, breaker, bulkhead, double, fits, hello};

fn anywhere<T: Send + Sync + 'static>() {}

#[test]
fn layers_services_and_futures_are_send_sync_and_static_where_their_parts_are() {
    let both = || (bulkhead(), breaker());
    fits(&both(), service_fn(double), 1);
    fits(&(both(), WidenLayer), service_fn(hello), Request::new(()));
    fits(
        &(both().http(), WidenLayer),
        service_fn(hello),
        Request::new(()),
    );
    fits(
        &(both().grpc(), WidenLayer),
        service_fn(hello),
        Request::new(()),
    );
    fits(
        &(both().http().until_headers(), WidenLayer),
        service_fn(hello),
        Request::new(()),
    );
    fits(
        &(RespondLayer::new(), both().http(), WidenLayer),
        service_fn(hello),
        Request::new(()),
    );
    fits(&respond(both()), service_fn(hello), Request::new(()));
    fits(
        &respond(both().until_headers()),
        service_fn(hello),
        Request::new(()),
    );
    fits(
        &respond_grpc((bulkhead(), as_is(WidenLayer), breaker())),
        service_fn(hello),
        Request::new(()),
    );
}

#[test]
fn layers_services_and_futures_can_be_printed() {
    fn named(thing: &impl Debug, name: &str) {
        let text = format!("{thing:?}");
        assert!(text.contains(name), "{text} does not contain {name}");
    }
    let layers = respond((bulkhead(), breaker()));
    let mut service = layers.layer(service_fn(hello));
    named(&layers, "RefusingBulkheadLayer");
    named(&layers, "CircuitBreakerLayer");
    named(&service, "CircuitBreaker");
    named(&service.call(Request::new(())), "calling");
}

#[test]
fn handles_permits_and_what_they_tell_are_send_sync_and_static() {
    anywhere::<Bulkhead>();
    anywhere::<buttress_bulkhead::BulkheadBuilder>();
    anywhere::<buttress_bulkhead::Event>();
    anywhere::<buttress_bulkhead::Permit>();
    anywhere::<buttress_bulkhead::Snapshot>();
    anywhere::<CircuitBreaker>();
    anywhere::<buttress_circuit_breaker::CircuitBreakerBuilder>();
    anywhere::<buttress_circuit_breaker::Event>();
    anywhere::<buttress_circuit_breaker::Permit>();
    anywhere::<buttress_circuit_breaker::Snapshot>();
    anywhere::<Error<Rejected>>();
    anywhere::<Box<dyn Observer<buttress_bulkhead::Event>>>();
}

#[tokio::test]
async fn a_service_that_cannot_leave_its_thread_is_guarded_too() {
    let here = Rc::new(20);
    let service = service_fn(move |n: u32| {
        let here = Rc::clone(&here);
        async move { Ok::<_, BoxError>(*here + n) }
    });
    let service = ServiceBuilder::new()
        .layer((bulkhead(), breaker()))
        .service(service);
    assert_eq!(service.oneshot(22).await.unwrap(), 42);
}

/// There is one of it, and its readiness goes with it.
struct Single;

impl Service<u32> for Single {
    type Response = u32;
    type Error = io::Error;
    type Future = Ready<io::Result<u32>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, n: u32) -> Self::Future {
        ready(Ok(n))
    }
}

#[tokio::test]
async fn a_service_that_cannot_be_cloned_is_guarded_too() {
    let layers = ServiceBuilder::new()
        .layer((bulkhead(), breaker()))
        .layer(WidenLayer);
    let mut service = layers.service(Single);
    for n in 0..3 {
        assert_eq!(service.ready().await.unwrap().call(n).await.unwrap(), n);
    }
}
