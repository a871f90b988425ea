//! axum over real sockets: what its users write, and what their clients see.

mod answers;
mod limit;
mod opening;
mod queue;
mod rates;

use buttress_bulkhead::Bulkhead;
use buttress_circuit_breaker::CircuitBreaker;
use bytes::Bytes;
use http::Response;

fn two_slots() -> Bulkhead {
    Bulkhead::builder("room").max_concurrent(2).build()
}

fn breaker() -> CircuitBreaker {
    CircuitBreaker::builder("handlers").jitter(0.0).build()
}

/// A refusal as RFC 9457 and RFC 9110 have it: two calls are inside, and nobody knows for how long.
fn assert_overloaded(answer: &Response<Bytes>) {
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    assert_eq!(answer.headers()["retry-after"], "1");
    let problem: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    let expected = serde_json::json!({
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "reason": "overloaded",
        "retry_after_ms": 1000,
    });
    assert_eq!(problem, expected);
}
