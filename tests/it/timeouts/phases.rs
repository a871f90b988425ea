//! Each limit alone, over HTTP and gRPC, on paused time.

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use buttress_core::{Deadline, Reason, WidenLayer};
use buttress_http::{HttpExt, respond};
use buttress_timeout::{AdaptiveTimeout, AdaptiveTimeoutBuilder, Event, Phase};
use http::{Request, Response};
use http_body_util::BodyExt;
use tokio::time::{Instant, sleep};
use tower::{Layer, ServiceExt, service_fn};

use super::script::{Boxed, Script, Seen, a_second_each, read};
use super::{MS, SECOND};

/// No limit at all.
fn unlimited() -> AdaptiveTimeoutBuilder {
    let builder = AdaptiveTimeout::builder("phases").no_total();
    builder.read(Duration::MAX).first_byte(Duration::MAX)
}

fn request(deadline: Option<Deadline>) -> Request<()> {
    let mut request = Request::new(());
    deadline.map(|deadline| request.extensions_mut().insert(deadline));
    request
}

macro_rules! through {
    ($layer:expr, $script:expr, $deadline:expr) => {{
        let script: Script = $script;
        let service = service_fn(move |request: Request<()>| script.clone().play(request));
        read(($layer, WidenLayer).layer(service), request($deadline)).await
    }};
}

// proves: AT-7
#[tokio::test(start_paused = true)]
async fn head_first_byte_idle_and_total_are_limits_of_their_own() {
    let short = 100 * MS;
    for fixed in [true, false] {
        for (builder, cut_at, pieces, phase) in [
            (unlimited(), None, 3, Phase::Head),
            (unlimited().head(short), Some(short), 0, Phase::Head),
            (
                unlimited().first_byte(short),
                Some(SECOND + short),
                0,
                Phase::FirstByte,
            ),
            (
                unlimited().idle(short),
                Some(2 * SECOND + short),
                1,
                Phase::Idle,
            ),
            (unlimited().total(500 * MS), Some(500 * MS), 0, Phase::Total),
            (
                unlimited().total(1500 * MS),
                Some(1500 * MS),
                0,
                Phase::Total,
            ),
            (
                unlimited().total(3500 * MS),
                Some(3500 * MS),
                2,
                Phase::Total,
            ),
            // Long enough for its own phase, and for nothing else.
            (unlimited().head(1001 * MS), None, 3, Phase::Head),
            (unlimited().first_byte(1001 * MS), None, 3, Phase::Head),
            (unlimited().idle(1001 * MS), None, 3, Phase::Head),
            (unlimited().total(4001 * MS), None, 3, Phase::Head),
        ] {
            let events = Arc::new(Mutex::new(Vec::new()));
            let told = Arc::clone(&events);
            let builder = builder.observer(move |event: &Event| told.lock().unwrap().push(*event));
            let timeout = if fixed { builder.fixed() } else { builder }.build();
            let seen = through!(timeout.layer().http(), a_second_each(), None);
            let expected =
                cut_at.map_or_else(Seen::whole, |at| Seen::cut(Reason::TimedOut, at, pieces));
            assert_eq!(seen, expected, "{phase:?}");
            let told: Vec<_> = std::mem::take(&mut *events.lock().unwrap());
            match told[..] {
                [] => assert_eq!(cut_at, None),
                [Event::Cut { phase: said, .. }] => assert_eq!(said, phase),
                _ => panic!("{told:?}"),
            }
            assert_eq!(timeout.snapshot().timed_out, u64::from(cut_at.is_some()));
            // What is learned is the time to the head.
            assert_eq!(timeout.snapshot().samples, u64::from(!fixed));
        }
    }
}

/// The first piece has as long as the others where nobody said otherwise.
#[tokio::test(start_paused = true)]
async fn the_first_byte_is_limited_as_the_pauses_are() {
    let timeout = AdaptiveTimeout::builder("idle")
        .no_total()
        .idle(100 * MS)
        .build();
    let seen = through!(timeout.layer().http(), a_second_each(), None);
    assert_eq!(seen, Seen::cut(Reason::TimedOut, 1100 * MS, 0));
}

