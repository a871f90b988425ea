use buttress_core::Name;

use super::*;
use crate::code::GRPC_STATUS;

const SECRET: Name = Name::new("secret-component");

fn refusal(reason: Reason, wait: Option<Duration>) -> Rejected {
    let rejected = Rejected::new(reason, SECRET);
    wait.map_or(rejected, |wait| rejected.with_retry_after(wait))
}

#[test]
fn every_reason_has_its_status_and_its_problem() {
    for (reason, status, title) in [
        (Reason::Overloaded, 503, "Service Unavailable"),
        (Reason::Unavailable, 503, "Service Unavailable"),
        (Reason::Throttled, 429, "Too Many Requests"),
        (Reason::DeadlineExceeded, 504, "Gateway Timeout"),
        (Reason::TimedOut, 504, "Gateway Timeout"),
        (Reason::Conflict, 409, "Conflict"),
    ] {
        let answer = Problem.render(&refusal(reason, None));
        assert_eq!(answer.status(), status, "{reason}");
        assert_eq!(answer.headers()[CONTENT_TYPE], "application/problem+json");
        assert!(!answer.headers().contains_key(RETRY_AFTER));
        let expected = format!(
            r#"{{"type":"about:blank","title":"{title}","status":{status},"reason":"{reason}"}}"#
        );
        assert_eq!(answer.body(), expected.as_bytes());
    }
}

#[test]
fn a_wait_is_rounded_up_and_never_zero() {
    let nanos = Duration::from_nanos;
    for (wait, seconds, millis) in [
        (Duration::ZERO, "1", "0"),
        (nanos(1), "1", "1"),
        (Duration::from_millis(999), "1", "999"),
        (Duration::from_secs(1), "1", "1000"),
        (nanos(1_000_000_001), "2", "1001"),
        (Duration::from_secs(60), "60", "60000"),
    ] {
        let answer = Problem.render(&refusal(Reason::Unavailable, Some(wait)));
        assert_eq!(answer.headers()[RETRY_AFTER], seconds, "{wait:?}");
        let body = std::str::from_utf8(answer.body()).unwrap();
        assert!(
            body.ends_with(&format!(r#","retry_after_ms":{millis}}}"#)),
            "{body}"
        );
        let answer = GrpcStatus.render(&refusal(Reason::Unavailable, Some(wait)));
        assert_eq!(answer.headers()[PUSHBACK], millis, "{wait:?}");
    }
    assert_eq!(whole_seconds(Duration::MAX), u64::MAX);
    assert_eq!(pushback(Duration::MAX), i32::MAX as u32);
}

#[test]
fn a_grpc_answer_is_a_head_without_a_body() {
    for reason in Reason::ALL {
        let answer = GrpcStatus.render(&refusal(reason, None));
        assert_eq!(answer.status(), 200);
        assert!(answer.body().is_empty());
        assert_eq!(answer.headers().len(), 3);
        assert_eq!(answer.headers()[CONTENT_TYPE], "application/grpc");
        assert_eq!(Code::in_headers(answer.headers()), Some(Code::from(reason)));
        assert!(answer.headers().contains_key(GRPC_STATUS));
        // What percent-encoding leaves as it is.
        let message = answer.headers()["grpc-message"].to_str().unwrap();
        assert!(
            message
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'-'),
            "{message}"
        );
    }
}

#[test]
fn of_a_spent_quota_grpc_libraries_read_when_it_is_there_again() {
    let wait = Duration::from_millis(1200);
    for reason in Reason::ALL {
        let answer = GrpcStatus.render(&refusal(reason, Some(wait)));
        let told = retry_info::in_headers(answer.headers());
        assert_eq!(told, (reason == Reason::Throttled).then_some(wait));
        assert_eq!(answer.headers()[PUSHBACK], "1200");
        let answer = GrpcStatus.render(&refusal(reason, None));
        assert!(!answer.headers().contains_key(DETAILS));
    }
}

#[test]
fn no_answer_tells_who_refused() {
    for reason in Reason::ALL {
        let refused = refusal(reason, Some(Duration::from_secs(3)));
        for answer in [Problem.render(&refused), GrpcStatus.render(&refused)] {
            assert!(
                !format!("{answer:?}").contains(SECRET.as_str()),
                "{answer:?}"
            );
        }
    }
}

#[test]
fn a_closure_renders_with_any_body_that_becomes_bytes() {
    let text = |rejected: &Rejected| Response::new(rejected.reason().to_string());
    assert_eq!(
        text.render(&refusal(Reason::Conflict, None)).body(),
        "conflict"
    );
}

#[cfg(feature = "tonic")]
#[test]
fn tonic_reads_the_status_from_the_head() {
    for reason in Reason::ALL {
        let refused = refusal(reason, Some(Duration::from_millis(1500)));
        let answer = GrpcStatus.render(&refused);
        let status = tonic::Status::from_header_map(answer.headers()).unwrap();
        let expected = tonic::Code::from(i32::from(Code::from(reason).number()));
        assert_eq!(status.code(), expected, "{reason}");
        assert_eq!(status.message(), reason.as_str());
        assert_eq!(status.metadata().get(PUSHBACK.as_str()).unwrap(), "1500");

        let by_hand = tonic::Status::from(crate::Refused(refused));
        assert_eq!(by_hand.details(), status.details());
        assert_eq!(status.details().is_empty(), reason != Reason::Throttled);
        assert_eq!(
            (by_hand.code(), by_hand.message()),
            (expected, reason.as_str())
        );
        assert_eq!(by_hand.metadata().get(PUSHBACK.as_str()).unwrap(), "1500");
        assert_eq!(buttress_core::find_rejection(&by_hand), Some(refused));
    }
}
