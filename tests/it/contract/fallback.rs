//! A fallback chain: readiness is part of its calls, so of the contract the drops at every point, and the hammer.

use std::future::poll_fn;
use std::task::Poll;

use buttress_core::{Error, Name, Reason, Rejectable, Rejected, WidenLayer};
use buttress_fallback::{FallbackChain, Source};
use buttress_http::{HttpExt, LevelBody, Replayed, respond, respond_grpc};
use buttress_testkit::{ProbeError, Testable, cancel_matrix};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;
use tokio::runtime::Builder;

use super::hammered;
use super::subjects::http_subject;

type Sent = Request<Replayed<Empty<Bytes>>>;
type Chain<E> = FallbackChain<Sent, Response<LevelBody>, Error<E>>;

/// Two levels for one call each, which suspend once and refuse.
fn chain<E: std::error::Error + 'static>() -> Chain<E> {
    let level = || {
        Source::function(|_: Sent| {
            let mut waited = false;
            poll_fn(move |cx| {
                if !std::mem::replace(&mut waited, true) {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                let full = Rejected::new(Reason::Overloaded, Name::new("below"));
                Poll::Ready(Err(Error::reject(full)))
            })
        })
    };
    let builder = FallbackChain::builder("contract").replica(level().limit(1));
    builder.backup(level().limit(1)).build()
}

/// How many calls, and bytes of requests, a chain holds.
fn held<E>(chain: &Chain<E>) -> usize {
    let snapshot = chain.snapshot();
    let calls = snapshot
        .levels
        .iter()
        .map(|level| level.active_calls as usize);
    calls.sum::<usize>() + snapshot.kept_bytes
}

/// The layers around HTTP calls, over a chain that holds nothing once no call is open.
macro_rules! subject {
    ($error:ty, |$chain:ident| $layers:expr) => {
        || {
            let $chain = chain::<$error>();
            let watched = $chain.clone();
            http_subject($layers).conserves("levels", move || held(&watched))
        }
    };
}

fn loses_nothing<X: Testable<Service: Clone>>(fixture: impl Fn() -> X) {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let _time = runtime.enter();
    let report = cancel_matrix(&fixture);
    let ways = report.endings;
    assert!(ways.answered > 0 && ways.panicked > 0, "{report}");
    assert!(
        ways.dropped_unpolled > 0 && ways.dropped_running > 0,
        "{report}"
    );
}

// proves: A-1, FC-4
#[test]
fn nothing_is_lost_wherever_a_call_is_dropped() {
    loses_nothing(subject!(ProbeError, |chain| (
        chain.layer().http(),
        WidenLayer
    )));
    loses_nothing(subject!(ProbeError, |chain| (
        chain.layer().grpc(),
        WidenLayer
    )));
    loses_nothing(subject!(ProbeError, |chain| respond(chain.layer())));
    loses_nothing(subject!(ProbeError, |chain| respond_grpc(chain.layer())));
}

// proves: A-1
#[test]
fn nothing_is_lost_under_the_hammer() {
    let report = hammered(subject!(ProbeError, |chain| (
        chain.layer().http(),
        WidenLayer
    ))());
    assert!(report.inner_calls > 0, "{report}");
}
