//! How much a call matters is what the application says, and never what a header says.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Waker};

use buttress_bulkhead::{Bulkhead, Permit};
use buttress_core::{Priority, WidenLayer};
use buttress_http::{HttpExt, respond, respond_grpc};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, Service, ServiceExt, service_fn};

/// What callers write when they want to go first, and when they are asked to say how long they wait.
const HEADERS: [&str; 24] = [
    "priority",
    "x-priority",
    "x-request-priority",
    "request-priority",
    "x-call-priority",
    "x-importance",
    "importance",
    "criticality",
    "x-criticality",
    "x-request-criticality",
    "x-class",
    "x-qos",
    "x-service-class",
    "urgency",
    "x-urgent",
    "x-envoy-priority",
    "x-envoy-upstream-rq-priority",
    "grpc-priority",
    "x-buttress-priority",
    "buttress-priority",
    "baggage",
    "early-data",
    "x-user-tier",
    "dscp",
];

/// In every form they may have: RFC 9218, words, numbers.
const VALUES: [&str; 12] = [
    "critical",
    "Critical",
    "CRITICAL",
    "high",
    "urgent",
    "4",
    "0",
    "1",
    "u=0",
    "u=0, i",
    "true",
    "background",
];

async fn hello(_: Request<()>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::from("hello")))
}

/// A bulkhead whose one ordinary slot is taken; one more is kept for critical calls.
fn full() -> (Bulkhead, Permit) {
    let builder = Bulkhead::builder("classes").max_concurrent(2);
    let bulkhead = builder.reserved_for_critical(1).build();
    let inside = bulkhead.try_acquire().unwrap();
    (bulkhead, inside)
}

/// The class in which a request waits; the highest when it takes the slot that is kept for that.
fn class_of<S>(bulkhead: &Bulkhead, service: &S, request: Request<()>) -> Priority
where
    S: Service<Request<()>> + Clone,
{
    let mut call = Box::pin(service.clone().oneshot(request));
    let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    let snapshot = bulkhead.snapshot();
    if polled.is_ready() {
        assert_eq!((snapshot.queued_calls, snapshot.rejected_calls), (0, 0));
        return Priority::Critical;
    }
    assert_eq!(snapshot.queued_calls, 1);
    let waits_in = |class: &Priority| snapshot.class(*class).queued_calls == 1;
    Priority::ALL.into_iter().find(waits_in).unwrap()
}

/// Every protocol, and with every layer around.
macro_rules! in_every_protocol {
    (|$bulkhead:ident, $service:ident| $check:expr) => {{
        let ($bulkhead, _inside) = full();
        let layer = || $bulkhead.layer();
        {
            let $service = (layer().http(), WidenLayer).layer(service_fn(hello));
            $check;
        }
        {
            let $service = (layer().http().until_headers(), WidenLayer).layer(service_fn(hello));
            $check;
        }
        {
            let $service = (layer().grpc(), WidenLayer).layer(service_fn(hello));
            $check;
        }
        {
            let $service = respond((layer(),)).layer(service_fn(hello));
            $check;
        }
        {
            let $service = respond_grpc((layer(),)).layer(service_fn(hello));
            $check;
        }
    }};
}

// proves: PB-3
#[tokio::test(start_paused = true)]
async fn no_header_moves_a_call_out_of_its_class() {
    let mut asked = 0;
    in_every_protocol!(|bulkhead, service| {
        for header in HEADERS {
            for value in VALUES {
                let request = Request::builder().header(header, value).body(()).unwrap();
                let class = class_of(&bulkhead, &service, request);
                assert_eq!(class, Priority::Normal, "{header}: {value}");
                asked += 1;
            }
        }
        // All of them at once, in the address too.
        let mut request = Request::builder().uri("/?priority=critical");
        for header in HEADERS {
            request = request.header(header, "critical");
        }
        let class = class_of(&bulkhead, &service, request.body(()).unwrap());
        assert_eq!(class, Priority::Normal);
    });
    assert_eq!(asked, 5 * HEADERS.len() * VALUES.len());
}

/// Every class can be told here, or the test above would prove nothing.
// proves: PB-3
#[tokio::test(start_paused = true)]
async fn the_extension_of_the_application_says_the_class_whatever_the_headers_say() {
    in_every_protocol!(|bulkhead, service| {
        for class in Priority::ALL {
            let request = Request::builder().header("priority", "u=0");
            let request = request.header("x-priority", "critical").extension(class);
            assert_eq!(
                class_of(&bulkhead, &service, request.body(()).unwrap()),
                class
            );
        }
    });
}

// proves: PB-3
#[tokio::test(start_paused = true)]
async fn nothing_else_in_the_extensions_says_a_class() {
    in_every_protocol!(|bulkhead, service| {
        let request = Request::builder()
            .extension("critical")
            .extension(String::from("critical"))
            .extension(4_u8)
            .extension(4_usize)
            .extension(Some(Priority::Critical))
            .extension(Arc::new(Priority::Critical));
        let class = class_of(&bulkhead, &service, request.body(()).unwrap());
        assert_eq!(class, Priority::Normal);
    });
}

/// A header counts when the application maps it, and then as far as the application lets it.
// proves: PB-3
#[tokio::test(start_paused = true)]
async fn a_header_counts_when_it_is_mapped_and_no_further_than_its_ceiling() {
    let (bulkhead, _inside) = full();
    let mapped = |request: &Request<()>| match request.headers().get("priority") {
        Some(value) if value == "u=0" => Priority::High,
        Some(value) if value == "u=7" => Priority::Background,
        _ => Priority::Normal,
    };
    let layers = (bulkhead.layer().http().priority(mapped), WidenLayer);
    let service = layers.layer(service_fn(hello));
    for (value, class) in [
        ("u=0", Priority::High),
        ("u=7", Priority::Background),
        ("critical", Priority::Normal),
    ] {
        let request = Request::builder().header("priority", value);
        let request = request.extension(Priority::Critical).body(()).unwrap();
        assert_eq!(class_of(&bulkhead, &service, request), class, "{value}");
    }
}
