//! `respond` and its halves, and the places in which their services must fit.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use buttress_core::{Error, Reason, Rejected, Verdict, WidenLayer, by};
use buttress_http::{
    Answer, Code, HttpExt, RespondLayer, as_is, by_head, by_response, respond, respond_grpc,
    status, whole_seconds,
};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use tower::util::{BoxCloneSyncService, MapRequestLayer, option_layer};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

use crate::support::{Ending, FAILURE, NAME, SUCCESS, recorder, refuser, spawn};

type BoxError = Box<dyn StdError + Send + Sync>;

async fn hello(_: Request<()>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::from("hello")))
}

async fn text<B>(response: Response<B>) -> Bytes
where
    B: http_body::Body<Data = Bytes, Error = Infallible>,
{
    response.into_body().collect().await.unwrap().to_bytes()
}

#[tokio::test]
async fn the_outermost_of_the_layers_decides_first() {
    let (inner, ledger) = recorder();
    let layers = (refuser(Reason::Throttled, None), inner);
    let response = respond(layers)
        .layer(service_fn(hello))
        .oneshot(Request::new(()))
        .await;
    assert_eq!(response.unwrap().status(), 429);
    assert!(ledger.is_empty());
}

#[tokio::test]
async fn a_refusal_inside_says_nothing_about_the_service_and_a_timeout_fails_it() {
    for (reason, ending) in [
        (Reason::Overloaded, Ending::Settled(Verdict::Neutral)),
        (Reason::TimedOut, FAILURE),
    ] {
        let (outer, mut ledger) = recorder();
        let layers = (outer, refuser(reason, None));
        let response = respond(layers)
            .layer(service_fn(hello))
            .oneshot(Request::new(()))
            .await;
        assert_eq!(
            response
                .unwrap()
                .extensions()
                .get::<Rejected>()
                .unwrap()
                .reason(),
            reason
        );
        assert_eq!(ledger.next().await, ending);
    }
}

#[tokio::test]
async fn a_format_of_ones_own_is_rendered_with_what_the_crate_offers() {
    let wait = Duration::from_millis(2500);
    let layer = respond(refuser(Reason::Unavailable, Some(wait))).render(|rejected| {
        let wait = rejected.retry_after().map_or(0, whole_seconds);
        let mut response = Response::new(format!("{} for {wait} s", rejected.reason()));
        *response.status_mut() = status(rejected.reason());
        response
    });
    let response = layer
        .layer(service_fn(hello))
        .oneshot(Request::new(()))
        .await
        .unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(
        response.extensions().get::<Rejected>().unwrap().component(),
        NAME
    );
    assert_eq!(text(response).await, "unavailable for 3 s");
}

#[tokio::test]
async fn grpc_is_answered_with_a_status_in_the_head() {
    let layer = respond_grpc(refuser(Reason::Throttled, Some(Duration::from_millis(7))));
    let response = layer
        .layer(service_fn(hello))
        .oneshot(Request::new(()))
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(
        Code::in_headers(response.headers()),
        Some(Code::ResourceExhausted)
    );
    assert_eq!(response.headers()["grpc-retry-pushback-ms"], "7");
    assert!(text(response).await.is_empty());
}

#[tokio::test]
async fn the_error_of_the_service_comes_out_as_it_went_in() {
    async fn fails(_: Request<()>) -> Result<Response<Full<Bytes>>, io::Error> {
        Err(io::Error::other("on fire"))
    }
    let (layer, mut ledger) = recorder();
    let result = respond(layer)
        .layer(service_fn(fails))
        .oneshot(Request::new(()))
        .await;
    let error: io::Error = result.unwrap_err();
    assert_eq!(error.to_string(), "on fire");
    assert_eq!(ledger.next().await, FAILURE);
}

#[tokio::test]
async fn the_two_halves_do_the_same_in_a_flat_stack() {
    let (outer, mut ledger) = recorder();
    let mut service = ServiceBuilder::new()
        .layer(RespondLayer::new())
        .layer(outer.http())
        .layer(refuser(Reason::Conflict, None).http())
        .layer(WidenLayer)
        .service_fn(hello);
    let result: Result<_, Infallible> = service.ready().await.unwrap().call(Request::new(())).await;
    assert_eq!(result.unwrap().status(), 409);
    assert_eq!(ledger.next().await, Ending::Settled(Verdict::Neutral));
}

#[tokio::test]
async fn a_boxed_error_has_room_and_needs_no_lower_half() {
    async fn boxed(_: Request<()>) -> Result<Response<Full<Bytes>>, BoxError> {
        Err("on fire".into())
    }
    let stack = |layer| {
        ServiceBuilder::new()
            .layer(RespondLayer::grpc())
            .layer(layer)
    };
    let refused = stack(refuser(Reason::Conflict, None).grpc()).service_fn(boxed);
    let answer = refused.oneshot(Request::new(())).await.unwrap();
    assert_eq!(Code::in_headers(answer.headers()), Some(Code::Aborted));
    let failed = stack(recorder().0.grpc())
        .service_fn(boxed)
        .oneshot(Request::new(()))
        .await;
    assert_eq!(failed.unwrap_err().to_string(), "on fire");
}

