use std::sync::Arc;

use super::*;

fn asking(headers: &[(&'static str, &'static str)]) -> Asking {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, HeaderValue::from_static(value));
    }
    Asking {
        variant: Some(Arc::new(map)),
        ..Asking::default()
    }
}

// proves: FC-7
#[test]
fn a_small_header_does_not_hold_on_to_the_buffer_that_it_came_in() {
    let buffer = Bytes::from(vec![b'x'; 100_000]);
    let small = HeaderValue::from_maybe_shared(buffer.slice(..10)).unwrap();
    let mut answer = Response::new(());
    answer.headers_mut().insert("x-small", small);
    let kept = KeptAnswer::head_of(&answer, &Asking::default());
    drop(answer);
    assert_eq!(kept.headers()["x-small"], "xxxxxxxxxx");
    assert!(buffer.is_unique(), "nobody else holds it");
    assert!(kept.bytes() < 2000, "{}", kept.bytes());
}

// proves: FC-8
#[test]
fn headers_of_the_connection_are_not_kept() {
    let answer = Response::builder()
        .header("connection", "close, X-Hop")
        .header("x-hop", "1")
        .header("keep-alive", "timeout=5")
        .header("proxy-authenticate", "Basic")
        .header("age", "5")
        .header("x-degraded-mode", "false")
        .header("x-end", "2")
        .body(())
        .unwrap();
    let kept = KeptAnswer::head_of(&answer, &Asking::default());
    let names: Vec<_> = kept.headers().keys().collect();
    assert_eq!(names, ["x-end"]);
}

// proves: FC-8
#[test]
fn an_answer_fits_a_request_that_says_the_same_of_what_it_varies_with() {
    let answer = Response::builder()
        .header("vary", "accept-language, Accept")
        .body(())
        .unwrap();
    let first = asking(&[("accept", "text/plain"), ("x-other", "1")]);
    let kept = KeptAnswer::head_of(&answer, &first);
    assert!(kept.fits(&first));
    for (headers, fits) in [
        (&[("accept", "text/plain"), ("x-other", "2")] as &[_], true),
        (&[("accept", "text/html")], false),
        (&[], false),
        (&[("accept", "text/plain"), ("accept", "text/html")], false),
        (
            &[("accept", "text/plain"), ("accept-language", "en")],
            false,
        ),
    ] {
        assert_eq!(kept.fits(&asking(headers)), fits, "{headers:?}");
    }
}

// proves: FC-8
#[test]
fn what_is_of_one_client_is_not_kept() {
    let mut answer = Response::new(());
    for name in [
        "ratelimit",
        "ratelimit-policy",
        "x-ratelimit-remaining",
        "retry-after",
        "x-shop",
    ] {
        answer
            .headers_mut()
            .insert(name, HeaderValue::from_static("1"));
    }
    let mut kept = KeptAnswer::head_of(&answer, &Asking::default());
    assert_eq!(kept.headers().keys().collect::<Vec<_>>(), ["x-shop"]);
    let mut trailers = HeaderMap::new();
    trailers.insert(SET_COOKIE, HeaderValue::from_static("a=1"));
    trailers.insert("x-sum", HeaderValue::from_static("7"));
    let before = kept.bytes();
    let more = kept.end(&trailers);
    assert_eq!(kept.bytes(), before + more);
    assert_eq!(kept.trailers.unwrap().keys().collect::<Vec<_>>(), ["x-sum"]);
}
