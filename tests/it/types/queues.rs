//! The same for a bulkhead in front of which calls wait, and for calls that do wait.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::rc::Rc;

use buttress_bulkhead::{Acquire, Bulkhead, BulkheadLayer, ClassSnapshot};
use buttress_core::{Error, Priority, Verdict, WidenLayer, by};
use buttress_http::{HttpExt, RespondLayer, as_is, respond, respond_grpc};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use tower::util::{BoxCloneSyncService, Either, option_layer};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

use super::{BoxError, breaker, bulkhead, double, fits, hello, text};

/// One slot, which is taken: until the permit is dropped calls wait.
fn full() -> (Bulkhead, buttress_bulkhead::Permit) {
    let bulkhead = Bulkhead::builder("full").max_concurrent(1).build();
    let inside = bulkhead.try_acquire().unwrap();
    (bulkhead, inside)
}

/// Lets a call wait on another task, frees the slot, and gives what became of the call.
async fn after_a_wait<F>(
    bulkhead: &Bulkhead,
    inside: buttress_bulkhead::Permit,
    call: F,
) -> F::Output
where
    F: Future<Output: Send> + Send + 'static,
{
    let before = bulkhead.snapshot().waits.count();
    let call = tokio::spawn(call);
    while bulkhead.snapshot().queued_calls == 0 {
        tokio::task::yield_now().await;
    }
    drop(inside);
    let output = call.await.unwrap();
    assert_eq!(bulkhead.snapshot().waits.count(), before + 1);
    output
}

#[test]
fn layers_services_and_futures_are_send_sync_and_static_where_their_parts_are() {
    fn anywhere<T: Send + Sync + 'static>() {}
    anywhere::<Acquire>();
    anywhere::<BulkheadLayer>();
    anywhere::<ClassSnapshot>();
    let both = || (BulkheadLayer::new(10), breaker());
    fits(&both(), service_fn(double), 1);
    fits(&(both(), WidenLayer), service_fn(hello), Request::new(()));
    fits(
        &(both().http(), WidenLayer),
        service_fn(hello),
        Request::new(()),
    );
    fits(
        &(both().grpc(), WidenLayer),
        service_fn(hello),
        Request::new(()),
    );
    fits(
        &(both().http().until_headers(), WidenLayer),
        service_fn(hello),
        Request::new(()),
    );
    fits(
        &(RespondLayer::new(), both().http(), WidenLayer),
        service_fn(hello),
        Request::new(()),
    );
    fits(&respond(both()), service_fn(hello), Request::new(()));
    fits(
        &respond(both().until_headers()),
        service_fn(hello),
        Request::new(()),
    );
    fits(
        &respond_grpc((BulkheadLayer::new(10), as_is(WidenLayer), breaker())),
        service_fn(hello),
        Request::new(()),
    );
}

#[tokio::test]
async fn layers_services_and_futures_can_be_printed() {
    let (bulkhead, _inside) = full();
    let layers = respond((bulkhead.layer(), breaker()));
    let service = layers.layer(service_fn(hello));
    assert!(format!("{layers:?}").contains("BulkheadLayer"));
    assert!(format!("{service:?}").contains("Queued"));
    let waiting = bulkhead.layer().layer(service_fn(double)).call(21);
    assert!(format!("{waiting:?}").contains("waiting"), "{waiting:?}");
    let acquire = format!("{:?}", bulkhead.acquire(Priority::High));
    assert!(
        acquire.contains("full") && acquire.contains("High"),
        "{acquire}"
    );
}

#[tokio::test]
async fn a_call_that_waits_on_another_task_ends_there() {
    let (bulkhead, inside) = full();
    let plain = (bulkhead.layer(), breaker()).layer(service_fn(double));
    let call = after_a_wait(&bulkhead, inside, plain.clone().oneshot(21)).await;
    assert_eq!(call.unwrap(), 42);

    let inside = bulkhead.try_acquire().unwrap();
    let call = async move {
        let mut plain = plain;
        plain.ready().await?.call(u32::MAX).await
    };
    let error = after_a_wait(&bulkhead, inside, call).await.unwrap_err();
    assert_eq!(error.to_string(), "too large");

    let inside = bulkhead.try_acquire().unwrap();
    let server = respond((bulkhead.layer(), breaker())).layer(service_fn(hello));
    let answer = after_a_wait(&bulkhead, inside, server.oneshot(Request::new(()))).await;
    let answer: Result<_, Infallible> = answer;
    assert_eq!(text(answer.unwrap()).await, "hello");

    let inside = bulkhead.try_acquire().unwrap();
    let handle = bulkhead.clone();
    let call = async move {
        handle
            .run(async { Err::<(), _>(io::Error::other("on fire")) })
            .await
    };
    let error = after_a_wait(&bulkhead, inside, call).await.unwrap_err();
    assert_eq!(error.into_inner().unwrap().to_string(), "on fire");
}

#[tokio::test]
async fn a_queue_may_as_well_not_be_there() {
    for on in [true, false] {
        let (bulkhead, inside) = full();
        let layer: Either<BulkheadLayer, _> = option_layer(on.then(|| bulkhead.layer()));
        let call = layer.layer(service_fn(double)).oneshot(21);
        let result = if on {
            after_a_wait(&bulkhead, inside, call).await
        } else {
            call.await
        };
        assert_eq!(result.unwrap(), 42);
        assert_eq!(bulkhead.snapshot().success_count, u64::from(on));
    }
}

