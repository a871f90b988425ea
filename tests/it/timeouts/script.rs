//! Answers that take their time, and somebody who reads them: on paused time.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt::Debug;
use std::time::Duration;

use buttress_core::{Error, Reason, Rejected, find_rejection};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body::{Body, Frame};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use tower::{Service, ServiceExt};

pub(super) type BoxError = Box<dyn StdError + Send + Sync>;
pub(super) type Boxed = UnsyncBoxBody<Bytes, BoxError>;

/// When the pieces of an answer come, counted from the call, whether anybody reads them or not.
#[derive(Clone, Default)]
pub(super) struct Script {
    pub(super) status: u16,
    pub(super) head: Duration,
    pub(super) pieces: Vec<Duration>,
    /// Nothing for never.
    pub(super) end: Option<Duration>,
    pub(super) headers: BTreeMap<&'static str, &'static str>,
    pub(super) trailers: BTreeMap<&'static str, &'static str>,
}

/// The head after one second, three pieces in the three that follow, and the end with the last.
pub(super) fn a_second_each() -> Script {
    let pieces = [2, 3, 4].map(Duration::from_secs).to_vec();
    Script {
        status: 200,
        head: Duration::from_secs(1),
        end: pieces.last().copied(),
        pieces,
        ..Script::default()
    }
}

fn fields(fields: &BTreeMap<&'static str, &'static str>) -> HeaderMap {
    let field = |(name, value): (&&'static str, &&'static str)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    };
    fields.iter().map(field).collect()
}

impl Script {
    pub(super) fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.insert(name, value);
        self
    }

    pub(super) fn trailer(mut self, name: &'static str, value: &'static str) -> Self {
        self.trailers.insert(name, value);
        self
    }

    pub(super) fn events(self) -> Self {
        self.header("content-type", "text/event-stream; charset=utf-8")
    }

    pub(super) async fn play<B>(self, _: Request<B>) -> Result<Response<Boxed>, std::io::Error> {
        let started = Instant::now();
        sleep(self.head).await;
        let mut response = Response::new(());
        *response.status_mut() = http::StatusCode::from_u16(self.status).unwrap();
        *response.headers_mut() = fields(&self.headers);
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            for at in self.pieces {
                sleep_until(started + at).await;
                let _ = sender.send(Frame::data(Bytes::from_static(b"piece")));
            }
            match self.end {
                None => sender.closed().await,
                Some(end) => sleep_until(started + end).await,
            }
            if !self.trailers.is_empty() {
                let _ = sender.send(Frame::trailers(fields(&self.trailers)));
            }
        });
        let frames = stream::unfold(receiver, |mut receiver| async {
            let frame = receiver.recv().await?;
            Some((Ok::<_, BoxError>(frame), receiver))
        });
        Ok(response.map(|()| StreamBody::new(frames).boxed_unsync()))
    }
}

/// What became of a call, and when.
#[derive(Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) has_head: bool,
    pub(super) pieces: usize,
    pub(super) cut: Option<Reason>,
    pub(super) at: Duration,
    pub(super) grpc_status: Option<String>,
}

impl Seen {
    pub(super) fn whole() -> Self {
        Self {
            has_head: true,
            pieces: 3,
            cut: None,
            at: Duration::from_secs(4),
            grpc_status: None,
        }
    }

    pub(super) fn cut(reason: Reason, at: Duration, pieces: usize) -> Self {
        let has_head = at > Duration::from_secs(1);
        Self {
            has_head,
            pieces,
            cut: Some(reason),
            at,
            grpc_status: None,
        }
    }
}

/// Reads at once whatever comes.
pub(super) async fn read<S, Q, B, E>(service: S, request: Request<Q>) -> Seen
where
    S: Service<Request<Q>, Response = Response<B>, Error = Error<E>>,
    B: Body<Error: Into<BoxError>>,
    E: Debug,
{
    let started = Instant::now();
    let mut seen = Seen {
        has_head: false,
        pieces: 0,
        cut: None,
        at: Duration::ZERO,
        grpc_status: None,
    };
    match service.oneshot(request).await {
        Err(Error::Rejected(rejected)) => seen.cut = Some(rejected.reason()),
        Err(error) => panic!("{error:?}"),
        Ok(response) => {
            seen.has_head = true;
            read_body(response.into_body(), &mut seen).await;
        }
    }
    seen.at = started.elapsed();
    seen
}

async fn read_body<B: Body<Error: Into<BoxError>>>(body: B, seen: &mut Seen) {
    let mut body = std::pin::pin!(body);
    while let Some(frame) = body.as_mut().frame().await {
        match frame {
            Ok(frame) if frame.is_data() => seen.pieces += 1,
            Ok(frame) => {
                let trailers = frame.into_trailers().ok().unwrap();
                let status = trailers
                    .get("grpc-status")
                    .map(|value| value.to_str().unwrap().to_owned());
                seen.grpc_status = status;
            }
            Err(error) => {
                let rejected = rejection(error);
                seen.cut = Some(rejected.reason());
            }
        }
    }
}

fn rejection(error: impl Into<BoxError>) -> Rejected {
    let error = error.into();
    find_rejection(&*error).expect("a body that is cut holds the refusal")
}
