use std::time::Duration;

use buttress_core::{Name, Reason};
use http::header::RETRY_AFTER;

use super::*;

const NOW: Option<Duration> = Some(Duration::ZERO);
const SEVEN: Option<Duration> = Some(Duration::from_secs(7));

fn answer(status: u16, retry_after: Option<&str>) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    if let Some(value) = retry_after {
        response
            .headers_mut()
            .insert(RETRY_AFTER, value.parse().unwrap());
    }
    response
}

fn judge(response: &Response<()>) -> (Verdict, Again) {
    let result: Result<_, &Rejected> = Ok(response);
    (ByStatus.classify(result), ByStatus.again(result))
}

#[test]
fn every_status_says_what_the_table_says() {
    let throttled = |retry_after| Verdict::Throttled { retry_after };
    let overloaded = |retry_after| Verdict::Overloaded { retry_after };
    for status in 100..=999 {
        let expected = match status {
            408 | 425 => (Verdict::Neutral, Again::Yes),
            429 => (throttled(None), Again::Later(None)),
            500 | 502 | 503 | 504 => (Verdict::Failure, Again::Yes),
            529 => (overloaded(None), Again::Later(None)),
            501 | 505 => (Verdict::Neutral, Again::No),
            100..=499 => (Verdict::Success, Again::No),
            _ => (Verdict::Failure, Again::No),
        };
        assert_eq!(judge(&answer(status, None)), expected, "{status}");
    }
}

#[test]
fn only_429_503_and_529_hear_retry_after() {
    let throttled = |retry_after| Verdict::Throttled { retry_after };
    let overloaded = |retry_after| Verdict::Overloaded { retry_after };
    for (status, expected) in [
        (200, (Verdict::Success, Again::No)),
        (301, (Verdict::Success, Again::No)),
        (404, (Verdict::Success, Again::No)),
        (408, (Verdict::Neutral, Again::Yes)),
        (429, (throttled(SEVEN), Again::Later(SEVEN))),
        (500, (Verdict::Failure, Again::Yes)),
        (503, (overloaded(SEVEN), Again::Later(SEVEN))),
        (529, (overloaded(SEVEN), Again::Later(SEVEN))),
        (599, (Verdict::Failure, Again::No)),
    ] {
        assert_eq!(judge(&answer(status, Some("7"))), expected, "{status}");
    }
    assert_eq!(
        judge(&answer(503, Some("0"))),
        (overloaded(NOW), Again::Later(NOW))
    );
    assert_eq!(
        judge(&answer(503, Some("soon"))),
        (Verdict::Failure, Again::Yes)
    );
}

#[test]
fn a_service_that_says_whether_to_try_again_is_believed_from_400_on() {
    for (status, hint, told_yes) in [
        (200, None, Again::No),
        (304, None, Again::No),
        (400, None, Again::Yes),
        (409, Some("7"), Again::Later(SEVEN)),
        (429, None, Again::Later(None)),
        (500, None, Again::Yes),
        (501, None, Again::Yes),
        (503, Some("7"), Again::Later(SEVEN)),
    ] {
        for (told, expected) in [("true", told_yes), ("false", Again::No)] {
            let mut response = answer(status, hint);
            let untold = judge(&response).0;
            let headers = response.headers_mut();
            headers.insert("x-should-retry", told.parse().unwrap());
            let turns = untold == Verdict::Success && expected != Again::No;
            let verdict = if turns { Verdict::Neutral } else { untold };
            assert_eq!(judge(&response), (verdict, expected), "{status} {told}");
        }
    }
}

#[test]
fn a_rendered_refusal_of_ours_says_what_its_reason_says() {
    for reason in Reason::ALL {
        let mut response = answer(503, Some("7"));
        response
            .extensions_mut()
            .insert(Rejected::new(reason, Name::new("inner")));
        assert_eq!(
            judge(&response),
            (reason.verdict(), reason.again()),
            "{reason}"
        );
    }
}
