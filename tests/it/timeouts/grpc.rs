//! Deadlines of gRPC over real sockets, where tonic has timers of its own that end in the same moment.

use std::time::Duration;

use buttress_core::WidenLayer;
use buttress_http::{HttpExt, respond_grpc};
use buttress_timeout::AdaptiveTimeout;
use futures_util::future::join_all;
use tonic::transport::Server;
use tonic::{Code, Request};
use tonic_health::pb::health_client::HealthClient;
use tower::ServiceBuilder;

use super::{MS, SECOND};
use crate::support::soon;
use crate::tonic::health::{Scripted, channel, ending, serve, serve_bare, waiting};

/// Longer than anything here.
fn patient() -> AdaptiveTimeout {
    AdaptiveTimeout::fixed(60 * SECOND)
}

/// Calls that hang, four times twenty at once, each with a time of its own; how they all end.
macro_rules! all_end {
    ($client:expr) => {{
        let mut codes = Vec::new();
        for round in 0..4_u32 {
            let calls = (0..20_u32).map(|n| {
                let mut client = $client.clone();
                async move {
                    let mut request = Request::new(waiting());
                    request.set_timeout(Duration::from_micros(
                        (20_000 + 997 * n + 331 * round).into(),
                    ));
                    client.check(request).await.unwrap_err()
                }
            });
            codes.extend(soon("the end of the calls", join_all(calls)).await);
        }
        codes
    }};
}

#[tokio::test]
async fn a_client_whose_deadline_passes_sees_that_and_nothing_else() {
    let address = serve_bare(&Scripted::default()).await;
    let inside = HealthClient::new(
        ServiceBuilder::new()
            .layer(respond_grpc((patient().layer(),)))
            .service(channel(address)),
    );
    // The same, which tells the server what remains.
    let announcing = HealthClient::new(
        ServiceBuilder::new()
            .layer(respond_grpc((patient().layer().grpc(),)))
            .service(channel(address)),
    );
    for status in all_end!(inside).into_iter().chain(all_end!(announcing)) {
        assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    }
}

#[tokio::test]
async fn the_same_before_a_server_that_keeps_the_deadline_too() {
    let mut server = Server::builder().layer(respond_grpc((patient().layer(),)));
    let address = serve(server.add_service(Scripted::default().server())).await;
    let client = HealthClient::new(
        ServiceBuilder::new()
            .layer(respond_grpc((patient().layer().grpc(),)))
            .service(channel(address)),
    );
    for status in all_end!(client) {
        assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    }
}

/// A client without any of ours.
#[tokio::test]
async fn a_server_that_cuts_by_its_own_limit_says_so() {
    let timeout = AdaptiveTimeout::fixed(50 * MS);
    let service = Scripted::default();
    let mut server = Server::builder().layer(respond_grpc((timeout.layer(),)));
    let address = serve(server.add_service(service.server())).await;
    let mut client = HealthClient::new(channel(address));
    for calls in 1..=5 {
        let status = soon("the cut", client.check(waiting())).await.unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
        assert_eq!(timeout.snapshot().timed_out, calls);
    }
    client.check(ending(Code::Ok)).await.unwrap();
}

#[tokio::test]
async fn a_stream_that_falls_silent_ends_with_the_status_on_either_side() {
    let idle = || AdaptiveTimeout::builder("idle").idle(50 * MS).build();
    let bare = serve_bare(&Scripted::default()).await;
    let mut server = Server::builder().layer(respond_grpc((idle().layer(),)));
    let limited = serve(server.add_service(Scripted::default().server())).await;

    let mut client = HealthClient::new(channel(limited));
    let mut answers = client.watch(waiting()).await.unwrap().into_inner();
    answers.message().await.unwrap().expect("one answer");
    let status = soon("the cut", answers.message()).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");

    let stack = ServiceBuilder::new()
        .layer(idle().layer().grpc())
        .layer(WidenLayer);
    let mut client = HealthClient::new(stack.service(channel(bare)));
    let mut answers = client.watch(waiting()).await.unwrap().into_inner();
    answers.message().await.unwrap().expect("one answer");
    let status = soon("the cut", answers.message()).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
}

/// A total of the client is none for what streams, however the server takes what it is told.
#[tokio::test]
async fn a_stream_outlives_the_total_of_its_client_before_a_server_that_keeps_deadlines() {
    let mut server = Server::builder().layer(respond_grpc((patient().layer(),)));
    let address = serve(server.add_service(Scripted::default().server())).await;
    let total = AdaptiveTimeout::fixed(100 * MS);
    let stack = ServiceBuilder::new()
        .layer(total.layer().grpc())
        .layer(WidenLayer);
    let mut client = HealthClient::new(stack.service(channel(address)));
    let mut answers = client.watch(waiting()).await.unwrap().into_inner();
    answers.message().await.unwrap().expect("one answer");
    let next = tokio::time::timeout(400 * MS, answers.message()).await;
    assert!(next.is_err(), "it was cut: {next:?}");
}
