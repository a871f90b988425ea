//! The breaker before a tower service.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use buttress_circuit_breaker::State;
use buttress_core::{Error, Rejected, Verdict, WidenLayer, by};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

use crate::{SECOND, exact, failures_to_open, pass, succeed};

#[tokio::test(start_paused = true)]
async fn errors_open_it_and_pass_through_unchanged() {
    let breaker = exact().build();
    let calls = Arc::new(AtomicUsize::new(0));
    let mut service = ServiceBuilder::new()
        .layer(breaker.layer())
        .layer(WidenLayer)
        .service_fn({
            let calls = Arc::clone(&calls);
            move |()| {
                calls.fetch_add(1, Ordering::Relaxed);
                async { Err::<(), _>(io::Error::other("disk on fire")) }
            }
        });
    for _ in 0..5 {
        let error = service.ready().await.unwrap().call(()).await.unwrap_err();
        assert!(matches!(error, Error::Inner(error) if error.to_string() == "disk on fire"));
    }
    let error = service.ready().await.unwrap().call(()).await.unwrap_err();
    assert!(matches!(error, Error::Rejected(_)));
    assert_eq!(calls.load(Ordering::Relaxed), 5);
}

#[tokio::test(start_paused = true)]
async fn every_service_of_a_layer_shares_its_breaker() {
    let breaker = exact().build();
    let layer = breaker.layer();
    for _ in 0..5 {
        let failing = service_fn(|()| async { Err::<(), _>(io::Error::other("no")) });
        let service = ServiceBuilder::new()
            .layer(layer.clone())
            .layer(WidenLayer)
            .service(failing);
        assert!(service.oneshot(()).await.is_err());
    }
    assert_eq!(breaker.snapshot().state, State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_further_in_is_no_failure_and_a_timeout_of_ours_is_one() {
    use buttress_core::{Name, Reason};
    for reason in Reason::ALL {
        let breaker = exact().consecutive_failures(1).build();
        let rejected = Rejected::new(reason, Name::new("inner"));
        let refusing =
            service_fn(
                move |()| async move { Err::<(), _>(Error::<io::Error>::Rejected(rejected)) },
            );
        let error = breaker
            .layer()
            .named_service(refusing)
            .oneshot(())
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Rejected(found) if found == rejected));
        let expected = if reason == Reason::TimedOut {
            State::Open
        } else {
            State::Closed
        };
        assert_eq!(breaker.snapshot().state, expected, "{reason}");
    }
}

/// `Layer::layer` under a name that reads in a chain.
trait NamedService<S>: tower::Layer<S> + Sized {
    fn named_service(self, inner: S) -> Self::Service {
        self.layer(inner)
    }
}
impl<L: tower::Layer<S>, S> NamedService<S> for L {}

#[tokio::test(start_paused = true)]
async fn a_chosen_classifier_judges() {
    let breaker = exact().consecutive_failures(1).build();
    let odd_is_bad = by(|result: Result<&u32, &Error<Infallible>>| match result {
        Ok(n) if n % 2 == 1 => Verdict::Failure,
        _ => Verdict::Success,
    });
    let layer = breaker.layer().classify(odd_is_bad);
    let mut service = ServiceBuilder::new()
        .layer(layer)
        .layer(WidenLayer)
        .service_fn(|n: u32| async move { Ok::<_, Infallible>(n) });
    assert_eq!(service.ready().await.unwrap().call(2).await.unwrap(), 2);
    assert_eq!(breaker.snapshot().state, State::Closed);
    assert_eq!(service.ready().await.unwrap().call(3).await.unwrap(), 3);
    assert_eq!(breaker.snapshot().state, State::Open);
}

#[tokio::test(start_paused = true)]
async fn probes_and_nothing_else_are_marked() {
    let breaker = exact().build();
    let layer = breaker
        .layer()
        .on_probe(|request: &mut String| request.push_str(" (probe)"));
    let mut service = ServiceBuilder::new()
        .layer(layer)
        .layer(WidenLayer)
        .service_fn(|request: String| async move { Ok::<_, Infallible>(request) });
    let mut call = async |request: &str| {
        service
            .ready()
            .await
            .unwrap()
            .call(request.into())
            .await
            .unwrap()
    };
    assert_eq!(call("closed").await, "closed");
    failures_to_open(&breaker);
    pass(60 * SECOND).await;
    for _ in 0..3 {
        assert_eq!(call("half-open").await, "half-open (probe)");
    }
    assert_eq!(call("closed").await, "closed");
}

#[tokio::test(start_paused = true)]
async fn nothing_happens_before_the_first_poll_of_run() {
    let breaker = exact().build();
    let future = breaker.run(async { Ok::<_, io::Error>(1) });
    drop(future);
    assert_eq!(breaker.snapshot().neutral_count, 0);
    assert_eq!(
        breaker.run(async { Ok::<_, io::Error>(1) }).await.unwrap(),
        1
    );
    assert_eq!(breaker.snapshot().success_count, 1);
    succeed(&breaker);
}
