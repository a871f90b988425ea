use std::cell::RefCell;
use std::collections::VecDeque;
use std::marker::PhantomPinned;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use buttress_core::{Completion, Name, Reason, Rejected};
use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use tokio_test::task;

use super::*;
use crate::{Grpc, Http};

mod late;

// === A permit that records ===

#[derive(Clone, Copy, Debug, PartialEq)]
enum Ending {
    Settled(Verdict),
    Dropped,
}

use Ending::Dropped;

const SUCCESS: Ending = Ending::Settled(Verdict::Success);
const FAILURE: Ending = Ending::Settled(Verdict::Failure);

#[derive(Clone, Default)]
struct Ledger {
    endings: Rc<RefCell<Vec<Ending>>>,
    notes: Rc<RefCell<Vec<Verdict>>>,
}

struct Recording {
    ledger: Ledger,
    settled: bool,
}

impl Ledger {
    fn permit(&self) -> Recording {
        Recording {
            ledger: self.clone(),
            settled: false,
        }
    }

    fn ending(&self) -> Option<Ending> {
        let endings = self.endings.borrow();
        assert!(endings.len() <= 1, "a permit that ended twice: {endings:?}");
        endings.first().copied()
    }
}

impl Settle for Recording {
    fn settle(mut self, verdict: Verdict) {
        self.settled = true;
        self.ledger
            .endings
            .borrow_mut()
            .push(Ending::Settled(verdict));
    }

    fn note(&self, verdict: Verdict) {
        self.ledger.notes.borrow_mut().push(verdict);
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        if !self.settled {
            self.ledger.endings.borrow_mut().push(Dropped);
        }
    }
}

// === A body that follows a script ===

