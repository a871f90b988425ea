//! Rate limits before handlers: how many requests get in over thirty connections, and what clients are told.

use std::fmt::{Debug, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::error_handling::HandleErrorLayer;
use axum::routing::get;
use buttress::rate_limit::RateLimitBuilder;
use buttress::{
    ClientIp, MissingKey, QuotaFields, Rate, RateLimit, RespondLayer, WidenLayer, as_is, by_header,
};
use buttress_http::{ClientKey, HttpExt, respond};
use bytes::Bytes;
use http::{HeaderName, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tower::ServiceBuilder;
use tower_resilience_ratelimiter::{RateLimiterLayer, RateLimiterServiceError};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::support::{Connection, ask, eventually, serve, serve_made, serve_with_peers, soon};

const CONNECTIONS: usize = 30;

/// The rate of everything here, in a second; as many at once.
const RATE: u32 = 5;

const LOCALHOST: [u8; 4] = [127, 0, 0, 1];

fn five_a_second() -> RateLimitBuilder {
    RateLimit::builder("front").token_bucket(Rate::per_second(RATE))
}

fn hello() -> Router {
    Router::new()
        .route("/left", get(|| async { "hello" }))
        .route("/right", get(|| async { "hello" }))
}

// === How many get in ===

/// One request, between two looks at the clock.
struct Asked {
    sent: Instant,
    answered: Instant,
    answer: Response<Bytes>,
}

impl Asked {
    async fn on(connection: &mut Connection, path: &str) -> Self {
        let sent = Instant::now();
        let answer = connection.ask_again("GET", path).await;
        let answered = Instant::now();
        Self {
            sent,
            answered,
            answer,
        }
    }

    fn is_admitted(&self) -> bool {
        self.answer.status() == 200
    }
}

/// Thirty connections, half of them for each of two routes.
async fn thirty(host: [u8; 4], address: SocketAddr) -> Vec<(Connection, &'static str)> {
    let mut connections = Vec::new();
    for path in ["/left", "/right"].repeat(CONNECTIONS / 2) {
        connections.push((Connection::open_from(host, address).await, path));
    }
    connections
}

/// Asks on thirty connections at once, again and again for so long, and then until somebody is refused.
async fn rush(host: [u8; 4], address: SocketAddr, time: Duration) -> Vec<Asked> {
    let connections = thirty(host, address).await;
    let end = Instant::now() + time;
    let mut tasks = JoinSet::new();
    for (mut connection, path) in connections {
        tasks.spawn(async move {
            let mut asked = vec![Asked::on(&mut connection, path).await];
            while Instant::now() < end {
                asked.push(Asked::on(&mut connection, path).await);
            }
            asked
        });
    }
    let mut asked: Vec<_> = soon("the answers", tasks.join_all())
        .await
        .into_iter()
        .flatten()
        .collect();
    let mut connection = Connection::open_from(host, address).await;
    loop {
        asked.push(Asked::on(&mut connection, "/left").await);
        if !asked.last().unwrap().is_admitted() {
            return asked;
        }
    }
}

/// What a bucket that was full lets through in so long a time: burst + rate × t.
fn bound(time: Duration) -> u128 {
    let rate = u128::from(RATE);
    rate + rate * time.as_nanos() / 1_000_000_000
}

/// As many got in as the bound says: not one more, and, since the last one of all was refused, not one less.
#[track_caller]
fn assert_exactly_the_bound(asked: &[Asked]) -> usize {
    let admitted: Vec<_> = asked.iter().filter(|asked| asked.is_admitted()).collect();
    let first_sent = asked.iter().map(|asked| asked.sent).min().unwrap();
    let last_answered = admitted.iter().map(|asked| asked.answered).max().unwrap();
    let most = bound(last_answered - first_sent);
    // The bucket was full until the first one, and had less than one left when the last one came.
    let first_answered = admitted.iter().map(|asked| asked.answered).min().unwrap();
    let least = bound(asked.last().unwrap().sent - first_answered);
    println!("{} of {}: {least}..={most}", admitted.len(), asked.len());
    assert!(
        (least..=most).contains(&(admitted.len() as u128)),
        "{} admitted: {least}..={most}",
        admitted.len()
    );
    assert!(asked.len() > CONNECTIONS);
    for asked in asked {
        if asked.is_admitted() {
            assert_is_told_what_is_left(&asked.answer);
        } else {
            assert_throttled(&asked.answer);
        }
    }
    admitted.len()
}

/// The fields of draft-ietf-httpapi-ratelimit-headers-11: what is left, and in how many seconds all of it is there again.
#[track_caller]
fn assert_is_told_what_is_left(answer: &Response<Bytes>) {
    assert_eq!(answer.headers()["ratelimit-policy"], r#""default";q=5;w=1"#);
    let told = answer.headers()["ratelimit"].to_str().unwrap();
    let left = (0..RATE).any(|left| told == format!(r#""default";r={left};t=1"#));
    assert!(left, "{told}");
    assert!(!answer.headers().contains_key("retry-after"));
    assert!(!answer.headers().contains_key("x-ratelimit-limit"));
}

/// A refusal as RFC 9457, RFC 9110 and the draft have it: a token comes each 200 ms.
#[track_caller]
fn assert_throttled(answer: &Response<Bytes>) {
    assert_eq!(answer.status(), 429);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    assert_eq!(answer.headers()["retry-after"], "1");
    assert_eq!(answer.headers()["ratelimit"], r#""default";r=0;t=1"#);
    assert_eq!(answer.headers()["ratelimit-policy"], r#""default";q=5;w=1"#);
    let problem: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    let wait = problem["retry_after_ms"].as_u64().unwrap();
    assert!((1..=200).contains(&wait), "{wait} ms");
    let expected = serde_json::json!({
        "type": "about:blank",
        "title": "Too Many Requests",
        "status": 429,
        "reason": "throttled",
        "retry_after_ms": wait,
    });
    assert_eq!(problem, expected);
}

const A_WHILE: Duration = Duration::from_millis(1300);

// proves: RL-1, RL-3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_a_second_are_five_a_second_over_thirty_connections_and_two_routes() {
    let limit = five_a_second().build();
    let address = serve(hello().layer(respond((limit.layer(),)))).await;
    let asked = rush(LOCALHOST, address, A_WHILE).await;
    let admitted = assert_exactly_the_bound(&asked);
    let snapshot = limit.snapshot();
    assert_eq!(snapshot.admitted_count, admitted as u64);
    assert_eq!(snapshot.refused_count, (asked.len() - admitted) as u64);
    // Whoever waits as long as it was told gets in.
    let told = &asked.last().unwrap().answer.headers()["retry-after"];
    sleep(Duration::from_secs(told.to_str().unwrap().parse().unwrap())).await;
    assert_eq!(ask(address, "GET", "/right").await.status(), 200);
}

// proves: RL-1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_a_second_are_five_a_second_when_each_connection_has_a_service_made_for_it() {
    let limit = five_a_second().build();
    let layers = ServiceBuilder::new()
        .layer(RespondLayer::new().quotas_of(&limit.layer()))
        .layer(limit.layer().http().quota_fields(QuotaFields::Draft11))
        .layer(WidenLayer);
    let address = serve_made(hello().layer(layers)).await;
    assert_exactly_the_bound(&rush(LOCALHOST, address, A_WHILE).await);
}

/// One client at six times its rate, and another that keeps it.
// proves: RL-1, RL-2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_a_second_of_each_client_are_that_and_one_does_not_feel_the_other() {
    let limit = five_a_second().keyed().build();
    let layers = respond((limit.by(ClientIp::peer()),));
    let address = serve_with_peers(hello().layer(layers)).await;
    let polite = tokio::spawn(async move {
        let mut connection = Connection::open_from([127, 0, 0, 2], address).await;
        let mut statuses = Vec::new();
        for _ in 0..6 {
            statuses.push(connection.ask_again("GET", "/right").await.status());
            sleep(Duration::from_millis(200)).await;
        }
        statuses
    });
    let greedy = rush(LOCALHOST, address, A_WHILE).await;
    assert_exactly_the_bound(&greedy);
    assert_eq!(polite.await.unwrap(), [StatusCode::OK; 6]);
    let snapshot = limit.snapshot();
    assert_eq!((snapshot.keys, snapshot.without_key_count), (2, 0));
    let key = ClientIp::peer().key_of(LOCALHOST.into());
    assert_eq!(limit.quota(&key).policy.limit, u64::from(RATE));
}

/// A limiter that keeps its state where `Layer::layer` makes it has as many limits as there are connections.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_tower_resilience_five_a_second_are_five_for_each_connection() {
    let limiter = RateLimiterLayer::builder()
        .limit_for_period(RATE as usize)
        .refresh_period(Duration::from_secs(60))
        .timeout_duration(Duration::ZERO)
        .build()
        .unwrap();
    type Failure = RateLimiterServiceError<std::convert::Infallible>;
    let layers = ServiceBuilder::new()
        .layer(HandleErrorLayer::new(|_: Failure| async {
            StatusCode::TOO_MANY_REQUESTS
        }))
        .layer(limiter);
    let address = serve(hello().layer(layers)).await;
    let mut admitted = 0;
    for (mut connection, path) in thirty(LOCALHOST, address).await {
        let answer = connection.ask_again("GET", path).await;
        admitted += usize::from(answer.status() == 200);
    }
    println!("{admitted} of {CONNECTIONS} admitted");
    assert!(
        admitted > RATE as usize,
        "it limits: is this control still one?"
    );
}

// === Whose request it is ===

/// Writes down what is logged at the target of the edge.
#[derive(Clone, Default)]
struct Journal(Arc<Mutex<Vec<String>>>);

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Subscriber for Journal {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "buttress::http"
    }

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields(event.metadata().level().to_string());
        event.record(&mut fields);
        self.0.lock().unwrap().push(fields.0);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// `axum::serve(listener, app)` tells no request where it comes from.
// proves: S-4
#[tokio::test]
async fn without_connect_info_every_request_is_refused_and_one_line_of_the_log_says_why() {
    let journal = Journal::default();
    let _listening = tracing::subscriber::set_default(journal.clone());
    let limit = five_a_second().keyed().build();
    let address = serve(hello().layer(respond((limit.by(ClientIp::peer()),)))).await;
    let (started, mut asked) = (Instant::now(), 0);
    // Another test of this process may just have had the line of this second.
    while asked < 10 || journal.0.lock().unwrap().is_empty() {
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "nothing is said"
        );
        let answer = ask(address, "GET", "/left").await;
        assert_eq!(answer.status(), 429);
        let problem: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
        assert_eq!(problem["reason"], "throttled");
        // It would be refused again, however long it waits.
        assert!(!answer.headers().contains_key("retry-after"));
        asked += 1;
        sleep(Duration::from_millis(5)).await;
    }
    let lines = journal.0.lock().unwrap().clone();
    let seconds = usize::try_from(started.elapsed().as_secs()).unwrap();
    assert!(lines.len() <= 1 + seconds, "{lines:?}");
    let cure = "into_make_service_with_connect_info::<SocketAddr>()";
    for line in &lines {
        assert!(line.starts_with("WARN") && line.contains(cure), "{line}");
    }
    let snapshot = limit.snapshot();
    assert_eq!((snapshot.keys, snapshot.without_key_count), (0, asked));
}

// proves: S-4
#[tokio::test]
async fn requests_without_a_key_share_one_limit_where_that_was_chosen() {
    let limit = five_a_second()
        .keyed()
        .missing_key(MissingKey::Share)
        .build();
    let address = serve(hello().layer(respond((limit.by(ClientIp::peer()),)))).await;
    let asked = rush(LOCALHOST, address, Duration::ZERO).await;
    let admitted = asked.iter().filter(|asked| asked.is_admitted()).count();
    assert!(admitted >= RATE as usize);
    let first = asked.iter().map(|asked| asked.sent).min().unwrap();
    let last = asked.iter().map(|asked| asked.answered).max().unwrap();
    assert!(admitted as u128 <= bound(last - first));
    assert_eq!(limit.snapshot().keys, 0);
}

/// Asks with a header, on a connection of its own.
async fn ask_saying(
    host: [u8; 4],
    address: SocketAddr,
    name: &str,
    value: &str,
) -> Response<Bytes> {
    let mut connection = Connection::open_from(host, address).await;
    let request = Request::get("/left")
        .header("host", "front")
        .header(name, value);
    let answer = connection.pass(request.body(Empty::new()).unwrap()).await;
    let (head, body) = answer.into_parts();
    Response::from_parts(head, body.collect().await.unwrap().to_bytes())
}

// proves: S-1
#[tokio::test]
async fn behind_a_proxy_clients_are_told_apart_and_whoever_goes_past_it_is_himself() {
    let once = Rate::per_hour(1);
    let limit = RateLimit::builder("front")
        .token_bucket(once)
        .keyed()
        .build();
    let client = ClientIp::peer().trusting(["127.0.0.1"]);
    let address = serve_with_peers(hello().layer(respond((limit.by(client),)))).await;
    let ask = async |host, chain| {
        let answer = ask_saying(host, address, "x-forwarded-for", chain).await;
        answer.status().as_u16()
    };
    assert_eq!(ask(LOCALHOST, "198.51.100.1").await, 200);
    assert_eq!(ask(LOCALHOST, "198.51.100.2").await, 200);
    assert_eq!(ask(LOCALHOST, "198.51.100.2").await, 429);
    // What a client writes stands further left than what the proxy has seen.
    assert_eq!(ask(LOCALHOST, "203.0.113.7, 198.51.100.2").await, 429);
    // One that is no proxy says what it likes.
    assert_eq!(ask([127, 0, 0, 9], "198.51.100.3").await, 200);
    for chain in [
        "198.51.100.4",
        "127.0.0.1",
        "",
        "nonsense",
        "198.51.100.3, 127.0.0.1",
    ] {
        assert_eq!(ask([127, 0, 0, 9], chain).await, 429, "{chain}");
    }
    assert_eq!(limit.snapshot().keys, 3);
}

#[tokio::test]
async fn tenants_are_told_apart_by_a_header_and_one_without_it_is_refused() {
    let once = Rate::per_hour(1);
    let limit = RateLimit::builder("front")
        .token_bucket(once)
        .keyed()
        .build();
    let tenant = by_header(HeaderName::from_static("x-tenant"));
    let address = serve(hello().layer(respond((limit.by(tenant),)))).await;
    for (tenant, status) in [
        ("red", 200),
        ("blue", 200),
        ("red", 429),
        ("", 200),
        ("", 429),
    ] {
        let answer = ask_saying(LOCALHOST, address, "x-tenant", tenant).await;
        assert_eq!(answer.status(), status, "{tenant:?}");
    }
    assert_eq!(ask(address, "GET", "/left").await.status(), 429);
    assert_eq!(limit.snapshot().without_key_count, 1);
}

/// A key of one's own, in a closure whose types nobody has to say.
#[tokio::test]
async fn a_closure_is_a_key_and_stands_among_other_layers() {
    let once = Rate::per_hour(1);
    let limit = RateLimit::builder("front")
        .token_bucket(once)
        .keyed()
        .build();
    let by_query = limit.by(|request: &Request<_>| request.uri().query().map(str::to_owned));
    let layers = respond((
        by_query,
        super::two_slots().refusing_layer(),
        super::breaker().layer(),
    ));
    let address = serve(hello().layer(layers)).await;
    for (path, status) in [
        ("/left?a", 200),
        ("/right?a", 429),
        ("/left?b", 200),
        ("/left", 429),
    ] {
        assert_eq!(ask(address, "GET", path).await.status(), status, "{path}");
    }
}

// === What else clients are told ===

/// The strictest of several limits speaks: what it leaves is what there is.
#[tokio::test]
async fn of_two_limits_the_one_with_less_left_is_told() {
    let all = RateLimit::builder("all")
        .token_bucket(Rate::per_hour(100))
        .build();
    let each = RateLimit::builder("each")
        .token_bucket(Rate::per_minute(2))
        .keyed()
        .build();
    let layers = respond((all.layer(), each.by(ClientIp::peer())));
    let layers = layers.quota_fields(QuotaFields::Draft11AndXRateLimit);
    let address = serve_with_peers(hello().layer(layers)).await;
    for (status, left) in [(200, 1), (200, 0), (429, 0)] {
        let answer = ask(address, "GET", "/left").await;
        assert_eq!(answer.status(), status);
        let told = answer.headers()["ratelimit"].to_str().unwrap();
        assert!(
            told.starts_with(&format!(r#""default";r={left};t="#)),
            "{told}"
        );
        assert_eq!(
            answer.headers()["ratelimit-policy"],
            r#""default";q=2;w=60"#
        );
        assert_eq!(answer.headers()["x-ratelimit-limit"], "2");
        assert_eq!(
            answer.headers()["x-ratelimit-remaining"],
            left.to_string().as_str()
        );
        assert!(answer.headers().contains_key("x-ratelimit-reset"));
    }
}

#[tokio::test]
async fn nothing_is_told_where_that_was_chosen() {
    let limit = RateLimit::builder("front")
        .token_bucket(Rate::per_hour(1))
        .build();
    let layers = respond((limit.layer(),)).quota_fields(QuotaFields::None);
    let address = serve(hello().layer(layers)).await;
    for status in [200, 429] {
        let answer = ask(address, "GET", "/left").await;
        assert_eq!(answer.status(), status);
        for field in ["ratelimit", "ratelimit-policy", "x-ratelimit-limit"] {
            assert!(!answer.headers().contains_key(field), "{field}");
        }
    }
}

/// A layer of somebody else between, and the line before the handlers: all get in, at even distances.
// proves: RL-1, RL-4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_wait_in_line_and_whoever_hangs_up_leaves_it() {
    let rate = Rate::per_second(50);
    let line = RateLimit::builder("front").leaky_bucket(rate).build();
    let foreign = as_is(tower::layer::util::Identity::new());
    let layers = respond((line.waiting_layer(), foreign));
    let address = serve(hello().layer(layers)).await;
    let started = Instant::now();
    let mut answers = JoinSet::new();
    for (connection, path) in thirty(LOCALHOST, address).await {
        answers.spawn(connection.ask("GET", path));
    }
    for answer in soon("the answers", answers.join_all()).await {
        assert_eq!(answer.status(), 200);
        // What comes out one by one has no quota.
        assert!(!answer.headers().contains_key("ratelimit"));
    }
    let least = 29 * Duration::from_millis(20) - Duration::from_millis(2);
    assert!(started.elapsed() >= least, "{:?}", started.elapsed());

    line.set_rate(Rate::per_second(1)).unwrap();
    let mut gone = JoinSet::new();
    for (connection, path) in thirty(LOCALHOST, address).await {
        gone.spawn(connection.ask("GET", path));
    }
    eventually(|| line.snapshot().waiting >= 28, true).await;
    gone.shutdown().await;
    eventually(|| line.snapshot().waiting, 0).await;
}

#[tokio::test]
async fn a_client_key_is_told_apart_by_its_address() {
    let limit = five_a_second().keyed().build::<ClientKey>();
    let client = ClientIp::peer();
    let (four, mapped) = ("127.0.0.1", "::ffff:127.0.0.1");
    let key = |text: &str| client.key_of(text.parse().unwrap());
    limit.try_acquire_many(&key(four), 5).map(drop).unwrap();
    assert!(limit.try_acquire(&key(mapped)).is_err());
    limit
        .try_acquire_many(&key("2001:db8::1"), 5)
        .map(drop)
        .unwrap();
    assert!(limit.try_acquire(&key("2001:db8::2")).is_err());
    assert!(limit.try_acquire(&key("2001:db8:0:1::1")).is_ok());
}
