use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::marker::PhantomPinned;
use std::rc::Rc;
use std::time::Duration;

use buttress_core::{Deadline, Name, Phases, Reason, find_rejection};
use bytes::Bytes;
use http::StatusCode;
use http_body_util::{Empty, Full};
use tokio::time::Instant;
use tokio_test::task;

use super::*;
use crate::{Grpc, Http};

#[cfg(feature = "tonic")]
mod message;

const TIMED_OUT: Rejected = Rejected::new(Reason::TimedOut, Name::new("timeout"));
const DEADLINE: Rejected = Rejected::new(Reason::DeadlineExceeded, Name::new("timeout"));

// === A watch and a body that do what they are told, and record ===

/// What has happened, in the order of it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Event {
    Asked,
    Progressed,
    Spared,
    WatchDropped,
    BodyDropped,
}

use Event::{Asked, BodyDropped, Progressed, Spared, WatchDropped};

#[derive(Clone, Default)]
struct Told {
    overdue: Rc<Cell<Option<Rejected>>>,
    outrun: Rc<Cell<Option<Rejected>>>,
    deadline: Option<Deadline>,
    events: Rc<RefCell<Vec<Event>>>,
}

impl Told {
    fn push(&self, event: Event) {
        self.events.borrow_mut().push(event);
    }

    fn take(&self) -> Vec<Event> {
        self.events.take()
    }

    fn watch(&self) -> FakeWatch {
        FakeWatch {
            told: self.clone(),
            pinned: PhantomPinned,
        }
    }

    fn body(&self, steps: &[Step]) -> Script {
        Script {
            told: self.clone(),
            steps: steps.iter().cloned().collect(),
            knows_its_end: false,
            pinned: PhantomPinned,
        }
    }
}

struct FakeWatch {
    told: Told,
    // As a watch with a timer of tokio's.
    #[expect(dead_code, reason = "makes it impossible to move once it is pinned")]
    pinned: PhantomPinned,
}

