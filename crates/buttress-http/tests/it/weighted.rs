//! What a call that weighs something costs when a component further in has refused it, and that is an answer already.

use std::convert::Infallible;
use std::time::Duration;

use buttress_core::{Reason, Verdict};
use buttress_http::{HttpExt, by_head, respond, respond_grpc};
use buttress_rate_limit::{Rate, RateLimit};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, ServiceExt, service_fn};

use crate::support::refuser;

fn tokens() -> RateLimit {
    let rate = Rate::per_hour(1).burst(100);
    RateLimit::builder("tokens").token_bucket(rate).build()
}

async fn hello(_: Request<()>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::default()))
}

const HOURS: Option<Duration> = Some(Duration::from_secs(7200));

#[tokio::test(start_paused = true)]
async fn a_refusal_that_is_an_answer_already_costs_nothing_unless_the_call_may_have_run_until_then()
{
    for reason in Reason::ALL {
        let may_have_run = [Reason::TimedOut, Reason::DeadlineExceeded].contains(&reason);
        let left = if may_have_run { 90 } else { 100 };
        let (http, grpc, judged) = (tokens(), tokens(), tokens());
        let weigh = |_: &Request<()>| 10;

        let inner = respond(refuser(reason, HOURS)).layer(service_fn(hello));
        let outer = respond(http.layer().cost(weigh)).layer(inner);
        outer.oneshot(Request::new(())).await.unwrap();
        assert_eq!(http.quota().remaining, left, "{reason}");

        let inner = respond_grpc(refuser(reason, HOURS)).layer(service_fn(hello));
        let outer = respond_grpc(grpc.layer().until_headers().cost(weigh)).layer(inner);
        outer.oneshot(Request::new(())).await.unwrap();
        assert_eq!(grpc.quota().remaining, left, "{reason} over gRPC");

        // Whatever a classifier of the user's own makes of it.
        let inner = respond(refuser(reason, HOURS)).layer(service_fn(hello));
        let own = judged.layer().classify(by_head(|_| Verdict::Success));
        let outer = respond(own.cost(weigh)).layer(inner);
        outer.oneshot(Request::new(())).await.unwrap();
        assert_eq!(judged.quota().remaining, left, "{reason}, judged otherwise");
    }
}

/// What is no refusal of this process is judged by what it says.
#[tokio::test(start_paused = true)]
async fn an_answer_that_only_looks_like_a_refusal_is_judged_as_an_answer() {
    for (status, left) in [(200, 90), (429, 100), (503, 90), (504, 90)] {
        let limit = tokens();
        let answer = move |_: Request<()>| async move {
            let response = Response::builder().status(status);
            Ok::<_, Infallible>(response.body(Full::<Bytes>::default()).unwrap())
        };
        let layer = respond(limit.layer().cost(|_: &Request<()>| 10));
        let service = layer.layer(service_fn(answer));
        service.oneshot(Request::new(())).await.unwrap();
        assert_eq!(limit.quota().remaining, left, "{status}");
    }
}
