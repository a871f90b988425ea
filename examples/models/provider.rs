//! A fake provider: an HTTP server that streams events.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures_util::{StreamExt, stream};
use http::StatusCode;
use tokio::net::TcpListener;

/// What a provider does with a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Says {
    /// Answers.
    Words,
    /// 429, and when the quota is there again.
    NoQuota,
    /// 529.
    Overloaded,
    /// 200, and an error as its first event.
    ErrorFirst,
    /// 200, and the connection breaks before a word was said.
    BreaksFirst,
    /// It breaks after the first.
    BreaksLater,
}

/// A provider that runs, until the program ends.
#[derive(Clone)]
pub(crate) struct Provider {
    pub(crate) address: SocketAddr,
    says: Arc<Mutex<Says>>,
    asked: Arc<AtomicU32>,
}

impl Provider {
    pub(crate) async fn start(name: &'static str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let provider = Self {
            address: listener.local_addr()?,
            says: Arc::new(Mutex::new(Says::Words)),
            asked: Arc::default(),
        };
        let of = provider.clone();
        let answer = async move |_question: Bytes| of.answer(name);
        let app = Router::new().route("/v1/messages", post(answer));
        tokio::spawn(async { axum::serve(listener, app).await });
        Ok(provider)
    }

    pub(crate) fn now(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }

    /// How often it was asked.
    #[cfg(test)]
    pub(crate) fn asked(&self) -> u32 {
        self.asked.load(SeqCst)
    }

    fn answer(&self, name: &'static str) -> Response {
        self.asked.fetch_add(1, SeqCst);
        let ping = || Ok("event: message_start\ndata: {}\n\n: ping\n\n".to_owned());
        let word = |word: &str| Ok(format!("event: content_block_delta\ndata: {word}\n\n"));
        let broken = || Err(io::Error::other("broken"));
        let events: Vec<Result<String, io::Error>> = match *self.says.lock().unwrap() {
            Says::NoQuota => {
                let headers = [
                    ("retry-after", "20"),
                    ("x-ratelimit-remaining-requests", "0"),
                    ("x-ratelimit-reset-requests", "20s"),
                ];
                return (StatusCode::TOO_MANY_REQUESTS, headers, "rate_limit_error")
                    .into_response();
            }
            Says::Overloaded => {
                let status = StatusCode::from_u16(529).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
                return (status, "overloaded_error").into_response();
            }
            Says::Words => vec![ping(), word(name), word("says"), word("so")],
            Says::ErrorFirst => {
                vec![
                    ping(),
                    Ok("event: error\ndata: overloaded_error\n\n".to_owned()),
                ]
            }
            Says::BreaksFirst => vec![ping(), broken()],
            Says::BreaksLater => vec![ping(), word(name), broken()],
        };
        let events = stream::iter(events).then(|event| async {
            // Words take their time.
            tokio::time::sleep(Duration::from_millis(5)).await;
            event
        });
        let headers = [("content-type", "text/event-stream")];
        (headers, Body::from_stream(events)).into_response()
    }
}

/// The words of a stream of events.
pub(crate) fn words(events: &str) -> String {
    let content = events
        .split("\n\n")
        .filter(|event| event.contains("content_block_delta"));
    let words = content.filter_map(|event| event.split("data: ").nth(1));
    words.collect::<Vec<_>>().join(" ")
}
