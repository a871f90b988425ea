//! The life of an upstream process: it serves, and ends when its standard input does.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt;
use clap::Args;
use http::{HeaderMap, StatusCode, Uri, header};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::behaviour::{Answer, Asked, Behaviour};
use super::{ATTEMPT_HEADER, CALL_HEADER, UPSTREAM_HEADER, number};
use crate::stage::Class;

/// How often a taken port is tried again, 20 ms apart.
const BIND_AGAIN: u32 = 50;

/// How storm starts an upstream.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Its name, which it puts on each answer
    pub name: String,
    /// Seeds its service times and failures
    #[arg(long)]
    pub seed: u64,
    /// The port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    pub port: u16,
}

#[derive(Clone)]
struct Service {
    name: &'static str,
    seed: u64,
    behaviour: watch::Receiver<Behaviour>,
}

/// Serves until the parent closes the pipe to our standard input, which it does however it ends.
pub fn serve(options: Options) -> anyhow::Result<()> {
    let (commands, behaviour) = watch::channel(Behaviour::Calm);
    thread::spawn(move || obey_and_exit(&commands));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let service = Service {
        name: options.name.leak(),
        seed: options.seed,
        behaviour,
    };
    runtime.block_on(listen(options.port, service))
}

/// Follows one command a line. A thread of its own, so that nothing else can keep it from the end.
fn obey_and_exit(commands: &watch::Sender<Behaviour>) {
    for line in io::stdin().lines().map_while(Result::ok) {
        if let Ok(behaviour) = line.parse() {
            commands.send_replace(behaviour);
        }
    }
    process::exit(0);
}

async fn listen(port: u16, service: Service) -> anyhow::Result<()> {
    // A terminal sends Ctrl-C to the whole group; the parent alone decides when we end.
    tokio::spawn(async { while tokio::signal::ctrl_c().await.is_ok() {} });
    let listener = bind(port)
        .await
        .with_context(|| format!("cannot listen on port {port}"))?;
    announce(listener.local_addr()?)?;
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    let app = Router::new().fallback(answer).with_state(service);
    Ok(axum::serve(listener, app).await?)
}

/// Takes the port. When we come back to one that a passing connection uses just now, we wait for it.
async fn bind(port: u16) -> io::Result<TcpListener> {
    let mut bound = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    for _ in 0..BIND_AGAIN {
        if bound.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        bound = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    }
    bound
}

/// Tells the parent where we listen: from this line on, the port accepts.
fn announce(address: SocketAddr) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{address}")?;
    out.flush()
}

async fn answer(State(service): State<Service>, uri: Uri, headers: HeaderMap) -> Response {
    let Some(call) = number(&headers, CALL_HEADER) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let asked = Asked {
        call,
        attempt: number(&headers, ATTEMPT_HEADER).unwrap_or_default(),
        class: Class::of(uri.path()),
    };
    let behaviour = *service.behaviour.borrow();
    match behaviour.answer(service.seed, asked) {
        Answer::Never => std::future::pending().await,
        Answer::After(time, status) => {
            tokio::time::sleep(time).await;
            respond(service.name, uri.query(), status)
        }
    }
}

/// What is known of the item that was asked for: the same for everybody, so it may be kept.
fn respond(name: &'static str, asked: Option<&str>, status: StatusCode) -> Response {
    let item = asked.and_then(|query| query.strip_prefix("item="));
    let item: Option<u32> = item.and_then(|item| item.parse().ok());
    let body = serde_json::json!({ "from": name, "item": item }).to_string();
    let headers = [
        (UPSTREAM_HEADER, name),
        (header::CONTENT_TYPE.as_str(), "application/json"),
    ];
    (status, headers, body).into_response()
}
