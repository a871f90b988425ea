//! What is kept of answers over HTTP, for whom, and what never is.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request as Arriving;
use axum::response::IntoResponse;
use buttress::core::Cached;
use buttress_fallback::{FallbackChain, LocalCache};
use buttress_http::{HttpExt, KeptAnswer, LevelBody};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tower::{Layer, ServiceExt};

use super::{Failure, Sent, client, request, text};
use crate::support::{serve, soon};

type Chain = FallbackChain<Sent, Response<LevelBody>, Failure, Cached<KeptAnswer>>;

/// What the server does with the next request.
type Next = Arc<Mutex<Box<dyn Fn(&Arriving) -> Response<Body> + Send>>>;

struct Case {
    chain: Chain,
    next: Next,
    address: std::net::SocketAddr,
}

impl Case {
    async fn new(cache: impl FnOnce() -> Chain) -> Self {
        let next: Next = Arc::new(Mutex::new(Box::new(|_| "good".into_response())));
        let answers = Arc::clone(&next);
        let app = Router::new().fallback(move |request: Arriving| {
            let answer = answers.lock().unwrap()(&request);
            async move { answer }
        });
        let address = serve(app).await;
        Self {
            chain: cache(),
            next,
            address,
        }
    }

    fn answers(&self, answer: impl Fn(&Arriving) -> Response<Body> + Send + 'static) {
        *self.next.lock().unwrap() = Box::new(answer);
    }

    fn fails(&self) {
        self.answers(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response());
    }

    async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Response<impl http_body::Body<Data = Bytes, Error: std::fmt::Debug> + use<>> {
        let stack = self.chain.layer().http().layer(client(self.address));
        soon("an answer", stack.oneshot(request)).await.unwrap()
    }

    fn kept(&self) -> usize {
        self.chain.snapshot().levels[1].entries
    }
}

fn by_path(request: &Sent) -> Option<String> {
    Some(request.uri().path().to_owned())
}

fn tenant(request: &Sent) -> Option<String> {
    let tenant = request.headers().get("x-tenant")?;
    tenant.to_str().ok().map(str::to_owned)
}

fn shared() -> Chain {
    FallbackChain::builder("cached")
        .local_cache(LocalCache::keyed(by_path).stale_for(Duration::from_secs(60)))
        .build()
}

fn per_tenant() -> Chain {
    FallbackChain::builder("cached")
        .local_cache(LocalCache::keyed(by_path).tenant(tenant))
        .build()
}

fn get(headers: &[(&'static str, &'static str)]) -> Request<Full<Bytes>> {
    let mut get = request("GET", "/page", "");
    for (name, value) in headers {
        get.headers_mut().append(*name, value.parse().unwrap());
    }
    get
}

fn with(name: &'static str, value: &'static str) -> Response<Body> {
    ([(name, value)], "good").into_response()
}

#[tokio::test]
async fn a_good_answer_stands_in_with_its_age() {
    let case = Case::new(shared).await;
    case.answers(|_| with("content-type", "text/x-good"));
    assert_eq!(text(case.send(get(&[])).await).await, "good");
    case.fails();
    let answer = case.send(get(&[])).await;
    assert_eq!(answer.status(), 200);
    for (name, value) in [
        ("x-degraded-mode", "true"),
        ("x-degraded-level", "local-cache"),
        ("cache-control", "no-store"),
        ("age", "0"),
        ("content-type", "text/x-good"),
    ] {
        assert_eq!(answer.headers()[name], value);
    }
    assert_eq!(text(answer).await, "good");
    let other = case.send(request("GET", "/other", "")).await;
    assert_eq!(other.status(), 500, "of another page nothing is kept");
}