#[tokio::test]
async fn a_foreign_layer_stands_among_ours() {
    let (layer, mut ledger) = recorder();
    let foreign = MapRequestLayer::new(|request: Request<()>| request);
    let service = respond((layer, as_is(foreign))).layer(service_fn(hello));
    assert_eq!(
        text(service.oneshot(Request::new(())).await.unwrap()).await,
        "hello"
    );
    assert_eq!(ledger.next().await, SUCCESS);
}

#[tokio::test]
async fn closures_of_every_kind_classify() {
    let judged = |ending: Ending, mut ledger: crate::support::Ledger| async move {
        assert_eq!(ledger.next().await, ending);
    };
    let (layer, ledger) = recorder();
    let strict = layer.classify(by_head(|head| match head.status() {
        StatusCode::OK => Verdict::Failure,
        _ => head.usual().0,
    }));
    drop(
        respond(strict)
            .layer(service_fn(hello))
            .oneshot(Request::new(()))
            .await
            .unwrap(),
    );
    judged(FAILURE, ledger).await;

    let (layer, ledger) = recorder();
    let strict = layer.classify(by_response(|_: &Response<_>| Verdict::Failure));
    drop(
        respond(strict)
            .layer(service_fn(hello))
            .oneshot(Request::new(()))
            .await
            .unwrap(),
    );
    judged(FAILURE, ledger).await;

    let (layer, ledger) = recorder();
    let strict = layer.classify(by(|result: Result<&Response<_>, &_>| match result {
        Ok(_) => Verdict::Failure,
        Err(_) => Verdict::Success,
    }));
    drop(
        respond(strict)
            .layer(service_fn(hello))
            .oneshot(Request::new(()))
            .await
            .unwrap(),
    );
    judged(FAILURE, ledger).await;
}

// === Places in which a service must fit ===

type Boxed = UnsyncBoxBody<Bytes, BoxError>;

async fn boxed_body(_: Request<()>) -> Result<Response<Boxed>, BoxError> {
    Ok(Response::new(
        Full::from("boxed").map_err(BoxError::from).boxed_unsync(),
    ))
}

/// Boxed errors, in the service and in its body, on another task: where a `'static` bound too many is refused.
#[tokio::test]
async fn a_stack_over_boxed_errors_is_called_and_read_on_another_task() {
    let (layer, mut ledger) = recorder();
    let client = ServiceBuilder::new()
        .layer(layer.http())
        .service_fn(boxed_body);
    let answer = spawn(client.clone().oneshot(Request::new(())))
        .await
        .unwrap()
        .unwrap();
    let body = answer.into_body();
    let collected = spawn(async move { body.collect().await }).await.unwrap();
    assert_eq!(collected.unwrap().to_bytes(), "boxed");
    assert_eq!(ledger.next().await, SUCCESS);

    let whole = spawn(async move {
        let answer = client.oneshot(Request::new(())).await?;
        Ok::<_, BoxError>(answer.into_body().collect().await?.to_bytes())
    });
    assert_eq!(whole.await.unwrap().unwrap(), "boxed");
    assert_eq!(ledger.next().await, SUCCESS);
}

#[tokio::test]
async fn a_responding_service_fits_where_tower_puts_services() {
    let (layer, mut ledger) = recorder();
    let service = respond(layer.clone()).layer(service_fn(hello));
    let boxed = BoxCloneSyncService::new(service.clone());
    assert_eq!(
        text(boxed.oneshot(Request::new(())).await.unwrap()).await,
        "hello"
    );
    assert_eq!(ledger.next().await, SUCCESS);
    let spawned = spawn(service.oneshot(Request::new(()))).await.unwrap();
    assert_eq!(text(spawned.unwrap()).await, "hello");
    assert_eq!(ledger.next().await, SUCCESS);

    // The body keeps its type, so the layer may as well not be there.
    for on in [true, false] {
        let optional = option_layer(on.then(|| layer.clone().http().until_headers()));
        let service = optional.layer(WidenLayer.layer(service_fn(hello)));
        let response: Result<Response<Full<Bytes>>, Error<Infallible>> =
            service.oneshot(Request::new(())).await;
        assert_eq!(response.unwrap().status(), 200);
    }
    assert_eq!(ledger.next().await, SUCCESS);
    assert!(ledger.is_empty());
}

#[test]
fn everything_is_send_and_sync_where_its_parts_are() {
    fn check<T: Send + Sync + 'static>(value: T) -> T {
        value
    }
    let layer = check(respond((recorder().0, recorder().0.until_headers())));
    let mut service = check(layer.layer(service_fn(hello)));
    let _: BoxCloneSyncService<_, Response<Answer<_>>, Infallible> =
        BoxCloneSyncService::new(service.clone());
    drop(service.call(Request::new(())));
    let _ = check(RespondLayer::new().render(|_: &Rejected| Response::new("no")));
    let _ = check(respond_grpc(recorder().0));
    check(Error::<Infallible>::Rejected(Rejected::new(
        Reason::Conflict,
        NAME,
    )));
}
