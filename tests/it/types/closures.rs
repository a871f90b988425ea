//! Closures that classify.

use buttress_circuit_breaker::CircuitBreaker;
use buttress_core::{Verdict, WidenLayer, by};
use buttress_http::{HttpExt, by_code, by_head, by_response, respond, respond_grpc};
use http::{Request, Response};
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};

use super::{BoxError, breaker, bulkhead, double, fits, hello, text};

#[tokio::test]
async fn a_closure_classifies_plain_calls() {
    let odd = by(|result: Result<&u32, &BoxError>| match result {
        Ok(n) if n % 2 == 0 => Verdict::Success,
        _ => Verdict::Failure,
    });
    let layers = (bulkhead().classify(odd), breaker().classify(odd));
    fits(&(layers.1.clone()), service_fn(double), 1);
    let identity = service_fn(|n: u32| async move { Ok::<_, BoxError>(n) });
    let service = ServiceBuilder::new()
        .layer(layers.clone())
        .service(identity);
    for n in [1, 2, 3] {
        assert_eq!(service.clone().oneshot(n).await.unwrap(), n);
    }
    let snapshot = layers.0.bulkhead().snapshot();
    assert_eq!((snapshot.success_count, snapshot.failure_count), (1, 2));
    let snapshot = layers.1.breaker().snapshot();
    assert_eq!((snapshot.success_count, snapshot.failure_count), (1, 2));
}

/// Each of them calls the answer of [`hello`] a failure, which no usual classifier does.
#[tokio::test]
async fn closures_classify_answers_and_survive_the_adoption_of_a_protocol() {
    macro_rules! is_a_failure {
        (|$layer:ident| $adopted:expr) => {{
            let breaker = CircuitBreaker::builder("strict").build();
            let $layer = breaker.layer();
            let service = $adopted.layer(service_fn(hello));
            fits(&$adopted, service_fn(hello), Request::new(()));
            assert_eq!(
                text(service.oneshot(Request::new(())).await.unwrap()).await,
                "hello"
            );
            assert_eq!(breaker.snapshot().failure_count, 1, stringify!($adopted));
        }};
    }
    let head = by_head(|_| Verdict::Failure);
    let response = by_response(|_: &Response<_>| Verdict::Failure);
    let result = by(|_: Result<&Response<_>, &_>| Verdict::Failure);
    let code = by_code(|_| Verdict::Failure);
    is_a_failure!(|layer| respond(layer.clone().classify(head)));
    is_a_failure!(|layer| respond((bulkhead(), layer.clone().classify(response))));
    is_a_failure!(|layer| respond((bulkhead(), layer.clone().classify(result))));
    is_a_failure!(|layer| (
        layer.clone().classify(head).until_headers().http(),
        WidenLayer
    ));
    is_a_failure!(|layer| (layer.clone().http().classify(head), WidenLayer));
    is_a_failure!(|layer| respond_grpc(layer.clone().classify(code)));
}
