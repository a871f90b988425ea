//! A bulkhead that lets calls wait, before a server and around a channel.

use std::time::Duration;

use buttress_bulkhead::Bulkhead;
use buttress_core::{Deadline, Priority, Reason, WidenLayer, find_rejection};
use buttress_http::{HttpExt, respond_grpc};
use tokio::time::Instant;
use tonic::Code;
use tonic::transport::Server;
use tonic_health::pb::health_client::HealthClient;
use tower::ServiceBuilder;

use super::health::{Scripted, channel, ending, serve, serve_bare, waiting};
use crate::support::{eventually, soon};

fn bulkhead(queue: u32) -> Bulkhead {
    let builder = Bulkhead::builder("health").max_concurrent(1);
    builder.queue(queue).build()
}

async fn queued(bulkhead: &Bulkhead, calls: u32) {
    eventually(|| bulkhead.snapshot().queued_calls, calls).await;
}

// proves
#[tokio::test]
async fn before_a_server_a_call_waits_for_the_end_of_the_stream_before_it() {
    let (bulkhead, service) = (bulkhead(1), Scripted::default());
    let mut server = Server::builder().layer(respond_grpc((bulkhead.layer(),)));
    let address = serve(server.add_service(service.server())).await;
    let mut client = HealthClient::new(channel(address));
    let mut answers = client.watch(waiting()).await.unwrap().into_inner();
    answers.message().await.unwrap().expect("one answer");

    let mut second = client.clone();
    let second = tokio::spawn(async move { second.check(ending(Code::Ok)).await });
    queued(&bulkhead, 1).await;
    let status = client.check(ending(Code::Ok)).await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::ResourceExhausted, "overloaded")
    );
    assert_eq!(
        status.metadata().get("grpc-retry-pushback-ms").unwrap(),
        "1000"
    );
    assert_eq!(service.calls(), 1);

    drop(answers);
    soon("the second call", second).await.unwrap().unwrap();
    assert_eq!(service.calls(), 2);
    eventually(|| bulkhead.snapshot().active_calls, 0).await;
}

/// What the application knows of a call stands in its extensions.
fn critical_and_hasty<B>(mut request: http::Request<B>) -> http::Request<B> {
    let deadline = Deadline::after(Instant::now(), Duration::from_millis(20));
    request.extensions_mut().insert(deadline);
    request.extensions_mut().insert(Priority::Critical);
    request
}

// proves: PB-9, PB-3
#[tokio::test]
async fn before_a_server_a_wait_ends_with_the_deadline() {
    let (bulkhead, service) = (bulkhead(1), Scripted::default());
    let layers = ServiceBuilder::new()
        .map_request(critical_and_hasty)
        .layer(respond_grpc((bulkhead.layer(),)));
    let address = serve(
        Server::builder()
            .layer(layers)
            .add_service(service.server()),
    )
    .await;
    let inside = bulkhead.try_acquire().unwrap();
    let status = HealthClient::new(channel(address))
        .check(ending(Code::Ok))
        .await;
    assert_eq!(status.unwrap_err().code(), Code::DeadlineExceeded);
    assert_eq!(
        bulkhead.snapshot().class(Priority::Critical).expired_count,
        1
    );
    assert_eq!(service.calls(), 0);
    drop(inside);
}

// proves, PB-8
#[tokio::test]
async fn around_a_channel_a_call_waits_for_the_end_of_the_stream_before_it() {
    let (bulkhead, service) = (bulkhead(1), Scripted::default());
    let channel = channel(serve_bare(&service).await);
    let layers = ServiceBuilder::new().layer(bulkhead.layer().grpc());
    let mut client = HealthClient::new(layers.layer(WidenLayer).service(channel));
    let mut answers = client.watch(waiting()).await.unwrap().into_inner();
    answers.message().await.unwrap().expect("one answer");

    let mut second = client.clone();
    let given_up = tokio::spawn(async move { second.check(ending(Code::Ok)).await });
    queued(&bulkhead, 1).await;
    given_up.abort();
    queued(&bulkhead, 0).await;

    let mut second = client.clone();
    let second = tokio::spawn(async move { second.check(ending(Code::Ok)).await });
    queued(&bulkhead, 1).await;
    let status = client.check(ending(Code::Ok)).await.unwrap_err();
    assert_eq!(
        find_rejection(&status).unwrap().reason(),
        Reason::Overloaded
    );
    drop(answers);
    soon("the second call", second).await.unwrap().unwrap();
    assert_eq!((service.calls(), bulkhead.snapshot().active_calls), (2, 0));
}
