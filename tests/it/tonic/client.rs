//! Around a channel: which of a server's statuses open a breaker, and when a stream gives its slot back.

use buttress_circuit_breaker::{CircuitBreaker, State};
use buttress_core::{Reason, WidenLayer, find_rejection};
use buttress_http::{HttpExt, respond_grpc};
use tokio::net::TcpListener;
use tonic::Code;
use tonic::transport::Server;
use tonic_health::pb::health_client::HealthClient;
use tower::ServiceBuilder;

use super::health::{Scripted, channel, ending, serve, serve_bare, waiting};
use crate::support::{Counts, Guards, eventually, soon};

/// A client of the health service, behind these layers.
macro_rules! client {
    ($layers:expr, $address:expr) => {
        HealthClient::new(
            ServiceBuilder::new()
                .layer($layers)
                .layer(WidenLayer)
                .service(channel($address)),
        )
    };
}

/// What calls that end with this code say, in the head alone and in the trailers.
#[tokio::test]
async fn every_code_counts_as_the_table_says_wherever_it_stands() {
    let address = serve_bare(&Scripted::default()).await;
    let guards = Guards::new(1);
    let mut client = client!(guards.layers().grpc(), address);
    for (code, ended) in [
        (Code::Ok, Counts::SUCCESS),
        (Code::NotFound, Counts::SUCCESS),
        (Code::InvalidArgument, Counts::SUCCESS),
        (Code::Unauthenticated, Counts::SUCCESS),
        (Code::Unavailable, Counts::FAILURE),
        (Code::Internal, Counts::FAILURE),
        (Code::Unknown, Counts::FAILURE),
        (Code::DataLoss, Counts::FAILURE),
        (Code::DeadlineExceeded, Counts::FAILURE),
        (Code::Cancelled, Counts::NEUTRAL),
        (Code::Aborted, Counts::NEUTRAL),
    ] {
        let before = guards.counts();
        let unary = client.check(ending(code)).await;
        assert_eq!(
            unary.map_or_else(|status| status.code(), |_| Code::Ok),
            code
        );
        assert_eq!(
            guards.next_ending(before).await,
            ended,
            "{code:?} in the head"
        );

        let before = guards.counts();
        let mut answers = client.watch(ending(code)).await.unwrap().into_inner();
        answers.message().await.unwrap().expect("one answer");
        let end = soon("the trailers", answers.message()).await;
        assert_eq!(end.map_or_else(|status| status.code(), |_| Code::Ok), code);
        assert_eq!(
            guards.next_ending(before).await,
            ended,
            "{code:?} in the trailers"
        );
    }
}

#[tokio::test]
async fn failures_open_the_breaker_around_a_channel_and_not_found_does_not() {
    let service = Scripted::default();
    let address = serve_bare(&service).await;
    let breaker = CircuitBreaker::builder("health")
        .consecutive_failures(2)
        .build();
    let mut client = client!(breaker.layer().grpc(), address);
    for _ in 0..10 {
        let status = client.check(ending(Code::NotFound)).await.unwrap_err();
        assert_eq!(status.code(), Code::NotFound);
    }
    assert_eq!(breaker.snapshot().state, State::Closed);

    // One of each kind: in the head, and in the trailers.
    client.check(ending(Code::Unavailable)).await.unwrap_err();
    let mut answers = client
        .watch(ending(Code::Internal))
        .await
        .unwrap()
        .into_inner();
    answers.message().await.unwrap().expect("one answer");
    assert_eq!(breaker.snapshot().state, State::Closed);
    soon("the trailers", answers.message()).await.unwrap_err();
    assert_eq!(breaker.snapshot().state, State::Open);

    let status = client.check(ending(Code::Ok)).await.unwrap_err();
    assert_ne!(status.code(), Code::Internal);
    let rejected = find_rejection(&status).expect("the refusal is the status's source");
    assert_eq!(
        (rejected.reason(), rejected.component()),
        (Reason::Unavailable, breaker.name())
    );
    assert_eq!(service.calls(), 12);
}

/// With `respond_grpc` our own refusal reaches the caller as a status, as if the server had answered it.
#[tokio::test]
async fn a_refusal_on_the_callers_side_is_a_proper_status_too() {
    let service = Scripted::default();
    let channel = channel(serve_bare(&service).await);
    let breaker = CircuitBreaker::builder("health").jitter(0.0).build();
    let layers = respond_grpc(breaker.layer());
    let mut client = HealthClient::new(ServiceBuilder::new().layer(layers).service(channel));
    client.check(ending(Code::Ok)).await.unwrap();
    breaker.force_open();
    let status = client.check(ending(Code::Ok)).await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::Unavailable, "unavailable")
    );
    assert_eq!(
        status.metadata().get("grpc-retry-pushback-ms").unwrap(),
        "1000"
    );
    assert_eq!(service.calls(), 1);
}

#[tokio::test]
async fn a_server_that_is_not_there_opens_the_breaker() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = listener.local_addr().unwrap();
    drop(listener);
    let breaker = CircuitBreaker::builder("health")
        .consecutive_failures(2)
        .build();
    let mut client = client!(breaker.layer().grpc(), closed);
    for _ in 0..2 {
        let status = client.check(ending(Code::Ok)).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    }
    assert_eq!(breaker.snapshot().state, State::Open);
}

// proves
#[tokio::test]
async fn a_stream_holds_its_slot_until_it_ends_or_is_dropped() {
    let address = serve_bare(&Scripted::default()).await;
    let guards = Guards::new(1);
    let mut client = client!(guards.layers().grpc(), address);

    let mut answers = client.watch(waiting()).await.unwrap().into_inner();
    answers.message().await.unwrap().expect("one answer");
    assert_eq!(guards.active(), 1);
    let status = client.check(ending(Code::Ok)).await.unwrap_err();
    assert_eq!(
        find_rejection(&status).unwrap().reason(),
        Reason::Overloaded
    );
    drop(answers);
    assert_eq!((guards.active(), guards.counts()), (0, Counts::NEUTRAL));

    let mut answers = client.watch(ending(Code::Ok)).await.unwrap().into_inner();
    answers.message().await.unwrap().expect("one answer");
    assert_eq!(guards.active(), 1);
    assert!(soon("the end", answers.message()).await.unwrap().is_none());
    assert_eq!((guards.active(), guards.counts()), (0, Counts::of(1, 0, 1)));
}

/// Its head says nothing: the status would have come in the trailers.
#[tokio::test]
async fn a_stream_that_is_dropped_unread_says_nothing() {
    let address = serve_bare(&Scripted::default()).await;
    let guards = Guards::new(1);
    let mut client = client!(guards.layers().grpc(), address);
    let answers = client.watch(ending(Code::Ok)).await.unwrap();
    assert_eq!(guards.active(), 1);
    drop(answers);
    assert_eq!((guards.active(), guards.counts()), (0, Counts::NEUTRAL));
}

// proves: A-1
#[tokio::test]
async fn a_call_that_is_given_up_frees_its_slot_on_both_sides() {
    let (ours, theirs) = (Guards::new(1), Guards::new(1));
    let mut server = Server::builder().layer(respond_grpc(theirs.layers()));
    let address = serve(server.add_service(Scripted::default().server())).await;
    let mut client = client!(ours.layers().grpc(), address);
    let call = tokio::spawn(async move { client.check(waiting()).await });
    eventually(|| (ours.active(), theirs.active()), (1, 1)).await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    assert_eq!((ours.active(), ours.counts()), (0, Counts::NEUTRAL));
    assert_eq!(theirs.next_ending(Counts::default()).await, Counts::NEUTRAL);
}