#[tokio::test]
async fn what_must_not_be_shared_is_not_kept() {
    let case = Case::new(shared).await;
    let bad: [fn(&Arriving) -> Response<Body>; 9] = [
        |_| StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        |_| StatusCode::NOT_FOUND.into_response(),
        |_| StatusCode::TOO_MANY_REQUESTS.into_response(),
        |_| (StatusCode::PARTIAL_CONTENT, "go").into_response(),
        |_| with("set-cookie", "session=1"),
        |_| with("cache-control", "max-age=60, Private"),
        |_| with("cache-control", "no-store"),
        |_| with("vary", "accept, *"),
        |_| with("x-degraded-mode", "true"),
    ];
    for (number, answer) in bad.into_iter().enumerate() {
        case.answers(answer);
        text(case.send(get(&[])).await).await;
        assert_eq!(case.kept(), 0, "{number}");
    }
    case.answers(|_| "good".into_response());
    for headers in [[("authorization", "Bearer 1")], [("cookie", "session=1")]] {
        text(case.send(get(&headers)).await).await;
    }
    for method in ["POST", "PUT", "HEAD", "DELETE"] {
        text(case.send(request(method, "/page", "")).await).await;
    }
    assert_eq!(case.kept(), 0);
    text(case.send(get(&[])).await).await;
    assert_eq!(case.kept(), 1, "the control");
    // Nor is it given to those who must not share it.
    case.fails();
    assert_eq!(
        case.send(get(&[("cookie", "session=2")])).await.status(),
        500
    );
    assert_eq!(case.send(request("POST", "/page", "")).await.status(), 500);
    assert_eq!(case.send(get(&[])).await.status(), 200);
}

#[tokio::test]
async fn another_tenants_answer_is_never_served() {
    let case = Case::new(per_tenant).await;
    case.answers(|request| {
        let tenant = request.headers()["x-tenant"].to_str().unwrap().to_owned();
        tenant.into_response()
    });
    for of in ["a", "b"] {
        text(
            case.send(get(&[("x-tenant", of), ("authorization", "Bearer 1")]))
                .await,
        )
        .await;
    }
    assert_eq!(case.kept(), 2);
    case.fails();
    for of in ["a", "b"] {
        assert_eq!(
            text(case.send(get(&[("x-tenant", of), ("cookie", "c=1")])).await).await,
            of
        );
    }
    assert_eq!(case.send(get(&[("x-tenant", "c")])).await.status(), 500);
    assert_eq!(case.send(get(&[])).await.status(), 500);
}

#[tokio::test]
async fn only_a_whole_body_of_up_to_256_kib_is_kept() {
    const MOST: usize = 256 * 1024;
    let case = Case::new(shared).await;
    let pieces = |pieces: Vec<Result<Bytes, std::io::Error>>| {
        let pieces = stream::iter(pieces).then(|piece| async {
            // Apart from each other, so that the head is on its way before the body is cut.
            tokio::time::sleep(Duration::from_millis(5)).await;
            piece
        });
        Body::from_stream(pieces).into_response()
    };
    // Too long, with and without a length.
    case.answers(|_| vec![b'x'; MOST + 1].into_response());
    text(case.send(get(&[])).await).await;
    case.answers(move |_| pieces(vec![Ok(vec![b'x'; MOST].into()), Ok("y".into())]));
    text(case.send(get(&[])).await).await;
    assert_eq!(case.kept(), 0);
    // Cut short.
    case.answers(move |_| pieces(vec![Ok("go".into()), Err(std::io::Error::other("cut"))]));
    let cut = case.send(get(&[])).await.into_body().collect().await;
    assert!(cut.is_err());
    // Not read to its end.
    case.answers(move |_| pieces(vec![Ok("go".into()), Ok("od".into())]));
    drop(case.send(get(&[])).await);
    assert_eq!(case.kept(), 0);
    for length in [0, 1, MOST] {
        case.answers(move |_| vec![b'x'; length].into_response());
        text(case.send(get(&[])).await).await;
        assert_eq!(case.kept(), 1);
        case.fails();
        assert_eq!(text(case.send(get(&[])).await).await.len(), length);
    }
}