#[derive(Clone)]
enum Step {
    Data(&'static str),
    Trailers(&'static [(&'static str, &'static str)]),
    Wait,
    Fail,
    Panic,
}

use Step::{Data, Fail, Trailers, Wait};

pin_project! {
    // Not `Unpin`, so that nobody can demand it.
    #[derive(Clone)]
    struct Script {
        steps: VecDeque<Step>,
        exact: Option<u64>,
        knows_its_end: bool,
        #[pin]
        pinned: PhantomPinned,
    }
}

impl Script {
    fn chunked(steps: &[Step]) -> Self {
        let steps = steps.iter().cloned().collect();
        Self {
            steps,
            exact: None,
            knows_its_end: false,
            pinned: PhantomPinned,
        }
    }

    /// As hyper and `Full` do: the body says how long it is, and after the last byte that it has ended.
    fn full(steps: &[Step]) -> Self {
        let bytes = |step: &Step| {
            if let Data(data) = step {
                data.len() as u64
            } else {
                0
            }
        };
        let exact = Some(steps.iter().map(bytes).sum());
        Self {
            exact,
            knows_its_end: true,
            ..Self::chunked(steps)
        }
    }

    /// Says how long it is, but not that it has ended.
    fn sized(steps: &[Step]) -> Self {
        Self {
            knows_its_end: false,
            ..Self::full(steps)
        }
    }

    /// Says that it has ended, but not how long it is.
    fn closing(steps: &[Step]) -> Self {
        Self {
            knows_its_end: true,
            ..Self::chunked(steps)
        }
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.project().steps.pop_front() {
            None => Poll::Ready(None),
            Some(Data(data)) => Poll::Ready(Some(Ok(Frame::data(data.into())))),
            Some(Trailers(trailers)) => Poll::Ready(Some(Ok(Frame::trailers(headers(trailers))))),
            Some(Wait) => Poll::Pending,
            Some(Fail) => Poll::Ready(Some(Err("cut off"))),
            Some(Step::Panic) => panic!("a body that panics"),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.knows_its_end && self.steps.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.exact
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|&(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
        .collect()
}

// === Running a call ===

/// Where the permit was given back.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    AtHead,
    AfterPoll(usize),
    AtDrop,
}

use Place::{AfterPoll, AtDrop, AtHead};

type Error = Rejected;

/// Completes a call with this answer, polls its body so many times, drops it, and tells where the permit went and how.
fn run<P>(protocol: &P, response: Response<Script>, polls: usize) -> (Place, Ending)
where
    P: Completion<Response<Script>, Error, Recording, Output: IntoScripted>,
{
    let ledger = Ledger::default();
    let completed = protocol.complete(ledger.permit(), Ok(response)).unwrap();
    if let Some(ending) = ledger.ending() {
        drop(completed);
        assert_eq!(ledger.ending(), Some(ending));
        return (AtHead, ending);
    }
    let place = completed.poll_and_drop(polls, &ledger);
    (place, ledger.ending().expect("the permit is lost"))
}

/// The answers of both protocols, whose bodies have types of their own.
trait IntoScripted {
    fn poll_and_drop(self, polls: usize, ledger: &Ledger) -> Place;
}

impl<J: Judge> IntoScripted for Response<Tracked<Script, Recording, J>> {
    fn poll_and_drop(self, polls: usize, ledger: &Ledger) -> Place {
        let mut body = Box::pin(self.into_body());
        for poll in 1..=polls {
            let poll_once = || task::spawn(()).enter(|cx, _| drop(body.as_mut().poll_frame(cx)));
            drop(catch_unwind(AssertUnwindSafe(poll_once)));
            if ledger.ending().is_some() {
                return AfterPoll(poll);
            }
        }
        AtDrop
    }
}

fn answer(status: u16, pairs: &[(&'static str, &'static str)], body: &Script) -> Response<Script> {
    let mut response = Response::new(body.clone());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    *response.headers_mut() = headers(pairs);
    response
}

type Pairs = &'static [(&'static str, &'static str)];

const NOTHING: Pairs = &[];
const SIX: Pairs = &[("content-length", "6")];
const HALVES: &[Step] = &[Data("abc"), Data("def")];

/// A table whose rows keep their shape: what is run, and where and how it gives the permit back.
macro_rules! table {
    ($run:ident: $($name:literal: $($argument:expr),+ => $place:expr, $ending:expr;)+) => {
        $(assert_eq!($run($($argument),+), ($place, $ending), $name);)+
    };
}

// === HTTP ===

/// A 500 gives its permit back where a 200 does, and is a failure whatever happens.
fn run_http(body: &Script, headers: Pairs, polls: usize) -> (Place, Ending) {
    let ok = run(&Http::new(), answer(200, headers, body), polls);
    let broken = run(&Http::new(), answer(500, headers, body), polls);
    assert_eq!(broken, (ok.0, FAILURE));
    ok
}

#[test]
fn a_body_that_knows_its_length_or_its_end_is_over_at_its_last_byte() {
    let full = Script::full(HALVES);
    let sized = Script::sized(HALVES);
    let closing = Script::closing(HALVES);
    let chunked = Script::chunked(HALVES);
    table! { run_http:
        "full, unread": &full, NOTHING, 0 => AtDrop, SUCCESS;
        "full, half": &full, NOTHING, 1 => AtDrop, Dropped;
        "full, last byte": &full, NOTHING, 2 => AfterPoll(2), SUCCESS;
        "sized, unread": &sized, NOTHING, 0 => AtDrop, SUCCESS;
        "sized, half": &sized, NOTHING, 1 => AtDrop, Dropped;
        "sized, last byte": &sized, NOTHING, 2 => AfterPoll(2), SUCCESS;
        "closing, unread": &closing, NOTHING, 0 => AtDrop, SUCCESS;
        "closing, half": &closing, NOTHING, 1 => AtDrop, Dropped;
        "closing, last byte": &closing, NOTHING, 2 => AfterPoll(2), SUCCESS;
        "content-length, unread": &chunked, SIX, 0 => AtDrop, SUCCESS;
        "content-length, half": &chunked, SIX, 1 => AtDrop, Dropped;
        "content-length, last byte": &chunked, SIX, 2 => AfterPoll(2), SUCCESS;
        "longer than promised": &chunked, &[("content-length", "4")], 2 => AfterPoll(2), SUCCESS;
        "shorter than promised": &chunked, &[("content-length", "7")], 3 => AfterPoll(3), SUCCESS;
    }
}

#[test]
fn a_body_that_knows_neither_is_over_when_it_has_been_read_to_its_end() {
    let chunked = Script::chunked(HALVES);
    let waiting = Script::chunked(&[Wait, Data("abc")]);
    let with_trailers = Script::chunked(&[Data("abc"), Trailers(&[("checksum", "1")])]);
    table! { run_http:
        "unread": &chunked, NOTHING, 0 => AtDrop, SUCCESS;
        "half": &chunked, NOTHING, 1 => AtDrop, Dropped;
        "nobody can know that it was the last byte": &chunked, NOTHING, 2 => AtDrop, Dropped;
        "to the end": &chunked, NOTHING, 3 => AfterPoll(3), SUCCESS;
        "polled, but nothing came": &waiting, NOTHING, 1 => AtDrop, Dropped;
        "a length that is no number": &chunked, &[("content-length", "+6")], 2 => AtDrop, Dropped;
        "before its trailers": &with_trailers, NOTHING, 1 => AtDrop, Dropped;
        "at its trailers": &with_trailers, NOTHING, 2 => AfterPoll(2), SUCCESS;
    }
}

#[test]
fn a_body_without_bytes_is_over_at_the_head_where_that_is_known() {
    let empty = Script::full(&[]);
    let unaware = Script::chunked(&[]);
    table! { run_http:
        "empty": &empty, NOTHING, 0 => AtHead, SUCCESS;
        "HEAD: empty in spite of its length": &empty, SIX, 0 => AtHead, SUCCESS;
        "a length of zero": &unaware, &[("content-length", "0")], 0 => AtHead, SUCCESS;
        "unaware, unread": &unaware, NOTHING, 0 => AtDrop, SUCCESS;
        "unaware, to the end": &unaware, NOTHING, 1 => AfterPoll(1), SUCCESS;
    }
}

#[test]
fn a_body_that_fails_or_panics_fails_its_call() {
    let failing = Script::chunked(&[Data("abc"), Fail]);
    let failing_full = Script::full(&[Data("abc"), Fail, Data("def")]);
    let panicking = Script::chunked(&[Data("abc"), Step::Panic]);
    table! { run_http:
        "error": &failing, NOTHING, 2 => AfterPoll(2), FAILURE;
        "error before the last byte": &failing_full, NOTHING, 2 => AfterPoll(2), FAILURE;
        "panic": &panicking, NOTHING, 2 => AfterPoll(2), FAILURE;
    }
}

#[test]
fn what_has_no_end_of_its_own_or_no_body_is_over_at_the_head() {
    let stream = Script::chunked(HALVES);
    assert_eq!(
        run(&Http::new(), answer(101, NOTHING, &stream), 0),
        (AtHead, SUCCESS)
    );
    for status in [204, 304] {
        let empty = Script::full(&[]);
        assert_eq!(
            run(&Http::new(), answer(status, NOTHING, &empty), 0),
            (AtHead, SUCCESS)
        );
        // Where the body does not know that there is none, it is dropped unread.
        assert_eq!(
            run(&Http::new(), answer(status, NOTHING, &stream), 0),
            (AtDrop, SUCCESS)
        );
    }
}

#[test]
fn a_verdict_that_is_no_success_counts_however_the_body_is_left() {
    let overloaded = Ending::Settled(Verdict::Overloaded { retry_after: None });
    let neutral = Ending::Settled(Verdict::Neutral);
    for (status, ending) in [(529, overloaded), (408, neutral), (404, Dropped)] {
        let half = run(
            &Http::new(),
            answer(status, NOTHING, &Script::chunked(HALVES)),
            1,
        );
        assert_eq!(half, (AtDrop, ending), "{status}");
    }
}

#[test]
fn what_the_head_says_is_noted_while_the_body_goes_by() {
    let ledger = Ledger::default();
    let body = Script::chunked(HALVES);
    let tracked =
        Http::new().complete(ledger.permit(), Ok::<_, Error>(answer(500, NOTHING, &body)));
    assert_eq!(*ledger.notes.borrow(), [Verdict::Failure]);
    assert_eq!(ledger.ending(), None);
    drop(tracked);
    assert_eq!(ledger.ending(), Some(FAILURE));
}

#[test]
fn until_headers_is_over_at_the_head_and_leaves_the_body_alone() {
    let body = Script::chunked(HALVES);
    for (status, ending) in [(200, SUCCESS), (500, FAILURE)] {
        let ledger = Ledger::default();
        let answered = Ok::<_, Error>(answer(status, NOTHING, &body));
        let kept = Http::new()
            .until_headers()
            .complete(ledger.permit(), answered);
        let _: Response<Script> = kept.unwrap();
        assert_eq!(ledger.ending(), Some(ending));
    }
}

#[test]
fn an_error_in_the_place_of_an_answer_ends_the_call() {
    let refusal = |reason| Rejected::new(reason, Name::new("inner"));
    for (error, ending) in [
        (refusal(Reason::TimedOut), FAILURE),
        (
            refusal(Reason::Overloaded),
            Ending::Settled(Verdict::Neutral),
        ),
    ] {
        let (http, grpc) = (Ledger::default(), Ledger::default());
        assert!(
            Http::new()
                .complete(http.permit(), Err::<Response<Script>, _>(error))
                .is_err()
        );
        assert!(
            Grpc::new()
                .complete(grpc.permit(), Err::<Response<Script>, _>(error))
                .is_err()
        );
        assert_eq!((http.ending(), grpc.ending()), (Some(ending), Some(ending)));
    }
}

#[test]
fn the_work_ends_before_its_slot_is_free() {
    struct Working(Ledger);
    impl Drop for Working {
        fn drop(&mut self) {
            assert_eq!(
                self.0.ending(),
                None,
                "the slot was free while the body was still alive"
            );
        }
    }
    impl Body for Working {
        type Data = Bytes;
        type Error = &'static str;
        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            Poll::Pending
        }
    }
    let ledger = Ledger::default();
    let response = Ok::<_, Error>(Response::new(Working(ledger.clone())));
    drop(Http::new().complete(ledger.permit(), response));
    assert_eq!(ledger.ending(), Some(SUCCESS));
}

#[test]
fn the_hints_of_the_body_are_handed_on() {
    for body in [
        Script::full(HALVES),
        Script::chunked(HALVES),
        Script::full(&[]),
    ] {
        let response = Ok::<_, Error>(Response::new(body.clone()));
        let tracked = Http::new()
            .complete(Ledger::default().permit(), response)
            .unwrap();
        assert_eq!(tracked.body().is_end_stream(), body.is_end_stream());
        assert_eq!(tracked.body().size_hint().exact(), body.size_hint().exact());
    }
}

#[test]
fn a_body_of_no_call_is_just_a_body() {
    let body: Tracked<http_body_util::Empty<Bytes>, Recording> = Tracked::default();
    assert!(body.is_end_stream());
}

#[test]
fn a_body_that_is_read_on_after_its_call_was_over_is_read_unchanged() {
    let body = Script::chunked(&[Data("abc"), Data("more than promised"), Fail]);
    let answered = Ok::<_, Error>(answer(200, &[("content-length", "3")], &body));
    let ledger = Ledger::default();
    let tracked = Http::new()
        .complete(ledger.permit(), answered)
        .unwrap()
        .into_body();
    let mut tracked = task::spawn(Box::pin(tracked));
    let mut next = || tracked.enter(|cx, mut body| body.as_mut().poll_frame(cx));
    assert!(matches!(next(), Poll::Ready(Some(Ok(_)))));
    assert_eq!(ledger.ending(), Some(SUCCESS));
    assert!(matches!(next(), Poll::Ready(Some(Ok(_)))));
    assert!(matches!(next(), Poll::Ready(Some(Err("cut off")))));
    assert!(matches!(next(), Poll::Ready(None)));
    assert_eq!(ledger.ending(), Some(SUCCESS));
}

// === gRPC ===

const GRPC: Pairs = &[("content-type", "application/grpc")];
const GRPC_SIX: Pairs = &[
    ("content-type", "application/grpc"),
    ("content-length", "6"),
];
const GRPC_WEB: Pairs = &[("content-type", "application/grpc-web+proto")];

fn run_grpc(status: u16, headers: Pairs, body: &Script, polls: usize) -> (Place, Ending) {
    run(&Grpc::new(), answer(status, headers, body), polls)
}

#[test]
fn a_grpc_body_ends_its_call_with_what_its_trailers_say() {
    let ok = Script::chunked(&[Data("abc"), Data("def"), Trailers(&[("grpc-status", "0")])]);
    let unavailable = Script::closing(&[Data("abc"), Trailers(&[("grpc-status", "14")])]);
    let not_found = Script::closing(&[Data("abc"), Trailers(&[("grpc-status", "5")])]);
    let cancelled = Script::chunked(&[Trailers(&[("grpc-status", "1")])]);
    let nameless = Script::chunked(&[Data("abc"), Trailers(&[("checksum", "1")])]);
    let neutral = Ending::Settled(Verdict::Neutral);
    table! { run_grpc:
        "ok": 200, GRPC, &ok, 3 => AfterPoll(3), SUCCESS;
        "unread": 200, GRPC, &ok, 0 => AtDrop, Dropped;
        "dropped before its trailers": 200, GRPC, &ok, 2 => AtDrop, Dropped;
        "all bytes are not all": 200, GRPC_SIX, &ok, 2 => AtDrop, Dropped;
        "unavailable": 200, GRPC, &unavailable, 2 => AfterPoll(2), FAILURE;
        "not found": 200, GRPC, &not_found, 2 => AfterPoll(2), SUCCESS;
        "cancelled": 200, GRPC, &cancelled, 1 => AfterPoll(1), neutral;
        "trailers without a status": 200, GRPC, &nameless, 2 => AfterPoll(2), FAILURE;
    }
}

#[test]
fn a_grpc_body_that_ends_without_trailers_fails_its_call() {
    let without = Script::chunked(&[Data("abc")]);
    let closing = Script::closing(&[Data("abc")]);
    let empty = Script::full(&[]);
    let failing = Script::chunked(&[Data("abc"), Fail]);
    let panicking = Script::chunked(&[Data("abc"), Step::Panic]);
    table! { run_grpc:
        "no trailers": 200, GRPC, &without, 2 => AfterPoll(2), FAILURE;
        "no trailers, ends with its data": 200, GRPC, &closing, 1 => AfterPoll(1), FAILURE;
        "nothing at all": 200, GRPC, &empty, 0 => AtHead, FAILURE;
        "error": 200, GRPC, &failing, 2 => AfterPoll(2), FAILURE;
        "panic": 200, GRPC, &panicking, 2 => AfterPoll(2), FAILURE;
    }
}

#[test]
fn a_grpc_head_that_says_how_it_ends_is_believed() {
    let empty = Script::full(&[]);
    let body = Script::chunked(&[Data("abc")]);
    table! { run_grpc:
        "trailers only, ok": 200, &[("grpc-status", "0")], &empty, 0 => AtHead, SUCCESS;
        "trailers only, unavailable": 200, &[("grpc-status", "14")], &empty, 0 => AtHead, FAILURE;
        "trailers only, not found": 200, &[("grpc-status", "5")], &empty, 0 => AtHead, SUCCESS;
        "trailers only, unread": 200, &[("grpc-status", "13")], &body, 0 => AtDrop, FAILURE;
        "HTTP 503, half": 503, NOTHING, &body, 1 => AtDrop, FAILURE;
        "HTTP 503, to the end": 503, NOTHING, &body, 2 => AfterPoll(2), FAILURE;
        "HTTP 404, unread": 404, NOTHING, &body, 0 => AtDrop, SUCCESS;
        "gRPC-Web, to the end": 200, GRPC_WEB, &body, 2 => AfterPoll(2), SUCCESS;
        "gRPC-Web, unread": 200, GRPC_WEB, &body, 0 => AtDrop, SUCCESS;
    }
}

#[test]
fn a_grpc_head_without_a_status_is_noted_as_a_success() {
    let ledger = Ledger::default();
    let body = Script::chunked(&[Data("an endless stream")]);
    let tracked = Grpc::new().complete(ledger.permit(), Ok::<_, Error>(answer(200, GRPC, &body)));
    assert_eq!(*ledger.notes.borrow(), [Verdict::Success]);
    drop(tracked);
}

#[test]
fn a_classifier_of_codes_judges_trailers_too() {
    use buttress_core::{Chosen, Reclassify};

    let strict = Grpc::new().with(Chosen::new(crate::by_code(|code| match code {
        crate::Code::Ok => Verdict::Success,
        _ => Verdict::Failure,
    })));
    let not_found = Script::chunked(&[Trailers(&[("grpc-status", "5")])]);
    assert_eq!(
        run(&strict, answer(200, GRPC, &not_found), 1),
        (AfterPoll(1), FAILURE)
    );
    let head = answer(200, &[("grpc-status", "5")], &Script::full(&[]));
    assert_eq!(run(&strict, head, 0), (AtHead, FAILURE));
}
