//! What several timeouts around one another make of one deadline: on paused time.

use buttress_core::{Deadline, Reason, WidenLayer};
use buttress_http::HttpExt;
use buttress_timeout::AdaptiveTimeout;
use http::Request;
use tokio::time::Instant;
use tower::{Layer, service_fn};

use super::script::{Script, Seen, a_second_each, read};
use super::{MS, SECOND};

/// The outer one's total reaches the inner one as a deadline, and spares what streams there, too.
#[tokio::test(start_paused = true)]
async fn the_total_of_an_outer_timeout_spares_streams_inside_as_well() {
    let outer = || {
        AdaptiveTimeout::builder("outer")
            .total(3500 * MS)
            .fixed()
            .build()
            .layer()
    };
    let inner = || AdaptiveTimeout::builder("inner").no_total().build().layer();
    for (script, expected) in [
        (a_second_each().events(), Seen::whole()),
        (a_second_each(), Seen::cut(Reason::TimedOut, 3500 * MS, 2)),
    ] {
        let service = service_fn(move |request: Request<()>| script.clone().play(request));
        let layers = (outer(), inner()).http();
        // Both end in the same moment, and it is ours for the inner one, too.
        let seen = read((layers, WidenLayer).layer(service), Request::new(())).await;
        assert_eq!(seen, expected);
    }
}

/// A firm deadline is not forgotten where a total that spares streams comes first.
#[tokio::test(start_paused = true)]
async fn a_callers_deadline_after_the_total_still_cuts_a_stream() {
    let script: Script = a_second_each().events();
    let service = service_fn(move |request: Request<()>| script.clone().play(request));
    let layers = [500, 2500].map(|extra| {
        let total = SECOND + extra * MS;
        AdaptiveTimeout::builder("each")
            .total(total)
            .fixed()
            .build()
            .layer()
    });
    let mut request = Request::new(());
    let deadline = Deadline::after(Instant::now(), 3500 * MS);
    request.extensions_mut().insert(deadline);
    let seen = read(
        (
            layers[0].clone().http(),
            layers[1].clone().http(),
            WidenLayer,
        )
            .layer(service),
        request,
    )
    .await;
    assert_eq!(seen, Seen::cut(Reason::DeadlineExceeded, 3500 * MS, 2));
}
