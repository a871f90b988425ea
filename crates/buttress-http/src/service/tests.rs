use std::cell::Cell;
use std::future::{self, Ready};
use std::rc::Rc;

use buttress_core::{Name, Reason};
use bytes::Bytes;
use http::HeaderValue;
use http_body::Body;
use http_body_util::Full;
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task};

use super::*;

const REFUSED: Rejected = Rejected::new(Reason::Overloaded, Name::new("bulkhead"));

const NO_QUOTAS: Quotas = Quotas::without_sources(crate::QuotaFields::Draft11);

type Widened = Error<&'static str>;

/// Says of its readiness what it is told to, and answers every call alike.
#[derive(Clone)]
struct Told {
    ready: Rc<Cell<Poll<Result<(), Widened>>>>,
    answer: Result<(), Widened>,
    asked: Rc<Cell<usize>>,
    called: Rc<Cell<usize>>,
}

impl Told {
    fn new(ready: Poll<Result<(), Widened>>, answer: Result<(), Widened>) -> Self {
        Self {
            ready: Rc::new(Cell::new(ready)),
            answer,
            asked: Rc::default(),
            called: Rc::default(),
        }
    }

    fn asked_and_called(&self) -> (usize, usize) {
        (self.asked.get(), self.called.get())
    }
}

impl Service<Request<()>> for Told {
    type Response = Response<Full<Bytes>>;
    type Error = Widened;
    type Future = Ready<Result<Self::Response, Widened>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Widened>> {
        self.asked.set(self.asked.get() + 1);
        self.ready.get()
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        self.called.set(self.called.get() + 1);
        future::ready(self.answer.map(|()| Response::new(Full::from("inner"))))
    }
}

const READY: Poll<Result<(), Widened>> = Poll::Ready(Ok(()));

fn with_method(method: Method) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = method;
    request
}

fn poll_ready<R: Render + Clone>(
    service: &mut RespondService<Told, R>,
) -> Poll<Result<(), &'static str>> {
    task::spawn(()).enter(|cx, _| service.poll_ready(cx))
}

fn call<R: Render + Clone>(
    service: &mut RespondService<Told, R>,
    method: Method,
) -> Result<Response<Answer<Full<Bytes>>>, &'static str> {
    match task::spawn(service.call(with_method(method))).poll() {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("the inner service answers at once"),
    }
}

#[test]
fn answers_and_errors_of_the_service_pass_through() {
    let mut well = RespondService::new(
        Told::new(READY, Ok(())),
        Problem,
        Arrival::NOTHING,
        NO_QUOTAS,
    );
    let answer = call(&mut well, Method::GET).unwrap();
    assert_eq!(answer.body().size_hint().exact(), Some(5));
    assert!(answer.extensions().get::<Rejected>().is_none());

    let mut ill = RespondService::new(
        Told::new(READY, Err(Error::Inner("on fire"))),
        Problem,
        Arrival::NOTHING,
        NO_QUOTAS,
    );
    assert_eq!(call(&mut ill, Method::GET).unwrap_err(), "on fire");
}

#[test]
fn a_refusal_is_answered_and_stays_in_the_extensions() {
    let inner = Told::new(READY, Err(Error::Rejected(REFUSED)));
    let mut service = RespondService::new(inner, Problem, Arrival::NOTHING, NO_QUOTAS);
    let answer = call(&mut service, Method::GET).unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.extensions().get(), Some(&REFUSED));
    assert!(answer.body().size_hint().exact() > Some(0));
}

#[test]
fn a_head_request_is_answered_without_a_body_but_with_its_length() {
    let inner = Told::new(READY, Err(Error::Rejected(REFUSED)));
    let mut service = RespondService::new(inner.clone(), Problem, Arrival::NOTHING, NO_QUOTAS);
    let length = call(&mut service, Method::GET)
        .unwrap()
        .body()
        .size_hint()
        .exact()
        .unwrap();
    let answer = call(&mut service, Method::HEAD).unwrap();
    assert!(answer.body().is_end_stream());
    assert_eq!(answer.headers()[CONTENT_LENGTH], HeaderValue::from(length));

    let own_length = |_: &Rejected| {
        let mut response = Response::new("made by the user");
        response
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from(999));
        response
    };
    let mut service = RespondService::new(inner, own_length, Arrival::NOTHING, NO_QUOTAS);
    let answer = call(&mut service, Method::HEAD).unwrap();
    assert!(answer.body().is_end_stream());
    assert_eq!(answer.headers()[CONTENT_LENGTH], "999");
    assert_eq!(answer.extensions().get(), Some(&REFUSED));
}

#[test]
fn readiness_and_its_errors_pass_through() {
    let inner = Told::new(Poll::Pending, Ok(()));
    let mut service = RespondService::new(inner.clone(), Problem, Arrival::NOTHING, NO_QUOTAS);
    assert_pending!(poll_ready(&mut service));
    inner.ready.set(Poll::Ready(Err(Error::Inner("on fire"))));
    assert_eq!(assert_ready_err!(poll_ready(&mut service)), "on fire");
    inner.ready.set(READY);
    assert_ready_ok!(poll_ready(&mut service));
    assert_eq!(inner.asked_and_called(), (3, 0));
}

#[test]
fn a_refusal_met_while_getting_ready_answers_the_next_call_and_only_that() {
    let inner = Told::new(Poll::Ready(Err(Error::Rejected(REFUSED))), Ok(()));
    let mut service = RespondService::new(inner.clone(), Problem, Arrival::NOTHING, NO_QUOTAS);
    assert_ready_ok!(poll_ready(&mut service));
    assert_ready_ok!(poll_ready(&mut service));
    assert_eq!(call(&mut service, Method::GET).unwrap().status(), 503);
    assert_eq!(inner.asked_and_called(), (1, 0));

    inner.ready.set(READY);
    assert_ready_ok!(poll_ready(&mut service));
    assert_eq!(call(&mut service, Method::GET).unwrap().status(), 200);
    assert_eq!(inner.asked_and_called(), (2, 1));
}

#[test]
fn a_clone_has_met_no_refusal() {
    let inner = Told::new(Poll::Ready(Err(Error::Rejected(REFUSED))), Ok(()));
    let mut service = RespondService::new(inner.clone(), Problem, Arrival::NOTHING, NO_QUOTAS);
    assert_ready_ok!(poll_ready(&mut service));
    inner.ready.set(READY);
    let mut clone = service.clone();
    assert_ready_ok!(poll_ready(&mut clone));
    assert_eq!(call(&mut clone, Method::GET).unwrap().status(), 200);
    assert_eq!(call(&mut service, Method::GET).unwrap().status(), 503);
}

#[cfg(feature = "tonic")]
#[test]
fn the_name_of_a_service_is_kept_under_its_layers() {
    use buttress_core::WidenLayer;
    use tonic::server::NamedService;
    use tower_layer::Layer;

    #[derive(Clone)]
    struct Greeter;
    impl NamedService for Greeter {
        const NAME: &'static str = "hello.Greeter";
    }
    fn name<S: NamedService>(_: &S) -> &'static str {
        S::NAME
    }
    let service = crate::respond_grpc((WidenLayer, WidenLayer)).layer(Greeter);
    assert_eq!(name(&service), "hello.Greeter");
}