// proves: AT-7
#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_no_slow_answer() {
    for fixed in [true, false] {
        let builder = unlimited().first_byte(100 * MS).idle(100 * MS);
        let timeout = if fixed { builder.fixed() } else { builder }.build();
        let mut script = a_second_each();
        script.pieces = vec![1010 * MS, 1020 * MS, 1030 * MS];
        script.end = Some(1040 * MS);
        let service = service_fn(move |request: Request<()>| script.clone().play(request));
        let service = (timeout.layer().http(), WidenLayer).layer(service);
        let body = service.oneshot(Request::new(())).await.unwrap().into_body();
        let mut body = pin!(body);
        for _ in 0..3 {
            sleep(3600 * SECOND).await;
            let started = Instant::now();
            assert!(body.frame().await.unwrap().unwrap().is_data());
            assert_eq!(started.elapsed(), Duration::ZERO);
        }
        sleep(3600 * SECOND).await;
        assert!(body.frame().await.is_none());
    }
}

/// With the reader waiting from the beginning on, and gone in between.
#[tokio::test(start_paused = true)]
async fn a_reader_who_asks_leaves_and_comes_back_finds_what_came_meanwhile() {
    let timeout = unlimited().idle(100 * MS).first_byte(100 * MS).build();
    let mut script = a_second_each();
    script.pieces = vec![1050 * MS, 2100 * MS];
    script.end = None;
    let service = service_fn(move |request: Request<()>| script.clone().play(request));
    let service = (timeout.layer().http(), WidenLayer).layer(service);
    let body = service.oneshot(Request::new(())).await.unwrap().into_body();
    let mut body = pin!(body);
    for wait in [49 * MS, 19 * MS] {
        assert!(tokio::time::timeout(wait, body.frame()).await.is_err());
        sleep(SECOND).await;
        assert!(body.frame().await.unwrap().is_ok());
    }
    let started = Instant::now();
    body.frame().await.unwrap().unwrap_err();
    assert_eq!(started.elapsed(), 100 * MS);
    assert!(body.frame().await.is_none(), "nothing comes after that");
}

