//! Our own layers: defaults, a name, nobody listening, and [`WidenLayer`] below, because the inner error has no room for
//! refusals.

use std::time::Duration;

use buttress_bulkhead::{Bulkhead, BulkheadBuilder, BulkheadLayer, RefusingBulkheadLayer};
use buttress_circuit_breaker::{
    CircuitBreaker, CircuitBreakerBuilder, CircuitBreakerLayer, Window,
};
use buttress_core::WidenLayer;

use super::{Base, Case, OURS, bare};
use crate::subject::{clones, fiftieth_fails, queued, refused, refused_when_occupied, served};

const HEALTHY: &str = "breaker closed: count window, healthy";

pub(super) const CASES: &[Case] = &[
    Case::serving(OURS, "breaker closed: consecutive failures", |inner| {
        served(inner, built(breaker().consecutive_failures(5)))
    }),
    Case::serving(OURS, HEALTHY, |inner| {
        served(inner, built(over(count_window())))
    }),
    Case::special(OURS, "breaker closed: count window, failures in it", || {
        fiftieth_fails(built(over(count_window())))
    })
    .over(bare::FIFTIETH_FAILS),
    Case::serving(OURS, "breaker closed: time window", |inner| {
        served(inner, built(over(Window::time(Duration::from_secs(10)))))
    }),
    Case::serving(OURS, "breaker closed: slow-call detection on", |inner| {
        let slow = Duration::from_secs(1);
        served(
            inner,
            built(over(count_window()).slow_calls(slow, 0.5, count_window())),
        )
    })
    .over(Base {
        who: OURS,
        path: HEALTHY,
    }),
    Case::special(OURS, "breaker open: refuse", || {
        refused(built(breaker().consecutive_failures(5)))
    }),
    Case::special(OURS, "breaker: clone of the service", || {
        clones(built(breaker()))
    })
    .over(bare::CLONED),
    Case::serving(OURS, "bulkhead free", |inner| {
        served(inner, refusing(bulkhead(100)))
    }),
    Case::serving(OURS, "bulkhead free, with a queue", |inner| {
        served(inner, queueing(bulkhead(100)))
    }),
    Case::special(OURS, "bulkhead full: refuse", || {
        refused_when_occupied(refusing(bulkhead(1)))
    }),
    Case::special(OURS, "bulkhead full, a queue of 0: refuse", || {
        refused_when_occupied(queueing(bulkhead(1).queue(0)))
    }),
    Case::special(OURS, "bulkhead: queued call", || {
        queued(queueing(bulkhead(1)))
    })
    .over(bare::OVERLAP),
    Case::special(OURS, "bulkhead: clone of the service", || {
        clones(refusing(bulkhead(100)))
    })
    .over(bare::CLONED),
];

fn breaker() -> CircuitBreakerBuilder {
    CircuitBreaker::builder("bench")
}

fn over(window: Window) -> CircuitBreakerBuilder {
    breaker().failure_rate(0.5, window)
}

fn count_window() -> Window {
    Window::calls(100)
}

fn built(builder: CircuitBreakerBuilder) -> (CircuitBreakerLayer, WidenLayer) {
    (builder.build().layer(), WidenLayer)
}

fn bulkhead(max: u32) -> BulkheadBuilder {
    Bulkhead::builder("bench").max_concurrent(max)
}

fn refusing(builder: BulkheadBuilder) -> (RefusingBulkheadLayer, WidenLayer) {
    (builder.build().refusing_layer(), WidenLayer)
}

fn queueing(builder: BulkheadBuilder) -> (BulkheadLayer, WidenLayer) {
    (builder.build().layer(), WidenLayer)
}
