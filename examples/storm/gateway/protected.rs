//! The protected gateway: buttress on the server's side and towards each upstream.

use axum::Router;
use axum::body::{Bytes, HttpBody};
use axum::error_handling::HandleErrorLayer;
use axum::extract::Request;
use axum::routing::get_service;
use buttress::circuit_breaker::{self, State};
use buttress::http::{HashedKey, Replayed};
use buttress::{
    AdaptiveTimeout, Backoff, Bulkhead, CircuitBreaker, Error, HttpExt, KeyedRateLimit, Priority,
    Rate, RateLimit, RespondLayer, Retry, WidenLayer, by_header, respond, timeout,
};
use http::{HeaderName, StatusCode};
use hyper_util::client::legacy;
use tokio::time::Instant;
use tower::{BoxError, Service, ServiceBuilder};

use super::forward::{Way, client};
use super::levels::{self, Chain};
use super::plan::{Allowance, FACTOR, FAILURES, FIRST_BACKOFF, FLOOR, Plan, RETRIES};
use crate::breakers::{BreakerState, Transition, Transitions};
use crate::clients::CLIENT_HEADER;
use crate::stage::{Class, PerUpstream, Upstream};
use crate::timeouts::{History, Timings, Turn};

/// Everything that outlives a single call.
#[derive(Clone, Debug)]
pub struct Protected {
    plan: Plan,
    per_client: KeyedRateLimit<HashedKey>,
    entrance: Bulkhead,
    guards: PerUpstream<Guard>,
    transitions: Transitions,
    timings: Timings,
}

/// What stands between the gateway and one upstream: trouble with one takes nothing from the other.
#[derive(Clone, Debug)]
struct Guard {
    retry: Retry,
    breaker: CircuitBreaker,
    bulkhead: Bulkhead,
    timeout: AdaptiveTimeout,
    timings: Timings,
}

impl Protected {
    pub fn new(plan: Plan) -> Self {
        let (transitions, timings) = (Transitions::default(), Timings::default());
        let guard = |upstream| Guard::new(upstream, plan, &transitions, &timings);
        let Allowance { per_minute, burst } = plan.per_client;
        let per_client = Rate::per_minute(per_minute).burst(burst);
        Self {
            plan,
            per_client: RateLimit::builder("per-client")
                .token_bucket(per_client)
                .keyed()
                .build(),
            entrance: Bulkhead::builder("gateway")
                .max_concurrent(plan.capacity)
                .queue(plan.queue)
                .max_wait(plan.attempt_limit)
                .build(),
            guards: PerUpstream::from_fn(guard),
            transitions,
            timings,
        }
    }

    /// The routes of the gateway, behind its own bulkhead, before which checkouts go first. Outermost is
    /// the limit of each client: what one asks for beyond it takes no place in the queue from others.
    pub fn router(&self, ways: &PerUpstream<Way>, replicas: &PerUpstream<Way>) -> Router {
        let routes = Upstream::ALL
            .into_iter()
            .fold(Router::new(), |routes, upstream| {
                let guard = self.guards.of(upstream);
                let replica = replicas.of(upstream).clone();
                let chain = levels::chain(upstream, replica, self.plan);
                guard.route(routes, upstream, ways.of(upstream).clone(), chain)
            });
        let client = by_header(HeaderName::from_static(CLIENT_HEADER));
        let entrance = self.entrance.layer().priority(priority);
        routes.layer(respond((self.per_client.by(client), entrance)))
    }

    /// How the breakers stand at this moment.
    pub fn states(&self) -> PerUpstream<BreakerState> {
        PerUpstream::from_fn(|upstream| state(self.guards.of(upstream).breaker.snapshot().state))
    }

    /// What the breakers did, its times counted from `start`.
    pub fn transitions(&self, start: Instant) -> Vec<Transition> {
        self.transitions.since(start)
    }

    /// Notes how long an attempt may take at this moment.
    pub fn sample_timeouts(&self) {
        for upstream in Upstream::ALL {
            let timeout = self.guards.of(upstream).timeout.current_timeout();
            self.timings.allow(upstream, timeout);
        }
    }

    /// What became of the attempts and of their timeouts, its times counted from `start`.
    pub fn timeouts(&self, start: Instant) -> PerUpstream<History> {
        self.timings.since(start)
    }
}

impl Guard {
    fn new(upstream: Upstream, plan: Plan, transitions: &Transitions, timings: &Timings) -> Self {
        let transitions = transitions.clone();
        let retry = Retry::builder(upstream.name())
            .retries(RETRIES)
            .backoff(Backoff::exponential(FIRST_BACKOFF))
            .total_time(plan.retry_time);
        let breaker = CircuitBreaker::builder(upstream.name())
            .consecutive_failures(FAILURES)
            .open_for(plan.open_time)
            .probe_limit(plan.open_time)
            .observer(move |event: &circuit_breaker::Event| {
                if let Some(state) = entered(event) {
                    transitions.note(upstream, state);
                }
            });
        let bulkhead = Bulkhead::builder(upstream.name()).max_concurrent(plan.slots);
        Self {
            retry: retry.build(),
            breaker: breaker.build(),
            bulkhead: bulkhead.build(),
            timeout: timeout(upstream, plan, timings.clone()),
            timings: timings.clone(),
        }
    }

