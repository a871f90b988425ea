//! Readiness that is driven inside of a call, and attempts and waits inside of a total: on paused time.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use buttress_bulkhead::Bulkhead;
use buttress_core::{Deadline, Error, Reason, WidenLayer};
use buttress_http::HttpExt;
use buttress_retry::{Backoff, Jitter, Retry, Stop};
use buttress_testkit::{Ending, Probe, Readiness, Script};
use buttress_timeout::AdaptiveTimeout;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use tokio::time::{Instant, sleep};
use tower::{Layer, Service, ServiceExt, service_fn};

use super::{MS, SECOND};

/// Ready when it is first asked, and then never again.
#[derive(Clone, Default)]
struct Once {
    was_asked: bool,
}

impl<Req> Service<Req> for Once {
    type Response = Response<Empty<Bytes>>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = std::io::Result<Response<Empty<Bytes>>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        if std::mem::replace(&mut self.was_asked, true) {
            Poll::Pending
        } else {
            Poll::Ready(Ok(()))
        }
    }

    fn call(&mut self, _: Req) -> Self::Future {
        panic!("it was not ready");
    }
}

fn fixed_and_learning() -> [AdaptiveTimeout; 2] {
    [
        AdaptiveTimeout::fixed(SECOND),
        AdaptiveTimeout::builder("learning").total(SECOND).build(),
    ]
}

// proves: AT-8
#[tokio::test(start_paused = true)]
async fn a_service_that_never_gets_ready_after_the_queue_is_given_up_at_the_total() {
    for timeout in fixed_and_learning() {
        let bulkhead = Bulkhead::builder("queue")
            .max_concurrent(1)
            .queue(1)
            .build();
        let inside = bulkhead.try_acquire().unwrap();
        let leaving = async {
            sleep(300 * MS).await;
            drop(inside);
        };
        let service = (timeout.layer(), bulkhead.layer(), WidenLayer).layer(Once::default());
        let started = Instant::now();
        let (result, ()) = tokio::join!(service.oneshot(()), leaving);
        let Err(Error::Rejected(rejected)) = result else {
            panic!("it was not ready")
        };
        assert_eq!(
            (rejected.reason(), started.elapsed()),
            (Reason::TimedOut, SECOND)
        );
        let seen = bulkhead.snapshot();
        assert_eq!((seen.active_calls, seen.queued_calls), (0, 0));
    }
}

// proves: AT-8
#[tokio::test(start_paused = true)]
async fn a_service_that_never_gets_ready_for_a_retry_is_given_up_at_the_total() {
    for timeout in fixed_and_learning() {
        let probe = Probe::with_plan(|turn| match turn {
            0 => Script::new(Ending::Err),
            _ => Script::default().readiness(Readiness::Never),
        });
        let retry = Retry::builder("attempts")
            .backoff(Backoff::constant(100 * MS))
            .build();
        let service = (timeout.layer(), retry.layer(), WidenLayer).layer(probe);
        let started = Instant::now();
        let result = service.oneshot(()).await;
        let Err(Error::Rejected(rejected)) = result else {
            panic!("it was not ready")
        };
        assert_eq!(
            (rejected.reason(), started.elapsed()),
            (Reason::TimedOut, SECOND)
        );
    }
}

/// Over HTTP the queue knows the total as a deadline, so that whichever of the two says it, nobody waits longer.
// proves: AT-8
#[tokio::test(start_paused = true)]
async fn a_queue_inside_of_a_total_waits_no_longer_than_that() {
    for timeout in fixed_and_learning() {
        let bulkhead = Bulkhead::builder("queue")
            .max_concurrent(1)
            .queue(1)
            .build();
        let _inside = bulkhead.try_acquire().unwrap();
        let service =
            (timeout.layer().http(), bulkhead.layer().http(), WidenLayer).layer(Once::default());
        let started = Instant::now();
        let result = service.oneshot(Request::new(())).await;
        assert!(matches!(result, Err(Error::Rejected(_))));
        assert_eq!(started.elapsed(), SECOND);
        assert_eq!(bulkhead.snapshot().queued_calls, 0);
    }
}

/// Its attempts fail after 100 ms, and 300 ms lie between them: the fourth would begin after the end.
#[tokio::test(start_paused = true)]
async fn a_retry_inside_of_a_total_begins_nothing_after_it() {
    for timeout in fixed_and_learning() {
        let begun = Arc::new(Mutex::new(Vec::new()));
        let (noted, started) = (Arc::clone(&begun), Instant::now());
        let failing = service_fn(move |request: Request<_>| {
            let _: &Request<buttress_http::Replayed<Empty<Bytes>>> = &request;
            assert!(request.extensions().get::<Deadline>().is_some());
            noted.lock().unwrap().push(started.elapsed());
            async {
                sleep(100 * MS).await;
                let answer = Response::builder().status(502).body(Empty::<Bytes>::new());
                Ok::<_, std::io::Error>(answer.unwrap())
            }
        });
        let backoff = Backoff::constant(300 * MS).jitter(Jitter::None);
        let retry = Retry::builder("attempts")
            .retries(9)
            .backoff(backoff)
            .build();
        let service = (timeout.layer().http(), retry.layer().http(), WidenLayer).layer(failing);
        let answer = service
            .oneshot(Request::new(Empty::<Bytes>::new()))
            .await
            .unwrap();
        assert_eq!(
            (answer.status().as_u16(), started.elapsed()),
            (502, 900 * MS)
        );
        assert_eq!(*begun.lock().unwrap(), [0, 400, 800].map(|at| at * MS));
        assert_eq!(retry.snapshot().stopped(Stop::Deadline), 1);
        answer.into_body().collect().await.unwrap();
    }
}
