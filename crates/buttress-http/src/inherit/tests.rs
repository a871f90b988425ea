use std::time::Duration;

use buttress_core::Attempt;
use tokio::time::Instant;

use super::*;
use crate::ATTEMPT_HEADER;

/// A request that knows all that there is to know.
fn knowing<R: RequestHead>(mut request: R, deadline: Deadline, priority: Priority) -> R {
    request.extensions_mut().insert(deadline);
    request.extensions_mut().insert(priority);
    request
        .headers_mut()
        .insert(ATTEMPT_HEADER, http::HeaderValue::from_static("3"));
    request
}

fn known(request: &impl RequestHead) -> (Option<Deadline>, Option<Priority>, bool) {
    let extensions = request.extensions();
    (
        extensions.get().copied(),
        extensions.get().copied(),
        context::is_retry(request.headers(), extensions),
    )
}

fn check<A: RequestHead, B: RequestHead>(incoming: impl Fn() -> A, outgoing: impl Fn() -> B) {
    let soon = Deadline::after(Instant::now(), Duration::from_secs(1));
    let later = Deadline::after(Instant::now(), Duration::from_secs(2));
    let (high, low) = (Priority::High, Priority::Low);

    let mut sent = outgoing();
    inherit(&incoming(), &mut sent);
    assert_eq!(known(&sent), (None, None, false));

    inherit(&knowing(incoming(), soon, high), &mut sent);
    assert_eq!(known(&sent), (Some(soon), Some(high), true));
    assert_eq!(sent.headers()[ATTEMPT_HEADER], "1");

    for (own, kept) in [(soon, soon), (later, soon)] {
        let mut sent = knowing(outgoing(), own, low);
        inherit(&knowing(incoming(), soon, high), &mut sent);
        assert_eq!(known(&sent), (Some(kept), Some(low), true));
        inherit(&incoming(), &mut sent);
        assert_eq!(known(&sent), (Some(kept), Some(low), true));
    }
    let mut sent = knowing(outgoing(), soon, low);
    inherit(&knowing(incoming(), later, high), &mut sent);
    assert_eq!(known(&sent), (Some(soon), Some(low), true));
}

fn parts() -> Parts {
    Request::new(()).into_parts().0
}

#[test]
fn what_is_known_is_carried_from_any_request_to_any_other() {
    let http = || Request::new("body");
    check(http, http);
    check(http, parts);
    check(parts, http);
    #[cfg(feature = "tonic")]
    {
        let tonic = || tonic::Request::new("message");
        check(tonic, tonic);
        check(tonic, http);
        check(http, tonic);
        check(parts, tonic);
    }
}

#[test]
fn a_retry_of_a_layer_further_out_is_carried_and_a_first_attempt_is_not() {
    for (index, retry) in [(0, false), (1, true)] {
        let mut incoming = parts();
        incoming.extensions.insert(Attempt {
            index,
            is_last: false,
            previous: None,
        });
        let mut outgoing = parts();
        inherit(&incoming, &mut outgoing);
        assert_eq!(outgoing.headers.contains_key(ATTEMPT_HEADER), retry);
    }
}

#[test]
fn nothing_else_is_carried() {
    let mut incoming = Request::get("/").header("grpc-timeout", "1S").body(());
    let incoming = incoming.as_mut().unwrap();
    incoming.extensions_mut().insert("of the connection");
    let mut outgoing = parts();
    inherit(incoming, &mut outgoing);
    assert!(outgoing.headers.is_empty() && outgoing.extensions.is_empty());
}
