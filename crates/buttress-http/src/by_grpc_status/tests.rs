use buttress_core::{Name, Reason, Rejected};

use super::*;
use crate::code::GRPC_STATUS;

fn carrying(code: Code, pushback: Option<&str>) -> HeaderMap {
    let mut headers = HeaderMap::from_iter([(GRPC_STATUS, code.into())]);
    if let Some(value) = pushback {
        headers.insert(PUSHBACK, value.parse().unwrap());
    }
    headers
}

/// What a trailers-only head and real trailers say; they must agree.
fn judge(headers: &HeaderMap) -> (Verdict, Again) {
    let mut response = Response::new(());
    *response.headers_mut() = headers.clone();
    let head: Result<_, &Rejected> = Ok(&response);
    let judged = (ByGrpcStatus.classify(head), ByGrpcStatus.again(head));
    let trailers = Ok(headers);
    assert_eq!(
        judged,
        (
            ByGrpcStatus.classify(trailers),
            ByGrpcStatus.again(trailers)
        )
    );
    judged
}

#[test]
fn every_code_says_what_the_table_says() {
    use Code::*;

    for code in Code::ALL {
        let expected = match code {
            Unavailable => (Verdict::Failure, Again::Yes),
            ResourceExhausted => (Verdict::Throttled { retry_after: None }, Again::No),
            Unknown | Internal | DataLoss | DeadlineExceeded => (Verdict::Failure, Again::No),
            Cancelled | Aborted => (Verdict::Neutral, Again::No),
            _ => (Verdict::Success, Again::No),
        };
        assert_eq!(judge(&carrying(code, None)), expected, "{code:?}");
    }
}

#[test]
fn a_pushback_is_a_hint_or_forbids_another_try() {
    let hint = Some(Duration::from_millis(250));
    let throttled = |retry_after| Verdict::Throttled { retry_after };
    for (value, retry_after, exhausted, unavailable) in [
        ("250", hint, Again::Later(hint), Again::Later(hint)),
        (
            "0",
            Some(Duration::ZERO),
            Again::Later(Some(Duration::ZERO)),
            Again::Later(Some(Duration::ZERO)),
        ),
        ("-1", None, Again::No, Again::No),
        ("", None, Again::No, Again::No),
        ("soon", None, Again::No, Again::No),
        ("1.5", None, Again::No, Again::No),
        ("31536000001", None, Again::No, Again::No),
        ("99999999999999999999", None, Again::No, Again::No),
    ] {
        let expected = (throttled(retry_after), exhausted);
        assert_eq!(
            judge(&carrying(Code::ResourceExhausted, Some(value))),
            expected,
            "{value:?}"
        );
        let expected = (Verdict::Failure, unavailable);
        assert_eq!(
            judge(&carrying(Code::Unavailable, Some(value))),
            expected,
            "{value:?}"
        );
        let expected = (Verdict::Success, Again::No);
        assert_eq!(
            judge(&carrying(Code::NotFound, Some(value))),
            expected,
            "{value:?}"
        );
    }
}

#[test]
fn a_retry_info_is_a_pushback_where_there_is_no_other() {
    let with = |code, pushback, delay| {
        let mut headers = carrying(code, pushback);
        let details = retry_info::status(code, "", delay);
        let details = retry_info::header(&details).unwrap();
        headers.insert(retry_info::DETAILS, details);
        judge(&headers)
    };
    let hint = Some(Duration::from_millis(250));
    let exhausted = |retry_after, again| (Verdict::Throttled { retry_after }, again);
    for (pushback, delay, retry_after, again) in [
        (None, Duration::from_millis(250), hint, Again::Later(hint)),
        (
            Some("250"),
            Duration::from_secs(9),
            hint,
            Again::Later(hint),
        ),
        (Some("-1"), Duration::from_secs(9), None, Again::No),
        // Longer than anyone would mean.
        (None, Duration::from_secs(366 * 24 * 3600), None, Again::No),
    ] {
        let judged = with(Code::ResourceExhausted, pushback, delay);
        assert_eq!(judged, exhausted(retry_after, again));
        let judged = with(Code::Unavailable, pushback, delay);
        assert_eq!(judged, (Verdict::Failure, again));
    }
    let mut headers = carrying(Code::Unavailable, None);
    headers.insert(retry_info::DETAILS, "nonsense".parse().unwrap());
    assert_eq!(judge(&headers), (Verdict::Failure, Again::Yes));
}

#[test]
fn an_answer_without_a_code_is_judged_by_its_http_status() {
    for (status, expected) in [
        // Its trailers will say.
        (200, (Verdict::Success, Again::No)),
        (400, (Verdict::Failure, Again::No)),
        (401, (Verdict::Success, Again::No)),
        (404, (Verdict::Success, Again::No)),
        (429, (Verdict::Failure, Again::Yes)),
        (500, (Verdict::Failure, Again::No)),
        (503, (Verdict::Failure, Again::Yes)),
    ] {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        let head: Result<_, &Rejected> = Ok(&response);
        let judged = (ByGrpcStatus.classify(head), ByGrpcStatus.again(head));
        assert_eq!(judged, expected, "{status}");
    }
}

#[test]
fn a_rendered_refusal_of_ours_says_what_its_reason_says() {
    let failing = by_code(|_| Verdict::Failure);
    for reason in Reason::ALL {
        let mut response = Response::new(());
        *response.headers_mut() = carrying(reason.into(), None);
        response
            .extensions_mut()
            .insert(Rejected::new(reason, Name::new("inner")));
        let head: Result<_, &Rejected> = Ok(&response);
        let expected = (reason.verdict(), reason.again());
        assert_eq!(
            (ByGrpcStatus.classify(head), ByGrpcStatus.again(head)),
            expected,
            "{reason}"
        );
        assert_eq!(
            (failing.classify(head), failing.again(head)),
            expected,
            "{reason}"
        );
    }
}

#[test]
fn trailers_without_a_code_are_unknown() {
    let trailers = HeaderMap::new();
    let trailers = Ok(&trailers);
    assert_eq!(ByGrpcStatus.classify(trailers), Verdict::Failure);
    let seen = by_code(|code| {
        if code == Code::Unknown {
            Verdict::Neutral
        } else {
            Verdict::Success
        }
    });
    assert_eq!(seen.classify(trailers), Verdict::Neutral);
}

#[test]
fn a_refusal_rendered_without_a_code_is_decided_at_its_head() {
    let mut response = Response::new(());
    let rejected = Rejected::new(Reason::Unavailable, Name::new("inner"));
    assert!(!is_decided(Head::of(&response)));
    response.extensions_mut().insert(rejected);
    assert!(is_decided(Head::of(&response)));
}

#[test]
fn a_code_with_a_sign_is_no_code() {
    for value in ["+0", "-0", " 0", "0 ", "", "1e0", "99999999999999999999"] {
        let mut headers = HeaderMap::new();
        headers.insert(GRPC_STATUS, value.parse().unwrap());
        assert_eq!(Code::in_headers(&headers), Some(Code::Unknown), "{value:?}");
    }
}
