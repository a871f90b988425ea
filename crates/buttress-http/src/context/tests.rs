use buttress_core::{Again, Attempt, Classify, Name, Reason, Rejected, Repeatable, RequestContext};
use http::{Response, StatusCode};

use super::*;
use crate::{Grpc, Http};

fn request(method: &Method) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = method.clone();
    request
}

fn attempt(index: u32) -> Mark {
    Mark::Attempt(Attempt {
        index,
        is_last: false,
        previous: None,
    })
}

#[test]
fn a_post_is_not_repeatable_and_no_answer_says_that_it_was_not_sent() {
    let methods = [
        (Method::GET, true),
        (Method::HEAD, true),
        (Method::OPTIONS, true),
        (Method::TRACE, true),
        (Method::PUT, true),
        (Method::DELETE, true),
        (Method::POST, false),
        (Method::PATCH, false),
        (Method::CONNECT, false),
        (Method::from_bytes(b"PURGE").unwrap(), false),
    ];
    for (method, repeats) in &methods {
        assert_eq!(
            Http::new().repeatable(&request(method)),
            *repeats,
            "{method}"
        );
        assert!(!Grpc::new().repeatable(&request(method)), "{method}");
    }
    for status in 100..600 {
        let mut answer = Response::new(());
        *answer.status_mut() = StatusCode::from_u16(status).unwrap();
        let result: Result<_, &Rejected> = Ok(&answer);
        assert_ne!(Http::new().again(result), Again::NotSent, "{status}");
        assert_ne!(Grpc::new().again(result), Again::NotSent, "{status}");
    }
    let timed_out = Rejected::new(Reason::TimedOut, Name::new("inner"));
    let again = Classify::<Response<()>, _>::again(&Http::new(), Err(&timed_out));
    assert_eq!(again, Again::Yes);
}

#[test]
fn a_key_makes_a_post_repeatable_and_is_left_alone() {
    let mut post = request(&Method::POST);
    post.headers_mut()
        .insert(IDEMPOTENCY_KEY, HeaderValue::from_static(" "));
    assert!(!Http::new().repeatable(&post));
    Http::new().stamp(
        &mut post,
        Mark::IdempotencyKey(0x0123_4567_89ab_cdef_0011_2233_4455_6677),
    );
    let key = "01234567-89ab-4def-8011-223344556677";
    assert_eq!(post.headers()[IDEMPOTENCY_KEY], key);
    assert!(Http::new().repeatable(&post));
    Http::new().stamp(&mut post, Mark::IdempotencyKey(7));
    assert_eq!(post.headers()[IDEMPOTENCY_KEY], key);
}

#[test]
fn a_retry_is_known_further_in_and_in_the_next_tier() {
    let mut sent = request(&Method::GET);
    Http::new().stamp(&mut sent, attempt(0));
    assert!(!Http::new().is_retry(&sent));
    Http::new().stamp(&mut sent, attempt(2));
    assert!(Http::new().is_retry(&sent) && Grpc::new().is_retry(&sent));
    assert!(!sent.headers().contains_key(ATTEMPT_HEADER));
    Http::new().stamp(&mut sent, Mark::Retry(2));
    assert_eq!(sent.headers()[ATTEMPT_HEADER], "2");

    let mut received = request(&Method::GET);
    *received.headers_mut() = sent.headers().clone();
    assert!(Http::new().is_retry(&received));
    // A layer further in that sends its first attempt does not hide it.
    Http::new().stamp(&mut received, attempt(0));
    assert!(Http::new().is_retry(&received));
    for (value, retry) in [
        ("0", false),
        ("", false),
        ("-1", false),
        ("1x", false),
        ("99999999999", true),
    ] {
        let value = HeaderValue::from_static(value);
        let mut received = request(&Method::GET);
        received.headers_mut().insert(ATTEMPT_HEADER, value);
        assert_eq!(Grpc::new().is_retry(&received), retry);
    }
}
