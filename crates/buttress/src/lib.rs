#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

// The vocabulary: what every layer and every edge speaks.
pub use buttress_core::{
    Adopt, Again, ByResult, Classify, Condition, ConfigError, Deadline, Error, Inspect, Key, Name,
    Observer, Plain, Priority, Reason, Rejectable, Rejected, Settle, Verdict, WidenLayer, by,
    find_rejection,
};
pub use buttress_sync::intern;

/// The parts from which layers, protocols and classifiers of one's own are made.
pub mod core {
    pub use buttress_core::*;
}

/// Stops calling what keeps failing.
#[cfg(feature = "circuit-breaker")]
pub mod circuit_breaker {
    pub use buttress_circuit_breaker::*;
}
#[cfg(feature = "circuit-breaker")]
pub use buttress_circuit_breaker::{CircuitBreaker, CircuitBreakerLayer};

/// Bounds how many calls are inside at once, and lets the more important wait in front.
#[cfg(feature = "bulkhead")]
pub mod bulkhead {
    pub use buttress_bulkhead::*;
}
#[cfg(feature = "bulkhead")]
pub use buttress_bulkhead::{Bulkhead, BulkheadLayer, RefusingBulkheadLayer};

/// Limits how often calls start: for all, or for each client.
#[cfg(feature = "rate-limit")]
pub mod rate_limit {
    pub use buttress_rate_limit::*;
}
#[cfg(feature = "rate-limit")]
pub use buttress_rate_limit::{
    KeyedRateLimit, Rate, RateLimit, RateLimitLayer, WaitingRateLimitLayer,
};

/// Keeps something for each client, tenant or host: what keyed breakers, bulkheads and rate limits stand upon.
#[cfg(any(
    feature = "bulkhead",
    feature = "circuit-breaker",
    feature = "rate-limit"
))]
pub mod keyed {
    pub use buttress_keyed::*;
}
#[cfg(any(
    feature = "bulkhead",
    feature = "circuit-breaker",
    feature = "rate-limit"
))]
pub use buttress_keyed::MissingKey;

/// Sends again what failed, within a budget.
#[cfg(feature = "retry")]
pub mod retry {
    pub use buttress_retry::*;
}
#[cfg(feature = "retry")]
pub use buttress_retry::{Backoff, Retry, RetryBudget, RetryBudgetLayer};

/// Asks the next best source when one fails.
#[cfg(feature = "fallback")]
pub mod fallback {
    pub use buttress_fallback::*;
}
#[cfg(feature = "fallback")]
pub use buttress_fallback::{FallbackChain, FallbackLayer, LocalCache, Source};

/// Ends calls that take too long, by what calls take.
#[cfg(feature = "timeout")]
pub mod timeout {
    pub use buttress_timeout::*;
}
#[cfg(feature = "timeout")]
pub use buttress_timeout::{AdaptiveTimeout, AdaptiveTimeoutLayer, ConnectionTimeoutLayer};

/// What HTTP and gRPC mean by success, and how a refusal is answered.
#[cfg(feature = "http")]
pub mod http {
    pub use buttress_http::*;
}
#[cfg(feature = "http")]
pub use buttress_http::{
    ClientIp, HttpExt, QuotaFields, RespondLayer, as_is, by_header, by_path, by_uri, respond,
    respond_grpc,
};
