//! A gate that records how each of its calls ended, and sockets to run it over.

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use buttress_core::{
    Adopt, Chosen, Gate, Guarded, Name, Plain, Reason, Reclassify, Rejected, Settle, Verdict,
};
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tower::{Layer, Service};

pub(crate) const NAME: Name = Name::new("secret-component");

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Ending {
    Settled(Verdict),
    Dropped,
}

pub(crate) const SUCCESS: Ending = Ending::Settled(Verdict::Success);
pub(crate) const FAILURE: Ending = Ending::Settled(Verdict::Failure);

/// The endings, in the order in which they came.
pub(crate) struct Ledger(UnboundedReceiver<Ending>);

impl Ledger {
    /// The next ending; waits for it, but not for long.
    pub(crate) async fn next(&mut self) -> Ending {
        let ending = tokio::time::timeout(Duration::from_secs(10), self.0.recv());
        ending
            .await
            .expect("a call has not ended")
            .expect("the gate is gone")
    }

    /// That no call has ended so far.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[derive(Clone)]
pub(crate) struct Recorder {
    endings: UnboundedSender<Ending>,
    refuses: Option<Rejected>,
}

pub(crate) struct Permit(Option<UnboundedSender<Ending>>);

impl Settle for Permit {
    fn settle(mut self, verdict: Verdict) {
        self.0.take().unwrap().send(Ending::Settled(verdict)).ok();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(endings) = self.0.take() {
            endings.send(Ending::Dropped).ok();
        }
    }
}

impl<Req, P> Gate<Req, P> for Recorder {
    type Permit = Permit;

    fn admit(&self, _: &Req, _: &P) -> Result<Permit, Rejected> {
        self.refuses
            .map_or_else(|| Ok(Permit(Some(self.endings.clone()))), Err)
    }
}

/// A layer as layer crates write them.
#[derive(Clone)]
pub(crate) struct RecorderLayer<P = Plain> {
    gate: Recorder,
    protocol: P,
}

/// A gate that lets everything in, and the ledger of what it lets in.
pub(crate) fn recorder() -> (RecorderLayer, Ledger) {
    let (endings, ledger) = unbounded_channel();
    let gate = Recorder {
        endings,
        refuses: None,
    };
    (
        RecorderLayer {
            gate,
            protocol: Plain::new(),
        },
        Ledger(ledger),
    )
}

/// A gate that lets nothing in.
pub(crate) fn refuser(reason: Reason, retry_after: Option<Duration>) -> RecorderLayer {
    let rejected = Rejected::new(reason, NAME);
    let rejected = retry_after.map_or(rejected, |wait| rejected.with_retry_after(wait));
    let gate = Recorder {
        endings: unbounded_channel().0,
        refuses: Some(rejected),
    };
    RecorderLayer {
        gate,
        protocol: Plain::new(),
    }
}

impl<P: Reclassify> RecorderLayer<P> {
    pub(crate) fn classify<C>(self, classifier: C) -> RecorderLayer<P::With<Chosen<C>>> {
        let protocol = self.protocol.with(Chosen::new(classifier));
        RecorderLayer {
            gate: self.gate,
            protocol,
        }
    }
}

impl<P: Adopt<Q>, Q> Adopt<Q> for RecorderLayer<P> {
    type Adopted = RecorderLayer<P::Adopted>;

    fn adopt(self, protocol: Q) -> Self::Adopted {
        RecorderLayer {
            gate: self.gate,
            protocol: self.protocol.adopt(protocol),
        }
    }
}

impl<S, P: Clone> Layer<S> for RecorderLayer<P> {
    type Service = Guarded<S, Recorder, P>;

    fn layer(&self, inner: S) -> Self::Service {
        Guarded::new(inner, self.gate.clone(), self.protocol.clone())
    }
}

/// Runs a future beside the test.
pub(crate) fn spawn<F>(future: F) -> tokio::task::JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    #[expect(clippy::disallowed_methods, reason = "the test is no layer")]
    tokio::spawn(future)
}

/// Serves every connection to a fresh port with `service`, over HTTP/1, as hyper's own examples do.
pub(crate) async fn serve_hyper<S, B>(service: S) -> std::net::SocketAddr
where
    S: Service<Request<Incoming>, Response = http::Response<B>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
    B: http_body::Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
    B: Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = hyper_util::service::TowerToHyperService::new(service.clone());
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            spawn(async move { drop(connection.await) });
        }
    });
    address
}
