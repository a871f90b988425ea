use std::time::Duration;

use buttress_core::{Adopt, Plain, QuotaSources, WidenLayer};
use buttress_rate_limit::{Rate, RateLimit};
use tokio_test::{assert_pending, assert_ready_ok};
use tower::{BoxError, Layer, Service, ServiceBuilder, ServiceExt, service_fn};

use crate::support::{advance, secs, throttled};

fn one_a_second() -> RateLimit {
    RateLimit::builder("test")
        .token_bucket(Rate::per_second(1))
        .build()
}

// proves: A-3
#[tokio::test(start_paused = true)]
async fn a_service_that_is_ready_has_taken_nothing() {
    let limit = one_a_second();
    let make = || {
        limit
            .layer()
            .layer(service_fn(|n: u32| async move { Ok::<_, BoxError>(n) }))
    };
    let mut services: Vec<_> = (0..1000).map(|_| make()).collect();
    for service in &mut services {
        service.ready().await.unwrap();
    }
    assert_eq!(services[0].call(7).await.unwrap(), 7);
    let error = services[1].call(8).await.unwrap_err();
    let rejected = buttress_core::find_rejection(&*error).unwrap();
    assert_eq!(throttled(rejected), Some(secs(1)));
}

#[tokio::test(start_paused = true)]
async fn all_layers_of_a_limit_share_it() {
    let limit = one_a_second();
    let inner = || service_fn(|n: u32| async move { Ok::<_, std::io::Error>(n) });
    let stack = |limit: &RateLimit| {
        ServiceBuilder::new()
            .layer(limit.layer())
            .layer(WidenLayer)
            .service(inner())
    };
    assert!(stack(&limit).oneshot(1).await.is_ok());
    assert!(stack(&limit.clone()).oneshot(1).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_in_its_future_and_then_makes_the_service_ready_again() {
    let limit = one_a_second();
    let (mut service, mut handle) =
        tower_test::mock::spawn_layer::<u32, u32, _>(limit.waiting_layer());
    handle.allow(3);
    assert_ready_ok!(service.poll_ready());
    let mut first = tokio_test::task::spawn(service.call(1));
    assert_pending!(first.poll());
    let (request, answer) = handle.next_request().await.unwrap();
    assert_eq!(request, 1);
    answer.send_response(10);
    assert_ready_ok!(first.poll());

    assert_ready_ok!(service.poll_ready());
    let mut second = tokio_test::task::spawn(service.call(2));
    assert_pending!(second.poll());
    advance(Duration::from_millis(1001)).await;
    assert!(second.is_woken());
    assert_pending!(second.poll());
    let (request, _) = handle.next_request().await.unwrap();
    assert_eq!(request, 2);
}

#[test]
fn a_layer_hands_out_its_policy() {
    let limit = RateLimit::builder("search")
        .sliding_window(Rate::per_minute(30))
        .build();
    let mut sources = QuotaSources::new();
    let layers = (limit.layer(), limit.waiting_layer());
    Adopt::<Plain>::quota_sources(&layers, &mut sources);
    assert_eq!(sources.len(), 2);
    for source in sources {
        assert_eq!(source.name().as_str(), "search");
        assert_eq!(
            (source.policy().limit, source.policy().window),
            (30, secs(60))
        );
    }
}
