//! Futures and bodies that are polled on one task and finished on another, and probes that never end: on paused time.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::future::{Future, pending};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;

use buttress_circuit_breaker::{CircuitBreaker, Event, State, Story};
use buttress_core::{Error, Rejected, Settle, Verdict, WidenLayer};
use buttress_http::{HttpExt, Tracked, respond};
use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use tokio::time::sleep;
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};

use crate::support::{Counts, Guards, soon};

type BoxError = Box<dyn StdError + Send + Sync>;
type Boxed = UnsyncBoxBody<Bytes, Infallible>;

const SECOND: Duration = Duration::from_secs(1);

// === Moved to another task ===

/// Polls once here, where nobody will ever be woken, and finishes on another task.
async fn moved<F>(future: F) -> F::Output
where
    F: Future<Output: Send> + Send + 'static,
{
    let mut future = Box::pin(future);
    let first = future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    assert!(first.is_pending(), "there is nothing left to move");
    soon("the end on the other task", tokio::spawn(future))
        .await
        .unwrap()
}

async fn slowly_double(n: u32) -> Result<u32, BoxError> {
    sleep(SECOND).await;
    Ok(2 * n)
}

#[tokio::test(start_paused = true)]
async fn a_call_that_moves_to_another_task_ends_there() {
    let guards = Guards::new(1);
    let (bulkhead, breaker) = guards.layers();
    let inner = || service_fn(slowly_double);
    assert_eq!(moved(bulkhead.layer(inner()).oneshot(1)).await.unwrap(), 2);
    assert_eq!(moved(breaker.layer(inner()).oneshot(2)).await.unwrap(), 4);
    assert_eq!(
        moved((bulkhead, breaker).layer(inner()).oneshot(3))
            .await
            .unwrap(),
        6
    );
    assert_eq!(guards.active(), 0);
}

