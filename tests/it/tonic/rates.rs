//! Rate limits before a server, and what a client makes of what it is told.

use std::time::Duration;

use buttress::{
    Backoff, ClientIp, HttpExt, Rate, RateLimit, Reason, Retry, WidenLayer, find_rejection,
    respond_grpc,
};
use buttress_http::SendAsLayer;
use http::Request;
use tokio::time::Instant;
use tonic::body::Body as TonicBody;
use tonic::transport::Server;
use tonic::{Code, Status};
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt;
use tower::ServiceBuilder;

use super::health::{Scripted, channel, ending, serve, serve_bare};
use crate::support::soon;

const MS: Duration = Duration::from_millis(1);

/// One call in so long a time.
fn one_in(time: Duration) -> RateLimit {
    let rate = Rate::new(1, time);
    RateLimit::builder("calls").token_bucket(rate).build()
}

/// A spent quota as gRPC has it, twice: the push-back, and `RetryInfo` as Google's libraries read it.
#[track_caller]
fn assert_throttled(status: &Status, wait: std::ops::RangeInclusive<Duration>) -> Duration {
    assert_eq!(
        (status.code(), status.message()),
        (Code::ResourceExhausted, "throttled"),
        "{status:?}"
    );
    let pushback = status.metadata().get("grpc-retry-pushback-ms").unwrap();
    let millis = pushback.to_str().unwrap().parse().unwrap();
    let info = status.get_details_retry_info().expect("details");
    let delay = info.retry_delay.expect("a delay");
    assert!(wait.contains(&delay), "{delay:?}");
    // One in whole milliseconds, the other to the nanosecond.
    let pushback = Duration::from_millis(millis);
    assert!(
        pushback >= delay && pushback < delay + MS,
        "{pushback:?} {delay:?}"
    );
    delay
}

// proves: RL-1, RL-3
#[tokio::test]
async fn a_spent_quota_is_resource_exhausted_with_a_push_back_and_retry_info() {
    let (limit, service) = (one_in(400 * MS), Scripted::default());
    let mut server = Server::builder().layer(respond_grpc((limit.layer(),)));
    let address = serve(server.add_service(service.server())).await;
    let mut client = HealthClient::new(channel(address));
    client.check(ending(Code::Ok)).await.unwrap();
    let unary = client.check(ending(Code::Ok)).await.unwrap_err();
    let streaming = client.watch(ending(Code::Ok)).await.unwrap_err();
    for status in [&unary, &streaming] {
        assert_throttled(status, MS..=400 * MS);
    }
    assert_eq!(service.calls(), 1);
    // Whoever waits as long as it was told gets in.
    tokio::time::sleep(assert_throttled(&streaming, MS..=400 * MS)).await;
    client.check(ending(Code::Ok)).await.unwrap();
    assert_eq!(service.calls(), 2);
}

/// A call that is heavier than the whole quota never fits: there is nothing to come back for.
#[tokio::test]
async fn a_call_that_never_fits_has_no_push_back() {
    let limit = one_in(Duration::from_secs(60));
    let layer = limit.layer().cost(|_: &Request<TonicBody>| 2);
    let mut server = Server::builder().layer(respond_grpc((layer,)));
    let address = serve(server.add_service(Scripted::default().server())).await;
    let mut client = HealthClient::new(channel(address));
    let status = client.check(ending(Code::Ok)).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.metadata().get("grpc-retry-pushback-ms").is_none());
    assert!(status.get_details_retry_info().is_none());
    assert_eq!(limit.quota().remaining, 1);
}

// proves: RB-7, RL-3
#[tokio::test]
async fn our_retry_around_a_channel_waits_as_long_as_it_is_told() {
    let (limit, service) = (one_in(300 * MS), Scripted::default());
    let mut server = Server::builder().layer(respond_grpc((limit.layer(),)));
    let address = serve(server.add_service(service.server())).await;
    // Without what it is told it would ask again at once, and again, and give up.
    let retry = Retry::builder("health")
        .retries(2)
        .backoff(Backoff::constant(Duration::ZERO))
        .build();
    let layer = retry
        .layer()
        .grpc()
        .repeatable(|_: &Request<TonicBody>| true);
    let stack = ServiceBuilder::new()
        .layer(layer)
        .layer(WidenLayer)
        .layer(SendAsLayer::<TonicBody>::new())
        .service(channel(address));
    let mut client = HealthClient::new(stack);
    client.check(ending(Code::Ok)).await.unwrap();
    let (mut answered, mut waited) = (Instant::now(), Duration::ZERO);
    for calls in 2..=4 {
        let call = client.check(ending(Code::Ok));
        soon("the answer", call).await.unwrap();
        waited += answered.elapsed();
        answered = Instant::now();
        assert_eq!(service.calls(), calls);
    }
    assert!(waited >= 850 * MS, "{waited:?}");
    // Each of them was told to come back once; a timer that is early would have cost one more.
    assert_eq!(retry.snapshot().budget.total_retries, 3);
    assert_eq!(limit.snapshot().refused_count, 3);
}

/// tonic says where a call comes from by itself.
// proves: S-1
#[tokio::test]
async fn each_client_has_a_quota_of_its_own() {
    let rate = Rate::per_hour(1);
    let limit = RateLimit::builder("calls")
        .token_bucket(rate)
        .keyed()
        .build();
    let mut server = Server::builder().layer(respond_grpc((limit.by(ClientIp::peer()),)));
    let address = serve(server.add_service(Scripted::default().server())).await;
    for host in [[127, 0, 0, 1], [127, 0, 0, 2]] {
        let endpoint = tonic::transport::Channel::from_shared(format!("http://{address}"));
        let endpoint = endpoint.unwrap().local_address(Some(host.into()));
        let mut client = HealthClient::new(endpoint.connect_lazy());
        client.check(ending(Code::Ok)).await.unwrap();
        let status = client.check(ending(Code::Ok)).await.unwrap_err();
        assert_throttled(
            &status,
            Duration::from_secs(3000)..=Duration::from_secs(3600),
        );
    }
    let snapshot = limit.snapshot();
    assert_eq!((snapshot.keys, snapshot.without_key_count), (2, 0));
}

// proves: RL-1
#[tokio::test]
async fn around_a_channel_calls_wait_in_line_and_a_refusal_is_ours() {
    let service = Scripted::default();
    let channel = channel(serve_bare(&service).await);
    let line = RateLimit::builder("partner")
        .leaky_bucket(Rate::per_second(50))
        .queue(20)
        .build();
    let layers = ServiceBuilder::new().layer(line.waiting_layer().grpc());
    let client = HealthClient::new(layers.layer(WidenLayer).service(channel));
    let started = Instant::now();
    let calls = (0..15).map(|_| {
        let mut client = client.clone();
        async move { client.check(ending(Code::Ok)).await }
    });
    let answers = futures_util::future::join_all(calls);
    for answer in soon("the answers", answers).await {
        answer.unwrap();
    }
    assert!(
        started.elapsed() >= 14 * 20 * MS - 2 * MS,
        "{:?}",
        started.elapsed()
    );
    assert_eq!(service.calls(), 15);

    line.close();
    let status = client.clone().check(ending(Code::Ok)).await.unwrap_err();
    let rejected = find_rejection(&status).expect("the refusal is the status's source");
    assert_eq!(
        (rejected.reason(), rejected.component()),
        (Reason::Unavailable, line.name())
    );
}
