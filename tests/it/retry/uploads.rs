//! Uploads that are streamed, and fail on the way.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body as AxumBody;
use axum::extract::Request as AxumRequest;
use axum::routing::any;
use buttress::core::WidenLayer;
use buttress::retry::Stop;
use buttress_http::HttpExt;
use bytes::{Bytes, BytesMut};
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::sync::Semaphore;
use tower::{ServiceBuilder, ServiceExt};

use super::{Seen, quick};
use crate::support::{serve, soon};

const LENGTH: usize = 1_000_000;
const CHUNK: usize = 4096;
const ROOM: usize = 64 * 1024;

fn payload() -> Bytes {
    (0..LENGTH).map(|n| (n * 7 + n / 251) as u8).collect()
}

/// Gives the first bytes, and the rest once the gate is open. Does not tell its length.
struct Upload {
    rest: Bytes,
    first: usize,
    opening: Option<Pin<Box<dyn Future<Output = ()> + Send + Sync>>>,
}

impl Upload {
    fn new(first: usize, gate: &Arc<Semaphore>) -> Self {
        let opened = Arc::clone(gate);
        Self {
            rest: payload(),
            first,
            opening: Some(Box::pin(async move {
                opened.acquire().await.unwrap().forget();
            })),
        }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        if this.first == 0
            && let Some(opening) = &mut this.opening
        {
            if opening.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            this.opening = None;
        }
        let most = if this.opening.is_some() {
            this.first
        } else {
            CHUNK
        };
        let chunk = this.rest.split_to(most.min(CHUNK).min(this.rest.len()));
        this.first = this.first.saturating_sub(chunk.len());
        Poll::Ready((!chunk.is_empty()).then(|| Ok(Frame::data(chunk))))
    }
}

/// Fails the first call once it has got so many bytes of it; reads that to the end if it was more than can be kept.
async fn fail_at(
    first: usize,
    seen: Seen,
    gate: Arc<Semaphore>,
    request: AxumRequest,
) -> Response<AxumBody> {
    let mut body = request.into_body();
    let is_first = seen.calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
    // Not before: what goes by between the failure and the retry would be too much to be kept.
    gate.add_permits(usize::from(!is_first));
    let mut got = BytesMut::new();
    while !is_first || first > ROOM || got.len() < first {
        if is_first && first > ROOM && got.len() == first {
            gate.add_permits(1);
        }
        let Some(frame) = body.frame().await else {
            break;
        };
        got.extend_from_slice(&frame.unwrap().into_data().unwrap());
    }
    seen.bodies.lock().unwrap().push(got.freeze());
    let mut response = Response::new(AxumBody::empty());
    if is_first {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}

// proves: RB-5
#[tokio::test]
async fn an_upload_that_fails_on_the_way_is_sent_again_if_what_went_by_was_kept() {
    for (first, calls) in [(0, 2), (ROOM - 1, 2), (ROOM, 2), (ROOM + 1, 1)] {
        let (seen, gate) = (Seen::default(), Arc::new(Semaphore::new(0)));
        let handler = {
            let (seen, gate) = (seen.clone(), Arc::clone(&gate));
            move |request| fail_at(first, seen.clone(), Arc::clone(&gate), request)
        };
        let address = serve(Router::new().route("/", any(handler))).await;
        let retry = quick("uploads");
        let client = ServiceBuilder::new()
            .layer(retry.layer().http())
            .layer(WidenLayer)
            .service(Client::builder(TokioExecutor::new()).build_http());
        let request = Request::put(format!("http://{address}/"));
        let request = request.body(Upload::new(first, &gate)).unwrap();
        let answer = soon("the answer", client.oneshot(request)).await.unwrap();
        assert_eq!(seen.calls(), calls, "{first} bytes: {:?}", retry.snapshot());
        assert_eq!(answer.status().is_success(), calls == 2);
        let bodies = seen.bodies();
        assert_eq!(bodies.last().unwrap(), &payload(), "{first} bytes");
        assert_eq!(bodies[0], payload()[..bodies[0].len()]);
        let snapshot = retry.snapshot();
        assert_eq!(snapshot.stopped(Stop::NotReplayable), 2 - calls as u64);
        drop(answer);
        assert_eq!(snapshot.budget.total_retries, calls as u64 - 1);
    }
}
