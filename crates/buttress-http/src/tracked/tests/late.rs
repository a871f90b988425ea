//! What goes wrong once the caller's deadline has passed.

use std::time::Duration;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const NEUTRAL: Ending = Ending::Settled(Verdict::Neutral);

/// Tells how a call ends whose body is polled so many times after this wait, with a deadline of one second.
async fn after<P>(protocol: P, wait: Duration, mut answer: Response<Script>, polls: usize) -> Ending
where
    P: Completion<Response<Script>, Error, Recording, Output: IntoScripted>,
{
    let deadline = Deadline::after(Instant::now(), SECOND);
    answer.extensions_mut().insert(deadline);
    let ledger = Ledger::default();
    let completed = protocol.complete(ledger.permit(), Ok(answer)).unwrap();
    tokio::time::advance(wait).await;
    completed.poll_and_drop(polls, &ledger);
    ledger.ending().expect("the permit is lost")
}

#[tokio::test(start_paused = true)]
async fn over_http_a_body_that_fails_late_says_no_more_than_its_head() {
    let failing = Script::chunked(&[Data("abc"), Fail]);
    let answer = |status| answer(status, NOTHING, &failing);
    let early = SECOND - Duration::from_millis(1);
    assert_eq!(after(Http::new(), early, answer(200), 2).await, FAILURE);
    assert_eq!(after(Http::new(), SECOND, answer(200), 2).await, NEUTRAL);
    assert_eq!(after(Http::new(), SECOND, answer(404), 2).await, NEUTRAL);
    assert_eq!(after(Http::new(), SECOND, answer(500), 2).await, FAILURE);
    assert_eq!(after(Http::new(), SECOND, answer(408), 2).await, NEUTRAL);
}

#[tokio::test(start_paused = true)]
async fn over_http_what_ends_well_late_or_panics_is_what_it_is() {
    let whole = Script::full(HALVES);
    let panicking = Script::chunked(&[Step::Panic]);
    for (status, body, ending) in [
        (200, &whole, SUCCESS),
        (500, &whole, FAILURE),
        (200, &panicking, FAILURE),
    ] {
        let answer = answer(status, NOTHING, body);
        assert_eq!(after(Http::new(), SECOND, answer, 2).await, ending);
    }
}

#[tokio::test(start_paused = true)]
async fn over_grpc_a_status_that_comes_late_counts_only_as_a_success() {
    let ending = |status: &'static str| match status {
        "0" => Script::chunked(&[Trailers(&[("grpc-status", "0")])]),
        "5" => Script::chunked(&[Trailers(&[("grpc-status", "5")])]),
        "4" => Script::chunked(&[Trailers(&[("grpc-status", "4")])]),
        "14" => Script::chunked(&[Trailers(&[("grpc-status", "14")])]),
        "none" => Script::chunked(&[]),
        _ => Script::chunked(&[Fail]),
    };
    let early = SECOND - Duration::from_millis(1);
    for (status, in_time, late) in [
        ("0", SUCCESS, SUCCESS),
        ("5", SUCCESS, SUCCESS),
        ("4", FAILURE, NEUTRAL),
        ("14", FAILURE, NEUTRAL),
        ("none", FAILURE, NEUTRAL),
        ("fails", FAILURE, NEUTRAL),
    ] {
        let answer = || answer(200, GRPC, &ending(status));
        let ended = after(Grpc::new(), early, answer(), 1).await;
        assert_eq!(ended, in_time, "{status}");
        let ended = after(Grpc::new(), SECOND, answer(), 1).await;
        assert_eq!(ended, late, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_grpc_head_that_has_said_how_it_ends_is_believed_however_late_its_body_ends() {
    let body = Script::chunked(&[Data("abc")]);
    let head = answer(200, &[("grpc-status", "14")], &body);
    assert_eq!(after(Grpc::new(), SECOND, head, 2).await, FAILURE);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_left_is_judged_as_ever() {
    let body = Script::chunked(HALVES);
    for (polls, ending) in [(0, SUCCESS), (1, Dropped)] {
        let answer = answer(200, NOTHING, &body);
        assert_eq!(after(Http::new(), SECOND, answer, polls).await, ending);
    }
}