    /// Adds the routes to an upstream: a hyper client under timeout, bulkhead, breaker, retry and, for
    /// what only reads, the other levels. What they refuse is answered by buttress, what the client
    /// could not do is explained by us.
    ///
    /// The chain stands outermost: when an upstream has failed for good, another level is asked. Anything
    /// but a GET goes without: its replica would do the work a second time, and a default says what is
    /// not so. Whoever calls this gateway sends GETs.
    fn route(&self, routes: Router, upstream: Upstream, way: Way, chain: Chain) -> Router {
        let reads = ServiceBuilder::new()
            .layer(HandleErrorLayer::new(explain))
            .layer(RespondLayer::new())
            .layer(chain.layer().http())
            .service(self.guarded(upstream, way.clone()));
        let writes = ServiceBuilder::new()
            .layer(HandleErrorLayer::new(explain))
            .layer(RespondLayer::new())
            .service(self.guarded(upstream, way));
        let route = get_service(reads).fallback_service(writes);
        Class::ALL.into_iter().fold(routes, |routes, class| {
            routes.route(class.path(upstream), route.clone())
        })
    }

    /// A client of an upstream, guarded against it.
    ///
    /// Each attempt of a retry has a timeout of its own, takes a slot and gives it back, and is seen by
    /// the breaker, which ends the retries too when it opens. Only what its method says can be repeated
    /// is sent again.
    fn guarded<B>(
        &self,
        upstream: Upstream,
        way: Way,
    ) -> impl Service<
        http::Request<B>,
        Response = http::Response<
            impl HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
        >,
        Error = Error<legacy::Error>,
        Future: Send,
    > + Clone
    + Send
    + Sync
    + 'static
    where
        B: HttpBody<Data = Bytes, Error: Into<BoxError> + Send> + Send + 'static,
    {
        let timings = self.timings.clone();
        ServiceBuilder::new()
            .layer(self.retry.layer().http())
            .layer(self.breaker.layer().http())
            .layer(self.bulkhead.refusing_layer().http())
            .layer(self.timeout.layer().http())
            .layer(WidenLayer)
            .map_request(move |attempt: http::Request<Replayed<B>>| way.take(attempt))
            .map_future(move |attempt| timings.clone().time(upstream, attempt))
            .service(client())
    }
}

/// How much a call matters: its path says what it is about, and this is our word on it. What a
/// caller writes into its headers moves nothing.
fn priority(request: &Request) -> Priority {
    match Class::of(request.uri().path()) {
        Class::Checkout => Priority::Critical,
        Class::Rest => Priority::Normal,
        Class::Browse => Priority::Background,
    }
}

/// Whatever the client could not do.
async fn explain(_: legacy::Error) -> StatusCode {
    StatusCode::BAD_GATEWAY
}

/// The timeout of an attempt, which learns; when it cannot is noted.
fn timeout(upstream: Upstream, plan: Plan, timings: Timings) -> AdaptiveTimeout {
    AdaptiveTimeout::builder(upstream.name())
        .total(plan.attempt_limit)
        .floor(FLOOR)
        .factor(FACTOR)
        .observer(move |event: &timeout::Event| match event {
            timeout::Event::Frozen { .. } => timings.turn(upstream, Turn::Frozen),
            timeout::Event::Resumed { .. } => timings.turn(upstream, Turn::Resumed),
            _ => {}
        })
        .build()
}

/// The state that a transition led to; a refusal leads nowhere.
const fn entered(event: &circuit_breaker::Event) -> Option<BreakerState> {
    use circuit_breaker::Event;
    match event {
        Event::Opened { .. } => Some(BreakerState::Open),
        Event::HalfOpened { .. } => Some(BreakerState::HalfOpen),
        Event::Closed { .. } => Some(BreakerState::Closed),
        _ => None,
    }
}

/// Nobody forces a breaker here, so there are three states to tell.
const fn state(state: State) -> BreakerState {
    match state {
        State::Open | State::ForcedOpen => BreakerState::Open,
        State::HalfOpen => BreakerState::HalfOpen,
        _ => BreakerState::Closed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn priority_of(path: &str, header: &'static str) -> Priority {
        let request = Request::get(path).header("priority", header);
        priority(&request.body(axum::body::Body::empty()).unwrap())
    }

    #[test]
    fn the_path_says_how_much_a_call_matters_and_a_header_says_nothing() {
        for header in ["critical", "background"] {
            assert_eq!(
                priority_of("/checkout/payments", header),
                Priority::Critical
            );
            assert_eq!(priority_of("/payments", header), Priority::Normal);
            assert_eq!(
                priority_of("/browse/payments?checkout", header),
                Priority::Background
            );
        }
    }
}
