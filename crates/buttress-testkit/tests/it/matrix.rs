use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use buttress_testkit::{CancelMatrix, Ending, Live, Subject, cancel_matrix};
use bytes::Bytes;
use http_body::{Body, Frame};
use tower::layer::util::Identity;

use crate::limit::{Fault, Limit};

#[test]
fn an_honest_layer_passes_every_case() {
    let report = cancel_matrix(|| Limit::subject(1, Fault::None));

    // One case for each step and one before the first. With r pending polls of readiness and s
    // suspensions a good call takes r + s + 6 steps, two parts and the end of the response included;
    // one that fails, panics in poll or hangs r + s + 3, and one that panics in call r + 2.
    let cases = |r: usize, s: usize| (r + s + 7) + 3 * (r + s + 4) + (r + 3);
    let expected: usize = (0..3).flat_map(|r| (0..6).map(move |s| cases(r, s))).sum();
    assert_eq!((report.cases(), expected), (666, 666));

    let ways = report.endings;
    assert_eq!((ways.answered, ways.failed, ways.panicked), (18, 18, 36));
    assert_eq!((ways.dropped_unread, ways.dropped_reading), (18, 36));
    assert_eq!(ways.dropped_ready, 90);
}

#[test]
fn every_case_has_a_subject_of_its_own() {
    let made = Cell::new(0);
    let report = cancel_matrix(|| {
        made.set(made.get() + 1);
        Limit::subject(1, Fault::None)
    });
    // One more is asked whether it can fail at all.
    assert_eq!(made.get(), report.cases() + 1);
}

#[test]
fn every_leak_is_found() {
    let leaks = [
        Fault::LeaksTheReservation,
        Fault::LeaksBeforeTheFirstPoll,
        Fault::LeaksWhileRunning,
        Fault::LeaksOnError,
        Fault::LeaksOnPanic,
        Fault::LeaksUnread,
        Fault::LeaksHalfRead,
    ];
    for fault in leaks {
        let told = complaint(fault);
        assert!(told.contains("slots: 1 still held"), "{fault:?}: {told}");
    }
    let told = complaint(Fault::KeepsTheFuture);
    assert!(told.contains("inner futures: 1 still alive"), "{told}");
}

#[test]
fn a_call_that_nobody_wakes_is_found() {
    let told = complaint(Fault::DropsTheWaker);
    assert!(told.contains("pending and nobody will wake it"), "{told}");
}

#[test]
fn a_call_that_wakes_itself_for_ever_is_found() {
    let told = complaint(Fault::Spins);
    assert!(told.contains("hang: no end after 1000 steps"), "{told}");
}

#[test]
fn a_call_without_readiness_is_found() {
    let told = complaint(Fault::ClonesInCall);
    assert!(told.contains("without its own readiness"), "{told}");
}

#[test]
#[should_panic(expected = "cancel_matrix ran no case")]
fn a_matrix_without_cases_fails() {
    let _ = CancelMatrix::new()
        .endings([])
        .run(|| Limit::subject(1, Fault::None));
}

#[test]
fn a_smaller_matrix_runs_fewer_cases() {
    let matrix = CancelMatrix::new().endings([Ending::Ok]).suspensions(0..=0);
    let report = matrix.run(|| Subject::new(Identity::new()));
    // Ready after 1, 2 or 3 polls, then call, poll, end of the response; and before each.
    assert_eq!(report.cases(), 5 + 6 + 7);
}

#[test]
fn an_infallible_subject_is_spared_the_errors() {
    let report = cancel_matrix(|| Subject::new(Identity::new()).infallible());
    assert_eq!(report.endings.failed, 0);
    assert_eq!(report.endings.answered, 18);
}

#[test]
fn a_body_is_dropped_after_each_frame() {
    let report = cancel_matrix(|| {
        Subject::new(Identity::new())
            .requests(|| http::Request::new(()))
            .responses(|live| {
                http::Response::new(Frames {
                    left: 3,
                    _live: live,
                })
            })
            .reads(|response, cx| response.poll_frame(cx).map(|frame| frame.map(drop)))
    });
    assert_eq!(report.endings.dropped_unread, 18);
    assert_eq!(report.endings.dropped_reading, 54);
}

struct Frames {
    left: usize,
    _live: Live,
}

impl Body for Frames {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Some(left) = self.left.checked_sub(1) else {
            return Poll::Ready(None);
        };
        self.left = left;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"part")))))
    }
}

fn complaint(fault: Fault) -> String {
    let run = AssertUnwindSafe(|| cancel_matrix(|| Limit::subject(1, fault)));
    let panic = catch_unwind(run).expect_err("the fault was not found");
    *panic
        .downcast::<String>()
        .expect("a panic with a formatted message")
}
