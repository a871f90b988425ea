//! What an admitted call costs in allocations: none.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use buttress_core::{Adopt, Gate, Guarded, Key, Name, Plain, Reason, Rejected, Settle, Verdict};
use buttress_http::{ClientIp, Peer, QuotaFields, by_header, by_path, respond, respond_grpc};
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Body;
use http_body_util::Full;
use tower::{Layer, Service};

use crate::quotas::meter;

/// Lets every call in, or none.
#[derive(Clone, Copy)]
struct Door {
    open: bool,
}

struct Held;

impl Settle for Held {
    fn settle(self, verdict: Verdict) {
        black_box(verdict);
    }
}

impl<Req, P> Gate<Req, P> for Door {
    type Permit = Held;

    fn admit(&self, _: &Req, _: &P) -> Result<Held, Rejected> {
        if self.open {
            Ok(Held)
        } else {
            Err(Rejected::new(Reason::Overloaded, Name::new("door")))
        }
    }
}

#[derive(Clone, Copy)]
struct DoorLayer<P = Plain>(Door, P);

impl<P: Adopt<Q>, Q> Adopt<Q> for DoorLayer<P> {
    type Adopted = DoorLayer<P::Adopted>;

    fn adopt(self, protocol: Q) -> Self::Adopted {
        DoorLayer(self.0, self.1.adopt(protocol))
    }
}

impl<S, P: Clone> Layer<S> for DoorLayer<P> {
    type Service = Guarded<S, Door, P>;

    fn layer(&self, inner: S) -> Self::Service {
        Guarded::new(inner, self.0, self.1.clone())
    }
}

/// Answers at once, without allocating.
#[derive(Clone, Copy)]
struct Hello;

impl Service<Request<()>> for Hello {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(Response::new(Full::new(Bytes::from_static(b"hello")))))
    }
}

/// Calls once, and reads the answer to its end.
fn call<S, B>(service: &mut S)
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
    B: Body<Data = Bytes, Error = Infallible>,
{
    let mut cx = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut cx).is_ready());
    let future = pin!(service.call(Request::new(())));
    let Poll::Ready(Ok(response)) = future.poll(&mut cx) else {
        unreachable!("it answers at once")
    };
    let mut body = pin!(response.into_body());
    while let Poll::Ready(Some(frame)) = body.as_mut().poll_frame(&mut cx) {
        black_box(frame).unwrap();
    }
}

fn allocations(work: impl FnOnce()) -> u64 {
    allocation_counter::measure(work).count_total
}

#[test]
fn an_admitted_call_allocates_nothing() {
    let open = DoorLayer(Door { open: true }, Plain::new());
    let mut http = respond((open, open)).layer(Hello);
    let mut grpc = respond_grpc((open, open)).layer(Hello);
    assert_eq!(allocations(|| call(&mut http)), 0);
    assert_eq!(allocations(|| call(&mut grpc)), 0);
    assert!(allocations(|| drop(black_box(HeaderMap::<u8>::with_capacity(1)))) > 0);
}

/// The body's text, the headers, the extensions; nothing that grows.
#[test]
fn a_rendered_refusal_allocates_its_answer_and_no_more() {
    let shut = DoorLayer(Door { open: false }, Plain::new());
    let mut http = respond((shut, shut)).layer(Hello);
    let first = allocations(|| call(&mut http));
    assert!((1..=12).contains(&first), "{first}");
    assert_eq!(allocations(|| call(&mut http)), first);
}

/// Two texts, and room for them in the head.
#[test]
fn telling_a_quota_allocates_two_fields_and_no_more() {
    let mut told = respond(meter("limit", 100, 50)).layer(Hello);
    let count = allocations(|| call(&mut told));
    assert!((2..=4).contains(&count), "{count}");
    let silent = respond(meter("limit", 100, 50)).quota_fields(QuotaFields::None);
    let mut silent = silent.layer(Hello);
    assert_eq!(allocations(|| call(&mut silent)), 0);
}

#[test]
fn a_key_allocates_nothing() {
    let peer = Peer(std::net::SocketAddr::from(([10, 0, 0, 1], 4711)));
    let request = Request::get("/order/7")
        .header("x-forwarded-for", "198.51.100.1, 203.0.113.9, 10.0.0.2")
        .header("forwarded", "for=\"[2001:db8::1]:4711\";by=_x")
        .header("x-tenant", "red")
        .extension(peer);
    let request = request.body(()).unwrap();
    let client = ClientIp::peer().trusting(["10.0.0.0/8"]);
    let forwarded = client.clone().forwarded();
    let tenant = by_header(http::HeaderName::from_static("x-tenant"));
    // The first draws the seed.
    black_box(by_path().key(&request));
    let count = allocations(|| {
        black_box((client.key(&request), forwarded.key(&request)));
        black_box((tenant.key(&request), by_path().key(&request)));
    });
    assert_eq!(count, 0);
}