impl Watch for FakeWatch {
    fn poll_overdue(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Rejected> {
        self.told.push(Asked);
        self.told.overdue.get().map_or(Poll::Pending, Poll::Ready)
    }

    fn progressed(self: Pin<&mut Self>) -> Result<(), Rejected> {
        self.told.push(Progressed);
        self.told.outrun.get().map_or(Ok(()), Err)
    }

    fn spare_stream(&mut self) {
        self.told.push(Spared);
        self.told.deadline = self.told.deadline.and_then(Deadline::for_stream);
    }

    fn deadline(&self) -> Option<Deadline> {
        self.told.deadline
    }
}

impl Drop for FakeWatch {
    fn drop(&mut self) {
        self.told.push(WatchDropped);
    }
}

#[derive(Clone)]
enum Step {
    Data(&'static str),
    Trailers,
    Wait,
    Fail,
}

use Step::{Data, Fail, Trailers, Wait};

pin_project! {
    struct Script {
        told: Told,
        steps: VecDeque<Step>,
        knows_its_end: bool,
        #[pin]
        pinned: PhantomPinned,
    }
    impl PinnedDrop for Script {
        fn drop(this: Pin<&mut Self>) {
            this.told.push(BodyDropped);
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
            Some(Trailers) => Poll::Ready(Some(Ok(Frame::trailers(HeaderMap::new())))),
            Some(Wait) => Poll::Pending,
            Some(Fail) => Poll::Ready(Some(Err("cut off"))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.knows_its_end && self.steps.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::new();
        hint.set_upper(1000);
        hint
    }
}

fn http(told: &Told, answer: Response<Script>) -> Response<Timed<Script, FakeWatch>> {
    Http::new().watch(answer, || told.watch())
}

fn grpc(
    told: &Told,
    answer: Response<Script>,
) -> Response<Timed<Script, FakeWatch, CutByTrailers>> {
    Grpc::new().watch(answer, || told.watch())
}

type Polled<E> = Poll<Option<Result<Frame<Bytes>, E>>>;

fn poll<B: Body<Data = Bytes>>(body: &mut Pin<Box<B>>) -> Polled<B::Error> {
    task::spawn(()).enter(|cx, _| body.as_mut().poll_frame(cx))
}

/// Polls a body of the script to its end, and says what happened in each of so many polls.
fn events_of(steps: &[Step], knows_its_end: bool) -> Vec<Vec<Event>> {
    let told = Told::default();
    let mut script = told.body(steps);
    script.knows_its_end = knows_its_end;
    let mut body = Box::pin(http(&told, Response::new(script)).into_body());
    let events = steps.iter().chain([&Data("none")]).map(|_| {
        let _ = poll(&mut body);
        told.take()
    });
    events.collect()
}

// === Keeping the time ===

#[test]
fn the_watch_is_asked_while_the_body_waits_and_told_of_what_comes() {
    assert_eq!(
        events_of(&[Wait, Data("abc"), Wait, Wait, Data("def")], false),
        [
            vec![Asked],
            vec![Progressed],
            vec![Asked],
            vec![Asked],
            vec![Progressed],
            vec![WatchDropped],
        ]
    );
}

#[test]
fn the_watch_is_over_as_soon_as_the_body_is() {
    assert_eq!(
        events_of(&[Data("abc"), Data("def")], true),
        [vec![Progressed], vec![WatchDropped], vec![]]
    );
    assert_eq!(
        events_of(&[Data("abc"), Trailers, Wait], false),
        [vec![Progressed], vec![WatchDropped], vec![], vec![]]
    );
    assert_eq!(
        events_of(&[Fail, Wait], false),
        [vec![WatchDropped], vec![], vec![]]
    );
}

#[test]
fn a_body_that_is_left_ends_before_its_watch() {
    let told = Told::default();
    let answer = http(&told, Response::new(told.body(&[Wait])));
    drop(answer);
    assert_eq!(told.take(), [BodyDropped, WatchDropped]);
}

#[test]
fn the_frames_errors_and_hints_of_the_body_pass_through() {
    let told = Told::default();
    let answer = Response::new(told.body(&[Data("abc"), Fail]));
    let mut body = Box::pin(http(&told, answer).into_body());
    assert!(!body.is_end_stream());
    assert_eq!(body.size_hint().upper(), Some(1000));
    assert!(body.inner().is_some());
    let Poll::Ready(Some(Ok(frame))) = poll(&mut body) else {
        panic!("the data is there");
    };
    assert_eq!(frame.into_data().unwrap(), "abc");
    let Poll::Ready(Some(Err(error))) = poll(&mut body) else {
        panic!("the error is there");
    };
    assert_eq!(error.to_string(), "cut off");

    let answer = Response::new(told.body(&[Fail]));
    let mut body = Box::pin(grpc(&told, answer).into_body());
    let Poll::Ready(Some(Err(error))) = poll(&mut body) else {
        panic!("the error is there");
    };
    let _: &'static str = error;
}

// === The cut ===

#[test]
fn over_http_a_cut_is_an_error_that_holds_the_refusal_and_the_body_is_gone_in_the_same_poll() {
    let told = Told::default();
    let answer = Response::new(told.body(&[Data("abc"), Wait, Wait, Data("too late")]));
    let mut body = Box::pin(http(&told, answer).into_body());
    assert!(poll(&mut body).is_ready());
    assert!(poll(&mut body).is_pending());
    told.take();
    told.overdue.set(Some(TIMED_OUT));
    let Poll::Ready(Some(Err(error))) = poll(&mut body) else {
        panic!("the body was not cut");
    };
    assert_eq!(told.take(), [Asked, BodyDropped, WatchDropped]);
    assert_eq!(find_rejection(&*error), Some(TIMED_OUT));
    assert!(body.is_end_stream() && body.inner().is_none());
    assert_eq!(body.size_hint().exact(), Some(0));
    assert!(matches!(poll(&mut body), Poll::Ready(None)));
    assert!(matches!(poll(&mut body), Poll::Ready(None)));
}

#[test]
fn pieces_that_are_always_ready_do_not_outrun_the_time_of_the_whole() {
    let told = Told::default();
    let answer = Response::new(told.body(&[Data("abc"), Data("def"), Data("too late")]));
    let mut body = Box::pin(http(&told, answer).into_body());
    assert!(matches!(poll(&mut body), Poll::Ready(Some(Ok(_)))));
    told.take();
    told.outrun.set(Some(TIMED_OUT));
    assert!(matches!(poll(&mut body), Poll::Ready(Some(Err(_)))));
    assert_eq!(told.take(), [Progressed, BodyDropped, WatchDropped]);
    assert!(matches!(poll(&mut body), Poll::Ready(None)));
}

#[test]
fn a_body_that_has_given_all_it_promised_is_waited_for_no_longer() {
    let told = Told::default();
    let answer = Response::builder().header(http::header::CONTENT_LENGTH, 3);
    let answer = answer.body(told.body(&[Data("abc"), Wait])).unwrap();
    let mut body = Box::pin(http(&told, answer).into_body());
    assert!(poll(&mut body).is_ready());
    assert_eq!(told.take(), [WatchDropped]);
    told.overdue.set(Some(TIMED_OUT));
    assert!(poll(&mut body).is_pending());
}

#[test]
fn over_grpc_a_cut_is_trailers_with_the_status() {
    for rejected in [TIMED_OUT, DEADLINE] {
        let told = Told::default();
        told.overdue.set(Some(rejected));
        let answer = Response::new(told.body(&[Data("abc"), Wait, Data("too late")]));
        let mut body = Box::pin(grpc(&told, answer).into_body());
        assert!(poll(&mut body).is_ready());
        told.take();
        let Poll::Ready(Some(Ok(frame))) = poll(&mut body) else {
            panic!("the body was not cut");
        };
        assert_eq!(told.take(), [Asked, BodyDropped, WatchDropped]);
        let trailers = frame.into_trailers().unwrap();
        assert_eq!(trailers["grpc-status"], "4");
        assert_eq!(trailers["grpc-message"], rejected.reason().as_str());
        assert!(!trailers.contains_key(CONTENT_TYPE));
        assert!(body.is_end_stream());
        assert!(matches!(poll(&mut body), Poll::Ready(None)));
    }
}

#[test]
fn what_is_there_comes_even_when_its_time_is_over() {
    let told = Told::default();
    told.overdue.set(Some(TIMED_OUT));
    let answer = Response::new(told.body(&[Data("abc"), Data("def")]));
    let mut body = Box::pin(http(&told, answer).into_body());
    assert!(matches!(poll(&mut body), Poll::Ready(Some(Ok(_)))));
    assert!(matches!(poll(&mut body), Poll::Ready(Some(Ok(_)))));
    assert!(matches!(poll(&mut body), Poll::Ready(None)));
}

// === What is watched, and what is a stream ===

fn answer(status: u16, content_type: Option<&'static str>, body: Script) -> Response<Script> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    if let Some(content_type) = content_type {
        let value = http::HeaderValue::from_static(content_type);
        response.headers_mut().insert(CONTENT_TYPE, value);
    }
    response
}

#[test]
fn an_event_stream_is_spared_and_every_grpc_answer_with_a_body() {
    for (content_type, spared) in [
        (Some("text/event-stream"), true),
        (Some("Text/Event-Stream; charset=utf-8"), true),
        (Some("text/event-stream;x=y;z"), true),
        (Some("text/event-stream ; a=b"), true),
        (Some("text/event-streams"), false),
        (Some("application/json; profile=text/event-stream"), false),
        (Some(""), false),
        (None, false),
    ] {
        let told = Told::default();
        let watched = http(&told, answer(200, content_type, told.body(&[Wait])));
        let expected: &[Event] = if spared { &[Spared] } else { &[] };
        assert_eq!(told.take(), expected, "{content_type:?}");
        drop(watched);
    }
    let told = Told::default();
    let watched = grpc(&told, answer(200, Some("application/grpc"), told.body(&[])));
    assert_eq!(told.take(), [Spared]);
    drop(watched);
}

#[test]
fn no_watch_is_made_where_nothing_is_to_come() {
    fn never() -> FakeWatch {
        panic!("a watch for nothing");
    }
    let told = Told::default();
    let switching = answer(101, None, told.body(&[Wait]));
    let _ = Phases::watch(&Http::new(), switching, never);
    let mut promised = answer(200, None, told.body(&[]));
    let headers = promised.headers_mut();
    headers.insert("content-length", http::HeaderValue::from_static("0"));
    let _ = Phases::watch(&Http::new(), promised, never);
    let empty = Response::new(Empty::<Bytes>::new());
    let _ = Phases::watch(&Http::new(), empty.clone(), never);
    let _ = Phases::watch(&Grpc::new(), empty, never);
}

#[test]
fn grpc_waits_for_trailers_where_no_bytes_are_promised() {
    let told = Told::default();
    let mut promised = answer(200, None, told.body(&[Trailers]));
    let headers = promised.headers_mut();
    headers.insert("content-length", http::HeaderValue::from_static("0"));
    let mut body = Box::pin(grpc(&told, promised).into_body());
    assert!(poll(&mut body).is_ready());
    assert_eq!(told.take(), [Spared, WatchDropped]);
}

#[test]
fn until_headers_leaves_the_body_alone_and_still_has_a_head() {
    fn never() -> FakeWatch {
        panic!("a watch for nothing");
    }
    let short = (Http::new().until_headers(), Grpc::new().until_headers());
    let full = || Response::new(Full::<Bytes>::from("abc"));
    let _: Response<Full<Bytes>> = short.0.watch(full(), never);
    let _: Response<Full<Bytes>> = short.1.watch(full(), never);
    fn has_head<P: Phases<Response<Full<Bytes>>, FakeWatch>>(protocol: &P) -> bool {
        protocol.has_head()
    }
    assert!(has_head(&short.0) && has_head(&short.1));
    assert!(has_head(&Http::new()) && has_head(&Grpc::new()));
}

// === What the layers above are told ===

#[test]
fn the_deadline_stands_in_the_extensions_of_the_answer_the_earlier_of_two() {
    let soon = Deadline::after(Instant::now(), Duration::from_secs(1));
    let later = Deadline::after(Instant::now(), Duration::from_secs(2));
    for (there, kept) in [
        (None, Some(later)),
        (Some(soon), Some(soon)),
        (
            Some(Deadline::after(Instant::now(), Duration::MAX)),
            Some(later),
        ),
    ] {
        let told = Told {
            deadline: Some(later),
            ..Told::default()
        };
        let mut response = Response::new(told.body(&[Wait]));
        if let Some(there) = there {
            response.extensions_mut().insert(there);
        }
        let response = http(&told, response);
        assert_eq!(response.extensions().get::<Deadline>().copied(), kept);
    }
    let told = Told::default();
    let response = http(&told, Response::new(told.body(&[Wait])));
    assert_eq!(response.extensions().get::<Deadline>(), None);
}

#[test]
fn a_stream_is_not_said_to_end_at_a_deadline_that_spares_it() {
    let told = Told {
        deadline: Some(Deadline::at(Instant::now()).sparing_streams()),
        ..Told::default()
    };
    let events = answer(200, Some("text/event-stream"), told.body(&[Wait]));
    assert_eq!(
        http(&told, events).extensions().get::<Deadline>().copied(),
        None
    );
    let ends = answer(200, None, told.body(&[Wait]));
    assert_eq!(
        http(&told, ends).extensions().get::<Deadline>().copied(),
        told.deadline
    );
}

#[test]
fn a_body_of_no_call_is_just_a_body() {
    let body: Timed<Empty<Bytes>, FakeWatch> = Timed::default();
    assert!(body.is_end_stream());
    assert_eq!(
        format!("{body:?}"),
        "Timed { inner: Some(Empty), watched: false, .. }"
    );
}