/// In the queue, and with a slot that it was granted here and takes up there.
#[tokio::test(start_paused = true)]
async fn a_call_that_moves_to_another_task_while_it_waits_ends_there() {
    let bulkhead = Guards::new(1).bulkhead;
    for granted_here in [true, false] {
        let inside = bulkhead.try_acquire().unwrap();
        let mut call = Box::pin(bulkhead.layer().layer(service_fn(slowly_double)).oneshot(1));
        let first = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(first.is_pending());
        assert_eq!(bulkhead.snapshot().queued_calls, 1);
        let call = if granted_here {
            drop(inside);
            tokio::spawn(call)
        } else {
            let call = tokio::spawn(call);
            tokio::task::yield_now().await;
            drop(inside);
            call
        };
        assert_eq!(
            soon("the end on the other task", call)
                .await
                .unwrap()
                .unwrap(),
            2
        );
        let snapshot = bulkhead.snapshot();
        assert_eq!((snapshot.active_calls, snapshot.queued_calls), (0, 0));
    }
    assert_eq!(bulkhead.snapshot().waits.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_future_behind_a_handle_that_moves_to_another_task_ends_there() {
    async fn slowly() -> Result<u32, Rejected> {
        sleep(SECOND).await;
        Ok(42)
    }
    let guards = Guards::new(1);
    let (bulkhead, breaker) = (guards.bulkhead.clone(), guards.breaker.clone());
    let both = async move { bulkhead.run(breaker.run(slowly())).await };
    assert_eq!(moved(both).await.unwrap(), 42);
    assert_eq!((guards.active(), guards.counts()), (0, Counts::SUCCESS));
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_the_last_call_that_moves_to_another_task_ends_there() {
    let guards = Guards::new(1);
    let (bulkhead, inside) = (
        guards.bulkhead.clone(),
        guards.bulkhead.try_acquire().unwrap(),
    );
    let leaving = async {
        sleep(SECOND).await;
        drop(inside);
    };
    let waiting = moved(async move { bulkhead.drained().await });
    tokio::join!(waiting, leaving);
    assert_eq!(guards.active(), 0);
}

/// Answers after a second, with two frames that each take one more.
async fn slowly_hello(_: Request<()>) -> Result<Response<Boxed>, Infallible> {
    sleep(SECOND).await;
    let frames = stream::iter(["hel", "lo"]);
    let frames = futures_util::StreamExt::then(frames, |text| async move {
        sleep(SECOND).await;
        Ok(Frame::data(Bytes::from(text)))
    });
    Ok(Response::new(StreamBody::new(frames).boxed_unsync()))
}

#[tokio::test(start_paused = true)]
async fn an_answer_whose_body_moves_to_another_task_ends_there() {
    let guards = Guards::new(1);
    let service = respond(guards.layers()).layer(service_fn(slowly_hello));
    let answer = moved(service.oneshot(Request::new(()))).await.unwrap();
    assert_eq!((guards.active(), guards.counts()), (1, Counts::default()));
    let collected = moved(answer.into_body().collect()).await.unwrap();
    assert_eq!(collected.to_bytes(), "hello");
    assert_eq!((guards.active(), guards.counts()), (0, Counts::SUCCESS));
}

// === Probes that never end ===

/// Answers with a head of the status that is asked for, and a stream of events that never ends.
async fn events(request: Request<StatusCode>) -> Result<Response<Boxed>, Infallible> {
    let endless = stream::pending::<Result<Frame<Bytes>, Infallible>>();
    let mut response = Response::new(StreamBody::new(endless).boxed_unsync());
    *response.status_mut() = request.into_body();
    Ok(response)
}

/// Does not answer.
async fn silence(_: Request<()>) -> Result<Response<Boxed>, Infallible> {
    pending().await
}

/// A breaker that has just opened, and the stories that it tells when it closes.
fn open_breaker() -> (CircuitBreaker, Arc<Mutex<Vec<Story>>>) {
    let stories = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&stories);
    let breaker = CircuitBreaker::builder("events")
        .consecutive_failures(1)
        .jitter(0.0)
        .observer(move |event: &Event| {
            if let Event::Closed { story, .. } = event {
                told.lock().unwrap().push(*story);
            }
        })
        .build();
    breaker.try_acquire().unwrap().settle(Verdict::Failure);
    assert_eq!(breaker.snapshot().state, State::Open);
    (breaker, stories)
}

type Answer = Response<Tracked<Boxed, buttress_circuit_breaker::Permit>>;

/// Waits for the open time, and lets the three probes out whose answers never end.
async fn three_probes(breaker: &CircuitBreaker, status: StatusCode) -> Vec<Answer> {
    let service = ServiceBuilder::new()
        .layer(breaker.layer().http())
        .layer(WidenLayer);
    let service = service.service(service_fn(events));
    sleep(60 * SECOND).await;
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(service.clone().oneshot(Request::new(status)).await.unwrap());
    }
    let refused = service.oneshot(Request::new(status)).await.unwrap_err();
    assert!(matches!(refused, Error::Rejected(_)));
    let snapshot = breaker.snapshot();
    assert_eq!(
        (snapshot.state, snapshot.probes_in_flight),
        (State::HalfOpen, 3)
    );
    answers
}

// proves: CB-4
#[tokio::test(start_paused = true)]
async fn a_breaker_before_endless_event_streams_closes_by_their_heads() {
    let (breaker, stories) = open_breaker();
    let answers = three_probes(&breaker, StatusCode::OK).await;
    sleep(30 * SECOND - Duration::from_millis(1)).await;
    assert!(breaker.try_acquire().is_err());
    sleep(Duration::from_millis(1)).await;
    assert!(breaker.try_acquire().is_ok());
    assert_eq!(breaker.snapshot().state, State::Closed);
    let story = stories.lock().unwrap()[0];
    let probes = story.probes;
    assert_eq!(
        (probes.good, probes.late, probes.failed, probes.dropped),
        (3, 3, 0, 0)
    );
    assert_eq!((story.open_for, story.refused), (90 * SECOND, 2));
    drop(answers);
    assert_eq!(breaker.snapshot().state, State::Closed);
}

// proves: CB-4, CB-5
#[tokio::test(start_paused = true)]
async fn a_breaker_before_endless_answers_of_500_opens_again_and_late_ends_move_nothing() {
    let (breaker, stories) = open_breaker();
    let answers = three_probes(&breaker, StatusCode::INTERNAL_SERVER_ERROR).await;
    sleep(30 * SECOND).await;
    assert!(breaker.try_acquire().is_err());
    assert_eq!(breaker.snapshot().state, State::Open);

    // The old probes end as failures, in the next half-open period and before its own three succeed.
    sleep(60 * SECOND).await;
    let first = breaker.try_acquire().unwrap();
    assert_eq!(breaker.snapshot().state, State::HalfOpen);
    drop(answers);
    assert_eq!(breaker.snapshot().failure_count, 4);
    assert_eq!(breaker.snapshot().state, State::HalfOpen);
    first.settle(Verdict::Success);
    for _ in 0..2 {
        breaker.try_acquire().unwrap().settle(Verdict::Success);
    }
    assert_eq!(breaker.snapshot().state, State::Closed);
    assert_eq!(stories.lock().unwrap()[0].reopened, 1);
}

// proves: CB-4
#[tokio::test(start_paused = true)]
async fn a_breaker_before_a_service_that_hangs_opens_again_and_does_not_stick() {
    let (breaker, stories) = open_breaker();
    let service = ServiceBuilder::new()
        .layer(breaker.layer().http())
        .layer(WidenLayer);
    let service = service.service(service_fn(silence));
    sleep(60 * SECOND).await;
    let probes: Vec<_> = (0..3)
        .map(|_| tokio::spawn(service.clone().oneshot(Request::new(()))))
        .collect();
    while breaker.snapshot().probes_in_flight < 3 {
        tokio::task::yield_now().await;
    }
    sleep(30 * SECOND).await;
    assert!(breaker.try_acquire().is_err());
    assert_eq!(breaker.snapshot().state, State::Open);
    sleep(60 * SECOND).await;
    for _ in 0..3 {
        breaker.try_acquire().unwrap().settle(Verdict::Success);
    }
    assert_eq!(breaker.snapshot().state, State::Closed);
    assert_eq!(stories.lock().unwrap()[0].probes.failed, 1);
    for probe in probes {
        probe.abort();
        assert!(probe.await.unwrap_err().is_cancelled());
    }
    assert_eq!(breaker.snapshot().state, State::Closed);
}
