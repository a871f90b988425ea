//! The same for fallback chains.

use std::convert::Infallible;

use buttress_core::{Error, WidenLayer};
use buttress_fallback::{CloneBy, FallbackChain, FallbackLayer, LocalCache, Snapshot, Source};
use buttress_http::{
    FallbackBody, HttpExt, KeptAnswer, LevelBody, Replayed, respond, respond_grpc,
};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tower::util::{BoxCloneSyncService, Either, option_layer};
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};

use super::{BoxError, double, fits};

type Body = Full<Bytes>;
type Sent = Request<Replayed<Body>>;
type Chain = FallbackChain<Sent, Response<LevelBody>, Error<Infallible>>;
type Plain = FallbackChain<u32, u32, BoxError>;

fn plain() -> Plain {
    FallbackChain::builder("plain").default_value(0).build()
}

fn replica() -> Source<Sent, Response<LevelBody>, Error<Infallible>> {
    Source::function(async |_| Ok(Response::new("replica".into())))
}

fn chain() -> Chain {
    FallbackChain::builder("http").replica(replica()).build()
}

async fn echo(request: Sent) -> Result<Response<Body>, Infallible> {
    drop(request);
    Ok(Response::new(Full::from("hello")))
}

fn request() -> Request<Body> {
    Request::new(Full::from("who is there?"))
}

#[test]
fn layers_services_and_futures_are_send_sync_and_static_where_their_parts_are() {
    fn anywhere<T: Send + Sync + 'static>() {}
    anywhere::<Plain>();
    anywhere::<Snapshot>();
    anywhere::<KeptAnswer>();
    anywhere::<FallbackBody<Body, Body>>();
    anywhere::<CloneBy<(), ()>>();
    fits(&plain().layer(), service_fn(double), 1);
    fits(
        &plain().layer().clone_by(|n: &u32| Some(*n)),
        service_fn(double),
        1,
    );
    fits(
        &(chain().layer().http(), WidenLayer),
        service_fn(echo),
        request(),
    );
    fits(
        &(chain().layer().grpc(), WidenLayer),
        service_fn(echo),
        request(),
    );
    let shorter = chain().layer().http().until_headers();
    fits(&(shorter, WidenLayer), service_fn(echo), request());
    fits(&respond(chain().layer()), service_fn(echo), request());
    fits(&respond_grpc(chain().layer()), service_fn(echo), request());
    let kept = LocalCache::keyed(|request: &Sent| Some(request.uri().path().to_owned()));
    let cached = FallbackChain::builder("cached").replica(replica());
    let cached = cached.local_cache(kept).build();
    fits(&respond(cached.layer()), service_fn(echo), request());
}

#[tokio::test]
async fn a_chain_may_as_well_not_be_there() {
    for on in [true, false] {
        let chain = plain();
        let layer: Either<FallbackLayer<u32, u32, BoxError>, _> =
            option_layer(on.then(|| chain.layer()));
        let service = ServiceBuilder::new()
            .layer(layer)
            .service(service_fn(double));
        assert_eq!(service.clone().oneshot(21).await.unwrap(), 42);
        let failing = service.oneshot(u32::MAX).await;
        assert_eq!(failing.ok(), on.then_some(0));
    }
}

#[tokio::test]
async fn services_that_fall_back_are_boxed_and_run_on_other_tasks() {
    let plain: BoxCloneSyncService<u32, u32, BoxError> =
        BoxCloneSyncService::new(plain().layer().layer(service_fn(double)));
    let call = tokio::spawn(plain.clone().oneshot(u32::MAX));
    assert_eq!(call.await.unwrap().unwrap(), 0);

    let client = (chain().layer().http(), WidenLayer).layer(service_fn(echo));
    let client: BoxCloneSyncService<
        Request<Body>,
        Response<FallbackBody<Body, LevelBody>>,
        Error<Infallible>,
    > = BoxCloneSyncService::new(client);
    let call = tokio::spawn(client.oneshot(request()));
    let body = call.await.unwrap().unwrap().into_body();
    assert_eq!(body.collect().await.unwrap().to_bytes(), "hello");
}
