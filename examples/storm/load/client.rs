//! The generator's own client: one per gateway, with connections enough and a limit on patience.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::arrivals::Arrival;
use super::call::{Call, Outcome};
use crate::attempts::Tally;
use crate::clients::CLIENT_HEADER;
use crate::stage::{Class, Side};
use crate::upstream::CALL_HEADER;

/// A call without an answer by then has failed, so the run ends by itself.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Who looks around leaves sooner.
const PATIENCE_OF_BROWSE: Duration = Duration::from_secs(2);

/// Connections to one gateway, more than calls are ever inside and waiting before it. A call that
/// finds none free waits, and its latency tells.
const CONNECTIONS: usize = 2_048;

/// Sends calls to one gateway.
#[derive(Debug)]
pub struct Client {
    side: Side,
    gateway: SocketAddr,
    http: legacy::Client<HttpConnector, Empty<Bytes>>,
    connections: Semaphore,
    /// How often the gateway has sent each call on.
    tally: Tally,
}

impl Client {
    pub fn new(side: Side, gateway: SocketAddr, tally: Tally) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let http = legacy::Client::builder(TokioExecutor::new()).build(connector);
        Self {
            side,
            gateway,
            http,
            connections: Semaphore::new(CONNECTIONS),
            tally,
        }
    }

    /// Sends one call and waits for the last byte of its answer.
    pub async fn call(&self, arrival: Arrival, due: Instant) -> Call {
        let late = due.elapsed();
        let answer = timeout_at(due + patience(arrival.class), self.exchange(arrival)).await;
        let outcome = answer.ok().and_then(Result::ok).unwrap_or(Outcome::Failed);
        Call {
            side: self.side,
            upstream: arrival.upstream,
            class: arrival.class,
            caller: arrival.caller,
            due: arrival.due,
            late,
            latency: due.elapsed(),
            outcome,
            attempts: self.tally.of(arrival.number),
        }
    }

    async fn exchange(&self, arrival: Arrival) -> anyhow::Result<Outcome> {
        let _connection = self.connections.acquire().await?;
        let request = Request::get(format!(
            "http://{}{}?item={}",
            self.gateway,
            arrival.class.path(arrival.upstream),
            arrival.item
        ))
        .header(CALL_HEADER, arrival.number)
        .header(CLIENT_HEADER, arrival.caller.to_string())
        .body(Empty::new())?;
        let (head, body) = self.http.request(request).await?.into_parts();
        body.collect().await?;
        Ok(Outcome::of(head.status, &head.headers))
    }
}

/// How long a caller waits for an answer before it goes away.
const fn patience(class: Class) -> Duration {
    match class {
        Class::Checkout | Class::Rest => PATIENCE,
        Class::Browse => PATIENCE_OF_BROWSE,
    }
}