#[tokio::test(start_paused = true)]
async fn a_total_and_a_deadline_that_means_it_spare_streams_and_a_callers_own_does_not() {
    let after = |wait| Some(Deadline::after(Instant::now(), wait));
    let sparing = |wait| after(wait).map(Deadline::sparing_streams);
    let at = 3500 * MS;
    for fixed in [true, false] {
        let timeout =
            |builder: AdaptiveTimeoutBuilder| if fixed { builder.fixed() } else { builder }.build();
        let limited = timeout(unlimited().total(at)).layer().http();
        let free = timeout(unlimited()).layer().http();
        let events = || a_second_each().events();
        assert_eq!(through!(limited.clone(), events(), None), Seen::whole());
        let cut = Seen::cut(Reason::DeadlineExceeded, at, 2);
        assert_eq!(through!(free.clone(), events(), after(at)), cut);
        assert_eq!(through!(free.clone(), events(), sparing(at)), Seen::whole());
        assert_eq!(through!(free.clone(), a_second_each(), after(at)), cut);
        assert_eq!(through!(free.clone(), a_second_each(), sparing(at)), cut);
        // Before its head is there nobody knows that it is one.
        let cut = Seen::cut(Reason::DeadlineExceeded, 500 * MS, 0);
        assert_eq!(through!(free, events(), sparing(500 * MS)), cut);
        let early = timeout(unlimited().total(500 * MS)).layer().http();
        assert_eq!(
            through!(early, events(), None),
            Seen::cut(Reason::TimedOut, 500 * MS, 0)
        );
        // One that falls silent is cut all the same.
        let idle = timeout(unlimited().total(at).idle(100 * MS)).layer().http();
        assert_eq!(
            through!(idle, events(), None),
            Seen::cut(Reason::TimedOut, 2100 * MS, 1)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn over_grpc_a_body_is_a_stream_and_a_cut_is_a_status() {
    let after = |wait| Some(Deadline::after(Instant::now(), wait));
    let answer = || {
        a_second_each()
            .header("content-type", "application/grpc")
            .trailer("grpc-status", "0")
    };
    let ended = |status: &str, at, pieces| Seen {
        has_head: true,
        pieces,
        cut: None,
        at,
        grpc_status: Some(status.to_owned()),
    };
    let limited = unlimited().total(3500 * MS).fixed().build().layer().grpc();
    assert_eq!(through!(limited, answer(), None), ended("0", 4 * SECOND, 3));
    let free = unlimited().fixed().build().layer().grpc();
    assert_eq!(
        through!(free, answer(), after(3500 * MS)),
        ended("4", 3500 * MS, 2)
    );
    let idle = unlimited().idle(100 * MS).build().layer().grpc();
    assert_eq!(through!(idle, answer(), None), ended("4", 2100 * MS, 1));
    let head = unlimited().head(100 * MS).build().layer().grpc();
    assert_eq!(
        through!(head, answer(), None),
        Seen::cut(Reason::TimedOut, 100 * MS, 0)
    );
}

/// What is learned is the time to the head, and cuts nothing after it.
#[tokio::test(start_paused = true)]
async fn what_was_learned_limits_heads_and_no_bodies() {
    let timeout = unlimited().min_samples(1).build();
    let layer = timeout.layer().http();
    for _ in 0..5 {
        assert_eq!(
            through!(layer.clone(), a_second_each(), None),
            Seen::whole()
        );
    }
    let learned = timeout.snapshot().current_timeout;
    assert!((1400 * MS..1600 * MS).contains(&learned), "{learned:?}");
    let mut late = a_second_each();
    late.head = 3600 * SECOND;
    let seen = through!(layer, late, None);
    assert!(!seen.has_head && seen.at < 10 * SECOND, "{seen:?}");
}

/// Over `until_headers` only the head is.
#[tokio::test(start_paused = true)]
async fn until_headers_leaves_the_body_alone() {
    let builder = unlimited().total(1500 * MS).idle(MS).first_byte(MS);
    let layer = builder.build().layer().http().until_headers();
    assert_eq!(through!(layer, a_second_each(), None), Seen::whole());
}

#[tokio::test(start_paused = true)]
async fn what_is_further_in_finds_the_total_as_a_deadline() {
    type Found = Arc<Mutex<Vec<(Option<(Duration, bool)>, Option<String>)>>>;
    let found = Found::default();
    let told = Arc::clone(&found);
    let inner = service_fn(move |request: Request<()>| {
        let deadline = request.extensions().get::<Deadline>();
        let deadline = deadline.map(|deadline| {
            (
                deadline.remaining(Instant::now()),
                deadline.for_stream().is_none(),
            )
        });
        let header = request.headers().get("x-request-timeout");
        let header = header.map(|value| value.to_str().unwrap().to_owned());
        told.lock().unwrap().push((deadline, header));
        async {
            Ok::<Response<Boxed>, std::io::Error>(Response::new(
                http_body_util::Empty::new()
                    .map_err(|never| match never {})
                    .boxed_unsync(),
            ))
        }
    });
    let timeout = unlimited().total(2500 * MS).fixed().build();
    let soon = Deadline::after(Instant::now(), 700 * MS);
    let client = (timeout.layer().http(), WidenLayer).layer(inner.clone());
    let server = respond((timeout.layer(),)).layer(inner.clone());
    let none = (unlimited().build().layer().http(), WidenLayer).layer(inner);
    client.clone().oneshot(request(None)).await.unwrap();
    client.oneshot(request(Some(soon))).await.unwrap();
    server.clone().oneshot(request(None)).await.unwrap();
    server.oneshot(request(Some(soon))).await.unwrap();
    none.oneshot(request(None)).await.unwrap();
    let (total, caller) = (Some((2500 * MS, true)), Some((700 * MS, false)));
    let header = |ms: &str| Some(ms.to_owned());
    let expected = [
        (total, header("2500")),
        (caller, header("700")),
        (total, None),
        (caller, None),
        (None, None),
    ];
    assert_eq!(*found.lock().unwrap(), expected);
}
