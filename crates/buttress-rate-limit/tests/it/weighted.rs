use std::future::ready;

use buttress_core::{Error, Name, Reason, Rejected, Verdict, by};
use buttress_rate_limit::{Rate, RateLimit};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::support::throttled;

/// Ten thousand tokens, which hardly come back while a test runs.
fn tokens() -> RateLimit {
    RateLimit::builder("tokens")
        .token_bucket(Rate::per_hour(10).burst(10_000))
        .build()
}

#[derive(Clone, Copy, Debug)]
enum Ends {
    Well { used: u32 },
    Throttled,
    Failed,
    Refused(Reason),
}

type Outcome = Result<Ends, Error<std::io::Error>>;

fn answer((_, ends): (u32, Ends)) -> std::future::Ready<Outcome> {
    ready(match ends {
        Ends::Failed => Err(Error::Inner(std::io::Error::other("failed"))),
        Ends::Refused(reason) => Err(Error::Rejected(Rejected::new(reason, Name::new("inner")))),
        ends => Ok(ends),
    })
}

fn service(
    limit: &RateLimit,
) -> impl Service<(u32, Ends), Response = Ends, Error = Error<std::io::Error>> + use<> {
    limit
        .layer()
        .classify(by(
            |result: Result<&Ends, &Error<std::io::Error>>| match result {
                Ok(Ends::Throttled) => Verdict::Throttled { retry_after: None },
                Ok(_) => Verdict::Success,
                Err(_) => Verdict::Failure,
            },
        ))
        .cost(|request: &(u32, Ends)| request.0)
        .actual(|ends: &Ends| match ends {
            Ends::Well { used } => Some(*used),
            _ => None,
        })
        .layer(service_fn(answer))
}

#[tokio::test(start_paused = true)]
async fn a_call_costs_in_the_end_what_the_answer_says() {
    for (ends, left) in [
        (Ends::Well { used: 200 }, 9800),
        (Ends::Well { used: 1500 }, 8500),
        (Ends::Throttled, 10_000),
        (Ends::Failed, 9000),
        (Ends::Refused(Reason::Overloaded), 10_000),
        (Ends::Refused(Reason::DeadlineExceeded), 9000),
        (Ends::Refused(Reason::TimedOut), 9000),
    ] {
        let limit = tokens();
        let _ = service(&limit).oneshot((1000, ends)).await;
        assert_eq!(limit.quota().remaining, left, "{ends:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_keeps_its_estimate() {
    let limit = tokens();
    let hanging = service_fn(|_: u32| std::future::pending::<Result<u32, Error<std::io::Error>>>());
    let service = limit.layer().cost(|request: &u32| *request).layer(hanging);
    let mut call = tokio_test::task::spawn(service.oneshot(1000));
    assert!(call.poll().is_pending());
    assert_eq!(limit.quota().remaining, 9000);
    drop(call);
    assert_eq!(limit.quota().remaining, 9000);
}

#[tokio::test(start_paused = true)]
async fn what_is_too_heavy_for_the_limit_is_told_no_time() {
    let limit = tokens();
    let error = service(&limit)
        .oneshot((10_001, Ends::Failed))
        .await
        .unwrap_err();
    let Error::Rejected(rejected) = error else {
        panic!("it came through");
    };
    assert_eq!(throttled(rejected), None);
}

#[tokio::test(start_paused = true)]
async fn calls_of_a_key_and_calls_that_wait_have_their_cost_too() {
    let limit = tokens();
    let echo = || service_fn(|n: u32| ready(Ok::<_, Error<std::io::Error>>(n)));
    let waiting = limit
        .waiting_layer()
        .cost(|n: &u32| *n)
        .actual(|n: &u32| Some(*n / 2));
    waiting.layer(echo()).oneshot(1000).await.unwrap();
    assert_eq!(limit.quota().remaining, 9500);

    let keyed = RateLimit::builder("tokens")
        .token_bucket(Rate::per_hour(10).burst(10_000))
        .keyed()
        .build();
    let layer = keyed
        .by(|n: &u32| Some(n % 2))
        .cost(|n: &u32| *n)
        .actual(|n: &u32| Some(*n / 2));
    layer.layer(echo()).oneshot(1000).await.unwrap();
    assert_eq!(keyed.quota(&0).remaining, 9500);
    assert_eq!(keyed.quota(&1).remaining, 10_000);
}
