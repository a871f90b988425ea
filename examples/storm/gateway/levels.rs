//! What answers when an upstream does not: its replica, what was kept, and what is better than nothing.

use axum::body::Body;
use buttress::core::Cached;
use buttress::http::{KeptAnswer, LevelBody, Replayed, level};
use buttress::{
    AdaptiveTimeout, CircuitBreaker, Error, FallbackChain, HttpExt, LocalCache, Source, WidenLayer,
};
use http::{Request, Response, header};
use hyper_util::client::legacy;
use tower::ServiceBuilder;

use super::forward::{Way, client};
use super::plan::{FAILURES, PRIMARY_TIME, Plan, REPLICA_TIME};
use crate::stage::{Class, Upstream};

/// A call that may be sent to another level, too.
type Asked = Request<Replayed<Body>>;

type Failure = Error<legacy::Error>;

/// The levels below an upstream.
pub type Chain = FallbackChain<Asked, Response<LevelBody>, Failure, Cached<KeptAnswer>>;

/// The chain of an upstream: it stands outside of everything that guards the upstream itself, so it is
/// asked when the retries are over, the breaker is open, the slots are taken or the time is up.
///
/// A call may take as long as in the bare gateway, all levels together.
pub fn chain(upstream: Upstream, replica: Way, plan: Plan) -> Chain {
    FallbackChain::builder(upstream.name())
        .total_time(PRIMARY_TIME + REPLICA_TIME)
        .primary_time(PRIMARY_TIME)
        .replica(self::replica(upstream, replica, plan))
        .local_cache(LocalCache::keyed(item))
        .default(Source::with(move || better_than_nothing(upstream)))
        .build()
}

/// A client of the replica with a breaker of its own, and a limit: no more calls than it can bear.
fn replica(
    upstream: Upstream,
    way: Way,
    plan: Plan,
) -> Source<Asked, Response<LevelBody>, Failure> {
    let breaker = CircuitBreaker::builder(upstream.replica())
        .consecutive_failures(FAILURES)
        .open_for(plan.open_time)
        .probe_limit(plan.open_time)
        .build();
    let timeout = AdaptiveTimeout::builder(upstream.replica())
        .total(REPLICA_TIME * 9 / 10)
        .fixed()
        .build();
    let service = ServiceBuilder::new()
        .layer(breaker.layer().http())
        .layer(timeout.layer().http())
        .layer(WidenLayer)
        .map_request(move |asked: Asked| way.take(asked))
        .service(client());
    // A little longer than the timeout, so that the breaker hears of what was cut.
    Source::service(level(service))
        .limit(plan.replica_slots)
        .time(REPLICA_TIME)
}

/// By what an answer is kept: the path says what is asked, the query about which item.
///
/// Whoever only looks may see what was so a while ago. A checkout is about what is so now: what was kept
/// for another is no answer to it. All calls are GETs without a user in them; what is a user's own would
/// need a tenant in the key.
fn item<B>(asked: &Request<B>) -> Option<String> {
    match Class::of(asked.uri().path()) {
        Class::Checkout => None,
        Class::Rest | Class::Browse => Some(asked.uri().path_and_query()?.to_string()),
    }
}

/// What a shop does that cannot ask: it sells what may be gone, on invoice.
fn better_than_nothing(upstream: Upstream) -> Response<LevelBody> {
    let body = match upstream {
        Upstream::Inventory => r#"{"from":"gateway","stock":"unknown"}"#,
        Upstream::Payments => r#"{"from":"gateway","pay":"on invoice"}"#,
    };
    let mut answer = Response::new(LevelBody::from(body));
    let json = header::HeaderValue::from_static("application/json");
    answer.headers_mut().insert(header::CONTENT_TYPE, json);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(uri: &str) -> Option<String> {
        item(&Request::get(uri).body(()).unwrap())
    }

    #[test]
    fn answers_are_kept_by_path_and_item_and_never_for_a_checkout() {
        assert_eq!(key("/payments?item=1"), key("/payments?item=1"));
        let others = ["/payments?item=2", "/browse/payments?item=1"];
        for other in others.map(key) {
            assert!(other.is_some() && other != key("/payments?item=1"));
        }
        assert_eq!(key("/checkout/payments?item=1"), None);
    }
}
