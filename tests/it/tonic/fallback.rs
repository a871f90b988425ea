//! A fallback chain around a service: another level answers, and the client sees in the metadata which.

use std::convert::Infallible;
use std::pin::Pin;

use buttress::core::{Error, WidenLayer};
use buttress_fallback::{FallbackChain, Source};
use buttress_http::{LevelBody, Replayed, level, respond_grpc};
use futures_util::{Stream, StreamExt, stream};
use http::{Request, Response};
use tonic::body::Body as TonicBody;
use tonic::metadata::MetadataMap;
use tonic::transport::Server;
use tonic::{Code, Status};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tower::Layer;

use super::health::{Scripted, channel, ending, serve};
use crate::support::{eventually, soon};

type Chain = FallbackChain<Request<Replayed<TonicBody>>, Response<LevelBody>, Error<Infallible>>;

/// Is always well, and streams without an end.
#[derive(Clone)]
struct Well;

#[tonic::async_trait]
impl Health for Well {
    async fn check(
        &self,
        _: tonic::Request<HealthCheckRequest>,
    ) -> Result<tonic::Response<HealthCheckResponse>, Status> {
        Ok(tonic::Response::new(HealthCheckResponse { status: 1 }))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(
        &self,
        _: tonic::Request<HealthCheckRequest>,
    ) -> Result<tonic::Response<Self::WatchStream>, Status> {
        let first = stream::iter([Ok(HealthCheckResponse { status: 1 })]);
        Ok(tonic::Response::new(first.chain(stream::pending()).boxed()))
    }
}

/// A client of a server whose service, and then this replica, is asked.
async fn client(primary: &Scripted, chain: &Chain) -> HealthClient<tonic::transport::Channel> {
    let service = respond_grpc(chain.layer()).layer(primary.server());
    let address = serve(Server::builder().add_service(service)).await;
    HealthClient::new(channel(address))
}

fn chain(replica: HealthServer<impl Health + Clone>) -> Chain {
    let replica = level(WidenLayer.layer(replica));
    FallbackChain::builder("health")
        .replica(Source::service(replica).limit(1))
        .build()
}

fn degraded_level(metadata: &MetadataMap) -> Option<&str> {
    assert_eq!(
        metadata.get("x-degraded-mode").is_some(),
        metadata.get("x-degraded-level").is_some()
    );
    let level = metadata.get("x-degraded-level")?;
    Some(level.to_str().unwrap())
}

// proves: FC-2, FC-3
#[tokio::test]
async fn an_unavailable_primary_is_stood_in_for_and_the_metadata_says_so() {
    let primary = Scripted::default();
    let chain = chain(HealthServer::new(Well));
    let mut client = client(&primary, &chain).await;

    let well = client.check(ending(Code::Ok)).await.unwrap();
    assert_eq!(degraded_level(well.metadata()), None);
    for code in [Code::Unavailable, Code::Internal] {
        let answer = client.check(ending(code)).await.unwrap();
        assert_eq!(degraded_level(answer.metadata()), Some("replica"));
        assert_eq!(answer.into_inner().status, 1);
    }
    // A caller's error is an answer.
    let status = client.check(ending(Code::NotFound)).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(degraded_level(status.metadata()), None);
    assert_eq!(primary.calls(), 4);
    assert_eq!(chain.snapshot().levels[1].served, 2);
}

// proves: FC-2
#[tokio::test]
async fn where_every_level_fails_the_status_is_unavailable_and_lists_them() {
    let (primary, replica) = (Scripted::default(), Scripted::default());
    let chain = chain(replica.server());
    let mut client = client(&primary, &chain).await;
    for code in [Code::Unavailable, Code::DataLoss] {
        let status = client.check(ending(code)).await.unwrap_err();
        assert_eq!(
            (status.code(), status.message()),
            (
                Code::Unavailable,
                "no level has answered: primary failed, replica failed"
            )
        );
        // What comes from nowhere is not said to come from a lower level.
        assert_eq!(degraded_level(status.metadata()), None);
    }
    assert_eq!((primary.calls(), replica.calls()), (2, 2));
    assert_eq!(chain.snapshot().exhausted, 2);
}

/// Has no stream to give.
#[derive(Clone)]
struct Down;

#[tonic::async_trait]
impl Health for Down {
    async fn check(
        &self,
        _: tonic::Request<HealthCheckRequest>,
    ) -> Result<tonic::Response<HealthCheckResponse>, Status> {
        Err(Status::unavailable("down"))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(
        &self,
        _: tonic::Request<HealthCheckRequest>,
    ) -> Result<tonic::Response<Self::WatchStream>, Status> {
        Err(Status::unavailable("down"))
    }
}

// proves: FC-5, A-2
#[tokio::test]
async fn a_stream_of_a_lower_level_holds_its_slot_until_the_client_leaves_it() {
    let chain = chain(HealthServer::new(Well));
    let service = respond_grpc(chain.layer()).layer(HealthServer::new(Down));
    let address = serve(Server::builder().add_service(service)).await;
    let mut client = HealthClient::new(channel(address));
    let active = || u64::from(chain.snapshot().levels[1].active_calls);

    let mut answers = client.watch(ending(Code::Ok)).await.unwrap().into_inner();
    soon("one answer", answers.message())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(active(), 1);
    let full = client.check(ending(Code::Ok)).await.unwrap_err();
    assert_eq!(
        full.message(),
        "no level has answered: primary failed, replica overloaded"
    );
    drop(answers);
    eventually(active, 0).await;
    client.check(ending(Code::Ok)).await.unwrap();
}
