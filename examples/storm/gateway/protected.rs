//! The protected gateway: buttress on the server's side and towards each upstream.

use axum::Router;
use axum::body::Body;
use axum::error_handling::HandleErrorLayer;
use axum::extract::Request;
use buttress::circuit_breaker::{Event, State};
use buttress::http::Replayed;
use buttress::{
    Backoff, Bulkhead, CircuitBreaker, HttpExt, Priority, RespondLayer, Retry, respond,
};
use http::StatusCode;
use tokio::time::Instant;
use tower::timeout::TimeoutLayer;
use tower::timeout::error::Elapsed;
use tower::{BoxError, ServiceBuilder};

use super::forward::{Way, client};
use super::plan::{FAILURES, FIRST_BACKOFF, Plan, RETRIES};
use crate::breakers::{BreakerState, Transition, Transitions};
use crate::stage::{Class, PerUpstream, Upstream};

/// Everything that outlives a single call.
#[derive(Clone, Debug)]
pub struct Protected {
    plan: Plan,
    entrance: Bulkhead,
    guards: PerUpstream<Guard>,
    transitions: Transitions,
}

/// What stands between the gateway and one upstream: trouble with one takes nothing from the other.
#[derive(Clone, Debug)]
struct Guard {
    retry: Retry,
    breaker: CircuitBreaker,
    bulkhead: Bulkhead,
}

impl Protected {
    pub fn new(plan: Plan) -> Self {
        let transitions = Transitions::default();
        Self {
            plan,
            entrance: Bulkhead::builder("gateway")
                .max_concurrent(plan.capacity)
                .queue(plan.queue)
                .max_wait(plan.attempt_limit)
                .build(),
            guards: PerUpstream::from_fn(|upstream| Guard::new(upstream, plan, &transitions)),
            transitions,
        }
    }

    /// The routes of the gateway, behind its own bulkhead, before which checkouts go first.
    pub fn router(&self, ways: &PerUpstream<Way>) -> Router {
        let routes = Upstream::ALL
            .into_iter()
            .fold(Router::new(), |routes, upstream| {
                let guard = self.guards.of(upstream);
                guard.route(routes, upstream, ways.of(upstream).clone(), self.plan)
            });
        routes.layer(respond((self.entrance.layer().priority(priority),)))
    }

    /// How the breakers stand at this moment.
    pub fn states(&self) -> PerUpstream<BreakerState> {
        PerUpstream::from_fn(|upstream| state(self.guards.of(upstream).breaker.snapshot().state))
    }

    /// What the breakers did, its times counted from `start`.
    pub fn transitions(&self, start: Instant) -> Vec<Transition> {
        self.transitions.since(start)
    }
}

impl Guard {
    fn new(upstream: Upstream, plan: Plan, transitions: &Transitions) -> Self {
        let transitions = transitions.clone();
        let retry = Retry::builder(upstream.name())
            .retries(RETRIES)
            .backoff(Backoff::exponential(FIRST_BACKOFF))
            .total_time(plan.retry_time);
        let breaker = CircuitBreaker::builder(upstream.name())
            .consecutive_failures(FAILURES)
            .open_for(plan.open_time)
            .probe_limit(plan.open_time)
            .observer(move |event: &Event| {
                if let Some(state) = entered(event) {
                    transitions.note(upstream, state);
                }
            });
        let bulkhead = Bulkhead::builder(upstream.name()).max_concurrent(plan.slots);
        Self {
            retry: retry.build(),
            breaker: breaker.build(),
            bulkhead: bulkhead.build(),
        }
    }

    /// Adds the routes to an upstream: a hyper client under timeout, bulkhead, breaker and retry. What
    /// they refuse is answered by buttress, what the client could not do is explained by us.
    ///
    /// Retry stands outermost: each attempt has a timeout of its own, takes a slot and gives it back,
    /// and is seen by the breaker, which ends the retries too when it opens. Only what its method says
    /// can be repeated is sent again; whoever calls this gateway sends GETs.
    fn route(&self, routes: Router, upstream: Upstream, way: Way, plan: Plan) -> Router {
        let service = ServiceBuilder::new()
            .layer(HandleErrorLayer::new(explain))
            .layer(RespondLayer::new())
            .layer(self.retry.layer().http())
            .layer(self.breaker.layer().http())
            .layer(self.bulkhead.refusing_layer().http())
            .layer(TimeoutLayer::new(plan.attempt_limit))
            .map_request(move |attempt: http::Request<Replayed<Body>>| way.take(attempt))
            .service(client());
        Class::ALL.into_iter().fold(routes, |routes, class| {
            routes.route_service(class.path(upstream), service.clone())
        })
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

async fn explain(error: BoxError) -> StatusCode {
    if error.is::<Elapsed>() {
        StatusCode::GATEWAY_TIMEOUT
    } else {
        StatusCode::BAD_GATEWAY
    }
}

/// The state that a transition led to; a refusal leads nowhere.
const fn entered(event: &Event) -> Option<BreakerState> {
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
        priority(&request.body(Body::empty()).unwrap())
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
