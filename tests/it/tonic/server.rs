//! Before a server: what is refused reaches the client as a status of the right code.

use buttress_bulkhead::Bulkhead;
use buttress_circuit_breaker::{CircuitBreaker, State};
use buttress_core::WidenLayer;
use buttress_http::{HttpExt, RespondLayer, respond_grpc};
use tonic::transport::Server;
use tonic::{Code, Status};
use tonic_health::pb::health_client::HealthClient;
use tower::{Layer, ServiceBuilder};

use super::health::{Scripted, channel, ending, serve, waiting};
use crate::support::{Counts, Guards, eventually, soon};

#[track_caller]
fn assert_refused(
    status: &Status,
    code: Code,
    message: &str,
    pushback: std::ops::RangeInclusive<u64>,
) {
    assert_eq!(
        (status.code(), status.message()),
        (code, message),
        "{status:?}"
    );
    let told = status
        .metadata()
        .get("grpc-retry-pushback-ms")
        .expect("a push-back");
    let told: u64 = told.to_str().unwrap().parse().unwrap();
    assert!(pushback.contains(&told), "push-back of {told} ms");
}

fn full_bulkhead() -> (Bulkhead, buttress_bulkhead::Permit) {
    let bulkhead = Bulkhead::builder("health").max_concurrent(1).build();
    let inside = bulkhead.try_acquire().unwrap();
    (bulkhead, inside)
}

#[tokio::test]
async fn a_full_bulkhead_is_resource_exhausted_with_a_push_back() {
    let (bulkhead, inside) = full_bulkhead();
    let service = Scripted::default();
    let layers = respond_grpc(bulkhead.refusing_layer());
    let address = serve(
        Server::builder()
            .layer(layers)
            .add_service(service.server()),
    )
    .await;
    let mut client = HealthClient::new(channel(address));
    let unary = client.check(ending(Code::Ok)).await.unwrap_err();
    let streaming = client.watch(ending(Code::Ok)).await.unwrap_err();
    for status in [unary, streaming] {
        assert_refused(&status, Code::ResourceExhausted, "overloaded", 1000..=1000);
    }
    assert_eq!(service.calls(), 0);
    drop(inside);
    client.check(ending(Code::Ok)).await.unwrap();
}

/// Three ways to open it, each with the failures where a server puts them: in the head alone, and in trailers.
#[tokio::test]
async fn an_open_breaker_is_unavailable_with_the_time_left_as_push_back() {
    for (code, streaming) in [
        (Code::Unavailable, false),
        (Code::Internal, false),
        (Code::Unavailable, true),
        (Code::Internal, true),
    ] {
        let breaker = CircuitBreaker::builder("health").jitter(0.0).build();
        let service = Scripted::default();
        let layers = respond_grpc(breaker.layer());
        let address = serve(
            Server::builder()
                .layer(layers)
                .add_service(service.server()),
        )
        .await;
        let mut client = HealthClient::new(channel(address));
        for _ in 0..5 {
            assert_eq!(breaker.snapshot().state, State::Closed);
            let before = breaker.snapshot().failure_count;
            let status = if streaming {
                let mut answers = client.watch(ending(code)).await.unwrap().into_inner();
                answers.message().await.unwrap().expect("one answer");
                answers.message().await.unwrap_err()
            } else {
                client.check(ending(code)).await.unwrap_err()
            };
            assert_eq!(status.code(), code);
            eventually(|| breaker.snapshot().failure_count, before + 1).await;
        }
        let status = client.check(ending(Code::Ok)).await.unwrap_err();
        assert_refused(&status, Code::Unavailable, "unavailable", 50_000..=60_000);
        assert_eq!(
            (service.calls(), breaker.snapshot().state),
            (5, State::Open)
        );
    }
}

#[tokio::test]
async fn layers_around_one_service_keep_its_name_and_refuse_as_around_all() {
    let (bulkhead, inside) = full_bulkhead();
    let service = respond_grpc((bulkhead.refusing_layer(), bulkhead.refusing_layer()))
        .layer(Scripted::default().server());
    let address = serve(Server::builder().add_service(service)).await;
    let mut client = HealthClient::new(channel(address));
    let status = client.check(ending(Code::Ok)).await.unwrap_err();
    assert_refused(&status, Code::ResourceExhausted, "overloaded", 1000..=1000);
    drop((inside, client));
}

#[tokio::test]
async fn a_flat_stack_of_layers_refuses_as_respond_grpc_does() {
    let (bulkhead, _inside) = full_bulkhead();
    let layers = ServiceBuilder::new()
        .layer(RespondLayer::grpc())
        .layer(bulkhead.refusing_layer().grpc())
        .layer(WidenLayer);
    let server = Server::builder()
        .layer(layers)
        .add_service(Scripted::default().server());
    let mut client = HealthClient::new(channel(serve(server).await));
    let status = client.check(ending(Code::Ok)).await.unwrap_err();
    assert_refused(&status, Code::ResourceExhausted, "overloaded", 1000..=1000);
}

// proves
#[tokio::test]
async fn a_stream_holds_its_slot_until_it_ends_or_is_dropped() {
    let guards = Guards::new(1);
    let layers = respond_grpc(guards.layers());
    let server = Server::builder()
        .layer(layers)
        .add_service(Scripted::default().server());
    let mut client = HealthClient::new(channel(serve(server).await));

    let mut answers = client.watch(waiting()).await.unwrap().into_inner();
    answers.message().await.unwrap().expect("one answer");
    assert_eq!(guards.active(), 1);
    let status = client.check(ending(Code::Ok)).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    drop(answers);
    assert_eq!(guards.next_ending(Counts::default()).await, Counts::NEUTRAL);

    let mut answers = client.watch(ending(Code::Ok)).await.unwrap().into_inner();
    answers.message().await.unwrap().expect("one answer");
    assert!(soon("the end", answers.message()).await.unwrap().is_none());
    assert_eq!(guards.next_ending(Counts::NEUTRAL).await, Counts::SUCCESS);
}
