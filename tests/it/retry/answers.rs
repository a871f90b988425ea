//! Which answers are asked for again, for which requests. On paused time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use buttress::core::WidenLayer;
use buttress::retry::Jitter;
use buttress::{Backoff, Retry, RetryBudget};
use buttress_http::HttpExt;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::Empty;
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};

/// Sends a request to a server that answers always so, and says how often and how long it was asked.
async fn asked(
    request: Request<Empty<Bytes>>,
    status: u16,
    headers: &[(&'static str, &'static str)],
    keyed: bool,
) -> (u64, Duration, Vec<HeaderMap>) {
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let (noted, calls) = (Arc::clone(&seen), Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&calls);
    let headers = headers.to_vec();
    let service = service_fn(move |request: Request<_>| {
        noted.lock().unwrap().push(request.headers().clone());
        counted.fetch_add(1, SeqCst);
        let mut response = Response::builder().status(StatusCode::from_u16(status).unwrap());
        for (name, value) in &headers {
            response = response.header(*name, *value);
        }
        std::future::ready(Ok::<_, std::io::Error>(
            response.body(Empty::<Bytes>::new()).unwrap(),
        ))
    });
    let builder = Retry::builder("asked").backoff(Backoff::default().jitter(Jitter::None));
    let builder = builder.budget(&RetryBudget::builder("asked").build());
    let retry = if keyed {
        builder.idempotency_key().build()
    } else {
        builder.build()
    };
    let start = Instant::now();
    let stack = retry.layer().http().layer(WidenLayer.layer(service));
    let answer = stack.oneshot(request).await.unwrap();
    assert_eq!(answer.status(), status, "the last answer is the answer");
    let seen = seen.lock().unwrap().clone();
    (calls.load(SeqCst), start.elapsed(), seen)
}

fn request(method: &Method) -> Request<Empty<Bytes>> {
    let request = Request::builder().method(method);
    request.body(Empty::new()).unwrap()
}

// proves: RB-4
#[tokio::test(start_paused = true)]
async fn every_method_and_status_is_retried_as_the_tables_say() {
    let repeatable = [
        Method::GET,
        Method::HEAD,
        Method::OPTIONS,
        Method::TRACE,
        Method::PUT,
        Method::DELETE,
    ];
    let others = [Method::POST, Method::PATCH];
    for status in 200..600 {
        let retried = matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504 | 529);
        for method in repeatable.iter().chain(&others) {
            let again = retried && repeatable.contains(method);
            let (calls, waited, _) = asked(request(method), status, &[], false).await;
            assert_eq!(calls, if again { 4 } else { 1 }, "{method} {status}");
            // 100, 200, 400 ms; with a base of one second where the server is asked for too much.
            let base = if matches!(status, 429 | 529) {
                1000
            } else {
                100
            };
            let expected = if again { 7 * base } else { 0 };
            assert_eq!(waited, Duration::from_millis(expected), "{method} {status}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_server_says_is_obeyed() {
    for (status, header, calls, least) in [
        (429, ("retry-after", "7"), 4, 21_000),
        (503, ("retry-after-ms", "2500"), 4, 7_500),
        (503, ("x-should-retry", "false"), 1, 0),
        (409, ("x-should-retry", "true"), 4, 700),
        // Longer than the cap of the back-off: not sooner, but not at all.
        (429, ("retry-after", "61"), 1, 0),
        (429, ("retry-after", "-1"), 4, 7_000),
    ] {
        let (asked, waited, _) = asked(request(&Method::GET), status, &[header], false).await;
        assert_eq!(asked, calls, "{status} {header:?}");
        let (least, most) = (least as f64, least as f64 * 1.1 + 10.0);
        let waited = waited.as_secs_f64() * 1000.0;
        assert!((least..=most).contains(&waited), "{waited} ms: {header:?}");
    }
}

/// Made once, outside of the loop; what has one keeps it.
// proves: RB-4
#[tokio::test(start_paused = true)]
async fn every_attempt_carries_the_same_idempotency_key() {
    let (calls, _, seen) = asked(request(&Method::POST), 503, &[], true).await;
    assert_eq!(calls, 4, "a key makes a POST repeatable");
    let key = seen[0].get("idempotency-key").unwrap();
    assert_eq!(key.len(), 36);
    assert!(
        seen.iter()
            .all(|head| head.get("idempotency-key") == Some(key))
    );

    let mut own = request(&Method::POST);
    own.headers_mut()
        .insert("idempotency-key", "mine".parse().unwrap());
    let (calls, _, seen) = asked(own, 503, &[], true).await;
    assert_eq!(calls, 4);
    assert!(seen.iter().all(|head| head["idempotency-key"] == "mine"));
}