#[tokio::test]
async fn whether_calls_wait_or_are_refused_is_chosen_at_run_time() {
    for waits in [true, false] {
        let (bulkhead, inside) = full();
        let layer = if waits {
            Either::Left(bulkhead.layer())
        } else {
            Either::Right(bulkhead.refusing_layer())
        };
        let call = layer.layer(service_fn(double)).oneshot(21);
        if waits {
            assert_eq!(after_a_wait(&bulkhead, inside, call).await.unwrap(), 42);
        } else {
            call.await.unwrap_err();
            assert_eq!(bulkhead.snapshot().rejected_calls, 1);
        }
    }
}

type Boxed = UnsyncBoxBody<Bytes, Infallible>;

#[tokio::test]
async fn services_before_which_calls_wait_are_boxed() {
    let (bulkhead, inside) = full();
    let plain: BoxCloneSyncService<u32, u32, BoxError> =
        BoxCloneSyncService::new((bulkhead.layer(), breaker()).layer(service_fn(double)));
    let call = after_a_wait(&bulkhead, inside, plain.clone().oneshot(21)).await;
    assert_eq!(call.unwrap(), 42);

    let inside = bulkhead.try_acquire().unwrap();
    let client = ServiceBuilder::new()
        .map_response(|response: Response<_>| response.map(BodyExt::boxed_unsync))
        .layer(bulkhead.layer().http())
        .layer(WidenLayer);
    let client: BoxCloneSyncService<Request<()>, Response<Boxed>, Error<Infallible>> =
        BoxCloneSyncService::new(client.service(service_fn(hello)));
    let answer = after_a_wait(&bulkhead, inside, client.oneshot(Request::new(()))).await;
    assert_eq!(text(answer.unwrap()).await, "hello");

    // A boxed service that is `Clone` is what a queue wants, too.
    let inside = bulkhead.try_acquire().unwrap();
    let call = bulkhead.layer().layer(plain).oneshot(21);
    let waiting = tokio::spawn(call);
    tokio::task::yield_now().await;
    assert_eq!(bulkhead.snapshot().queued_calls, 1);
    drop(inside);
    tokio::task::yield_now().await;
    // Two slots of one bulkhead for one call: the inner one waits for the outer.
    assert_eq!(
        (
            bulkhead.snapshot().active_calls,
            bulkhead.snapshot().queued_calls
        ),
        (1, 1)
    );
    bulkhead.resize(2).unwrap();
    assert_eq!(waiting.await.unwrap().unwrap(), 42);
}

#[tokio::test]
async fn a_service_that_cannot_leave_its_thread_is_waited_for_too() {
    let here = Rc::new(20);
    let service = service_fn(move |n: u32| {
        let here = Rc::clone(&here);
        async move { Ok::<_, BoxError>(*here + n) }
    });
    let (bulkhead, inside) = full();
    let call = (bulkhead.layer(), breaker()).layer(service).oneshot(22);
    let freeing = async {
        tokio::task::yield_now().await;
        assert_eq!(bulkhead.snapshot().queued_calls, 1);
        drop(inside);
    };
    let (result, ()) = tokio::join!(call, freeing);
    assert_eq!(result.unwrap(), 42);
}

/// The closure decides in every protocol, said before or after it, and with a classifier said before or after that.
#[tokio::test]
async fn closures_choose_the_class_and_survive_the_adoption_of_a_protocol() {
    macro_rules! is_low {
        (|$layer:ident| $adopted:expr) => {{
            let (bulkhead, inside) = full();
            let $layer = bulkhead.layer();
            let service = $adopted.layer(service_fn(hello));
            fits(&$adopted, service_fn(hello), Request::new(()));
            let mut request = Request::new(());
            request.extensions_mut().insert(Priority::Critical);
            let answer = after_a_wait(&bulkhead, inside, service.oneshot(request)).await;
            assert_eq!(text(answer.unwrap()).await, "hello");
            let snapshot = bulkhead.snapshot();
            assert_eq!(
                snapshot.class(Priority::Low).granted_count,
                1,
                stringify!($adopted)
            );
            snapshot
        }};
    }
    let low = |_: &Request<()>| Priority::Low;
    let result = by(|_: Result<&Response<_>, &_>| Verdict::Failure);
    is_low!(|layer| respond(layer.clone().priority(low)));
    is_low!(|layer| respond((bulkhead(), layer.clone().priority(low))));
    is_low!(|layer| respond((layer.clone().priority(low), breaker())));
    is_low!(|layer| (layer.clone().priority(low).http(), WidenLayer));
    is_low!(|layer| (layer.clone().http().priority(low), WidenLayer));
    is_low!(|layer| (layer.clone().grpc().priority(low), WidenLayer));
    is_low!(|layer| (
        layer.clone().http().until_headers().priority(low),
        WidenLayer
    ));
    is_low!(|layer| (
        layer.clone().priority(low).http().until_headers(),
        WidenLayer
    ));
    let snapshot = is_low!(|layer| respond(layer.clone().priority(low).classify(result)));
    assert_eq!((snapshot.success_count, snapshot.failure_count), (0, 1));
    let snapshot = is_low!(|layer| respond(layer.clone().classify(result).priority(low)));
    assert_eq!((snapshot.success_count, snapshot.failure_count), (0, 1));
}

#[tokio::test]
async fn a_layer_in_its_short_form_waits_as_long_and_for_as_many_as_it_is_told() {
    let layer = BulkheadLayer::new(1).queue(1);
    let service = layer.layer(service_fn(double));
    let inside = layer.bulkhead().try_acquire().unwrap();
    let first = tokio::spawn(service.clone().oneshot(1));
    tokio::task::yield_now().await;
    service.clone().oneshot(2).await.unwrap_err();
    drop(inside);
    assert_eq!(first.await.unwrap().unwrap(), 2);
}
