//! The chain, and what a caller makes of it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use axum::body::Bytes;
use buttress::core::ServedBy;
use buttress::fallback::Snapshot;
use buttress::http::{
    Commit, FallbackBody, HttpExt, LevelBody, Replayed, ServerSentEvent, by_event, commit_at, level,
};
use buttress::{Error, FallbackChain, Source, Verdict, WidenLayer};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::TokioExecutor;
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceBuilder, ServiceExt};

use crate::provider::{Provider, words};

type Asked = Request<Replayed<Full<Bytes>>>;
type Failure = Error<legacy::Error>;
type Answers = Response<FallbackBody<LevelBody>>;

/// Three providers, the next of which is asked where one fails.
pub(crate) struct Models {
    chain: FallbackChain<Asked, Response<LevelBody>, Failure>,
    service: BoxCloneSyncService<Request<Full<Bytes>>, Answers, Failure>,
}

/// What became of a question.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) level: &'static str,
    pub(crate) text: String,
    /// Whether the stream came to its end.
    pub(crate) whole: bool,
}

impl Models {
    pub(crate) fn new([first, second, third]: &[Provider; 3]) -> Self {
        let chain = FallbackChain::builder("models")
            .replica(Source::service(provider(second.address)))
            .backup(Source::service(provider(third.address)))
            // Where our quota is spent another provider's may not be.
            .moves_on(|verdict| {
                matches!(
                    verdict,
                    Verdict::Failure | Verdict::Overloaded { .. } | Verdict::Throttled { .. }
                )
            })
            .primary_time(Duration::from_secs(30))
            // Questions are long: with the usual 64 KiB one that is longer could not be asked again.
            .body_limit(1024 * 1024)
            .build();
        let service = ServiceBuilder::new()
            .layer(chain.layer().http())
            .service(provider(first.address));
        let service = BoxCloneSyncService::new(service);
        Self { chain, service }
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.chain.snapshot()
    }

    pub(crate) async fn ask(&self, question: &'static str) -> Result<Answer> {
        let request = Request::post("/v1/messages").body(Full::from(question))?;
        let answer = self.service.clone().oneshot(request).await?;
        let by = answer.extensions().get::<ServedBy>();
        let level = by.map_or("primary", |by| by.level.as_str());
        let mut body = answer.into_body();
        let (mut events, mut whole) = (String::new(), true);
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => {
                    let data = frame.into_data().unwrap_or_default();
                    events.push_str(&String::from_utf8_lossy(&data));
                }
                Err(_) => whole = false,
            }
        }
        let text = words(&events);
        Ok(Answer { level, text, whole })
    }
}

/// A client of a provider, whose answers are held until their first word.
fn provider(
    address: SocketAddr,
) -> impl Service<Asked, Response = Response<LevelBody>, Error = Failure, Future: Send>
+ Clone
+ Send
+ Sync
+ 'static {
    let client: Client<HttpConnector, Replayed<Full<Bytes>>> =
        Client::builder(TokioExecutor::new()).build_http();
    let service = ServiceBuilder::new()
        .layer(commit_at(by_event(first_word)))
        .layer(WidenLayer)
        .map_request(move |mut request: Asked| {
            let path = request.uri().path();
            *request.uri_mut() = format!("http://{address}{path}")
                .parse()
                .unwrap_or_default();
            request
        })
        .service(client);
    level(service)
}

/// Pings and the start of a message are no words; an error before the first is one of the provider's.
fn first_word(event: ServerSentEvent<'_>) -> Commit {
    match event.name() {
        b"error" => Commit::Fail,
        b"content_block_delta" => Commit::Pass,
        _ => Commit::Hold,
    }
}
