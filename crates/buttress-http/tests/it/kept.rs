//! What a chain keeps of answers, and when it gives what, on paused time.

use std::convert::Infallible;
use std::time::Duration;

use buttress_core::{Cached, Deadline, Error, Reason, Rejected, WidenLayer};
use buttress_fallback::{DistributedCacheLevel, FallbackChain, InMemory, LocalCache, Source};
use buttress_http::{FallbackBody, HttpExt, KeptAnswer, LevelBody, Replayed};
use buttress_http::{respond, respond_grpc};
use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use tokio::time::{Instant, sleep};
use tower::{Layer, ServiceExt, service_fn};

type Body = Full<Bytes>;
type Sent = Request<Replayed<Body>>;
type Failure = Error<Infallible>;
type Chain = FallbackChain<Sent, Response<LevelBody>, Failure, Cached<KeptAnswer>>;
type Answers = Response<FallbackBody<LevelBody, LevelBody>>;

const SECOND: Duration = Duration::from_secs(1);

/// An answer after so long, with these headers.
#[derive(Clone, Copy)]
struct Says {
    after: Duration,
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    text: &'static str,
}

const GOOD: Says = Says {
    after: Duration::ZERO,
    status: 200,
    headers: &[],
    text: "good",
};

const BAD: Says = Says {
    status: 500,
    text: "bad",
    ..GOOD
};

const fn good(headers: &'static [(&'static str, &'static str)]) -> Says {
    Says { headers, ..GOOD }
}

struct Case {
    chain: Chain,
}

impl Case {
    fn new(cache: impl FnOnce(By) -> LocalCache<KeptAnswer, By>) -> Self {
        let by: By = |request| Some(request.uri().path().to_owned());
        let builder = FallbackChain::builder("kept").body_memory(1024 * 1024);
        Self {
            chain: builder.local_cache(cache(by)).build(),
        }
    }

    async fn ask(&self, says: Says, headers: &[(&'static str, &'static str)]) -> Answers {
        self.send("GET", says, headers).await
    }

    async fn send(
        &self,
        method: &str,
        says: Says,
        headers: &[(&'static str, &'static str)],
    ) -> Answers {
        let primary = service_fn(move |_: Sent| async move {
            sleep(says.after).await;
            Ok::<_, Infallible>(says.answer())
        });
        let mut request = Request::builder().method(method).uri("/page");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::from("")).unwrap();
        let stack = self.chain.layer().http().layer(WidenLayer.layer(primary));
        stack.oneshot(request).await.unwrap()
    }

    async fn read(&self, says: Says, headers: &[(&'static str, &'static str)]) -> String {
        text(self.ask(says, headers).await).await
    }

    fn entries(&self) -> usize {
        self.chain.snapshot().levels[1].entries
    }
}

type By = fn(&Sent) -> Option<String>;

impl Says {
    /// In two frames, of which the length is not known.
    fn answer(self) -> Response<LevelBody> {
        let (first, second) = self.text.split_at(self.text.len() / 2);
        let frames =
            [first, second].map(|text| Ok::<_, Infallible>(Frame::data(Bytes::from(text))));
        let body = LevelBody::new(StreamBody::new(stream::iter(frames)));
        let mut answer = Response::builder().status(self.status);
        for (name, value) in self.headers {
            answer = answer.header(*name, *value);
        }
        answer.body(body).unwrap()
    }
}

async fn text(answer: Answers) -> String {
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn stale() -> Case {
    Case::new(|by| LocalCache::keyed(by).stale_for(100 * SECOND))
}

// proves: FC-9
#[tokio::test(start_paused = true)]
async fn an_answer_is_as_old_as_it_was_when_it_came_and_since_it_was_asked_for() {
    let case = stale();
    let old = Says {
        after: 2 * SECOND,
        ..good(&[("age", "40")])
    };
    case.read(old, &[]).await;
    sleep(10 * SECOND).await;
    let answer = case.ask(BAD, &[]).await;
    assert_eq!(answer.headers()["age"], "52");
    assert_eq!(answer.headers().get_all("age").iter().count(), 1);
    // So it is stale the sooner.
    sleep(48 * SECOND).await;
    assert_eq!(case.ask(BAD, &[]).await.status(), 500);
}

// proves: FC-9
#[tokio::test(start_paused = true)]
async fn an_older_answer_that_is_read_later_does_not_replace_a_newer_one() {
    let case = stale();
    let older = case
        .ask(
            Says {
                text: "older",
                ..GOOD
            },
            &[],
        )
        .await;
    sleep(SECOND).await;
    case.read(
        Says {
            text: "newer",
            ..GOOD
        },
        &[],
    )
    .await;
    text(older).await;
    assert_eq!(case.read(BAD, &[]).await, "newer");
}

// proves: FC-8
#[tokio::test(start_paused = true)]
async fn a_good_answer_that_may_not_be_kept_takes_the_one_before_away() {
    for (says, stays) in [
        (good(&[("cache-control", "no-store")]), false),
        (good(&[("set-cookie", "a=1")]), false),
        (
            Says {
                status: 404,
                ..GOOD
            },
            false,
        ),
        (
            Says {
                status: 410,
                ..GOOD
            },
            false,
        ),
        (
            Says {
                status: 304,
                ..GOOD
            },
            true,
        ),
        (
            Says {
                status: 429,
                ..GOOD
            },
            true,
        ),
        (good(&[("x-degraded-mode", "local-cache")]), true),
        (BAD, true),
    ] {
        let case = stale();
        case.read(GOOD, &[]).await;
        case.read(says, &[]).await;
        assert_eq!(case.entries(), usize::from(stays), "{}", says.status);
    }
}

// proves: FC-8, FC-9
#[tokio::test(start_paused = true)]
async fn one_of_an_older_question_takes_nothing_newer_away() {
    let case = stale();
    let slow = Says {
        after: SECOND,
        ..good(&[("cache-control", "no-store")])
    };
    let mut slow = Box::pin(case.ask(slow, &[]));
    assert!(futures_util::FutureExt::now_or_never(&mut slow).is_none());
    sleep(SECOND / 2).await;
    case.read(GOOD, &[]).await;
    slow.await;
    assert_eq!(case.entries(), 1);
}

// proves: FC-8
#[tokio::test(start_paused = true)]
async fn an_answer_that_must_not_be_given_stale_is_not() {
    let case = stale();
    case.read(
        good(&[("cache-control", "max-age=5, must-revalidate")]),
        &[],
    )
    .await;
    sleep(4 * SECOND).await;
    assert_eq!(case.read(BAD, &[]).await, "good");
    sleep(SECOND).await;
    assert_eq!(case.ask(BAD, &[]).await.status(), 500);
}

// proves: FC-8
#[tokio::test(start_paused = true)]
async fn an_answer_is_fresh_no_longer_than_it_says() {
    let case = Case::new(|by| LocalCache::keyed(by).fresh_for(10 * SECOND));
    let new = Says {
        text: "new",
        ..GOOD
    };
    let brief = good(&[("cache-control", "max-age=2")]);
    assert_eq!(case.read(brief, &[]).await, "good");
    sleep(SECOND).await;
    assert_eq!(case.read(new, &[]).await, "good");
    sleep(SECOND).await;
    assert_eq!(case.read(new, &[]).await, "new");
    // This one says nothing of it.
    sleep(9 * SECOND).await;
    assert_eq!(case.read(GOOD, &[]).await, "new");
    sleep(SECOND).await;
    assert_eq!(case.read(GOOD, &[]).await, "good");
}

// proves: FC-8
#[tokio::test(start_paused = true)]
async fn a_change_outdates_what_was_kept_and_is_answered_by_nothing_of_it() {
    let case = Case::new(|by| LocalCache::keyed(by).fresh_for(10 * SECOND));
    let new = Says {
        text: "new",
        ..GOOD
    };
    assert_eq!(case.read(GOOD, &[]).await, "good");
    // One that fails changes nothing, and what was kept is no answer to it.
    assert_eq!(text(case.send("PUT", BAD, &[]).await).await, "bad");
    assert_eq!(case.read(new, &[]).await, "good");
    // Whoever does it: what it outdates was kept for all.
    let made = Says {
        status: 204,
        text: "",
        ..GOOD
    };
    case.send("PUT", made, &[("authorization", "me")]).await;
    assert_eq!(case.read(BAD, &[]).await, "bad");
    assert_eq!(case.read(new, &[]).await, "new");
}

// proves: FC-8
#[tokio::test(start_paused = true)]
async fn what_was_kept_for_another_variant_is_not_given() {
    for fresh in [Duration::ZERO, 50 * SECOND] {
        let case = Case::new(|by| LocalCache::keyed(by).fresh_for(fresh));
        let says = good(&[("vary", "accept-language")]);
        case.read(says, &[("accept-language", "en"), ("accept", "a")])
            .await;
        let other = case.ask(BAD, &[("accept-language", "de")]).await;
        assert_eq!(other.status(), 500);
        let same = case
            .ask(BAD, &[("accept-language", "en"), ("accept", "b")])
            .await;
        assert_eq!(text(same).await, "good");
    }
}

// proves: FC-8
#[tokio::test(start_paused = true)]
async fn a_request_that_wants_a_new_answer_gets_an_old_one_only_where_there_is_no_other() {
    let case = Case::new(|by| LocalCache::keyed(by).fresh_for(50 * SECOND));
    case.read(GOOD, &[]).await;
    let newer = Says {
        text: "newer",
        ..GOOD
    };
    let reload = [("cache-control", "no-cache")];
    assert_eq!(case.read(newer, &[]).await, "good");
    assert_eq!(case.read(newer, &reload).await, "newer");
    assert_eq!(case.read(BAD, &reload).await, "newer");
    // Nor is the answer kept where the request forbids that.
    let secret = Says {
        text: "secret",
        ..GOOD
    };
    let no_store = [("cache-control", "no-store")];
    assert_eq!(case.read(secret, &no_store).await, "secret");
    assert_eq!(case.read(BAD, &[]).await, "newer");
}

// proves: FC-9
#[tokio::test(start_paused = true)]
async fn a_slow_reader_keeps_nobody_from_a_new_answer() {
    let case = Case::new(|by| LocalCache::keyed(by).fresh_for(SECOND));
    case.read(GOOD, &[]).await;
    sleep(2 * SECOND).await;
    // One is sent for another, gets its head, and does not read on.
    let unread = case.ask(GOOD, &[]).await;
    let newer = Says {
        text: "newer",
        ..GOOD
    };
    assert_eq!(case.read(newer, &[]).await, "newer");
    assert_eq!(case.read(BAD, &[]).await, "newer", "fresh again");
    drop(unread);
}

// proves: FC-7
#[tokio::test(start_paused = true)]
async fn answers_on_their_way_into_a_cache_are_bounded_in_all() {
    static LONG: [u8; 250_000] = [b'x'; 250_000];
    let case = stale();
    let says = Says {
        text: std::str::from_utf8(&LONG).unwrap(),
        ..GOOD
    };
    let mut bodies = Vec::new();
    for _ in 0..10 {
        let mut body = case.ask(says, &[]).await.into_body();
        // Half of it, so that all of it is under way.
        body.frame().await.unwrap().unwrap();
        bodies.push(body);
    }
    let copied = || case.chain.snapshot().copied_bytes;
    assert!((900_000..=1024 * 1024).contains(&copied()), "{}", copied());
    drop(bodies);
    assert_eq!((copied(), case.entries()), (0, 0));
    // What is kept counts as what it takes, and holds no more than that.
    case.read(says, &[]).await;
    let kept = &case.chain.snapshot().levels[1];
    assert!((250_000..251_000).contains(&kept.bytes), "{}", kept.bytes);
    assert_eq!(copied(), 0);
}

/// A primary that hangs, and whose caller does not wait long.
async fn too_late(is_grpc: bool) -> Response<Bytes> {
    let chain: FallbackChain<Sent, Response<LevelBody>, Failure> = FallbackChain::builder("late")
        .replica(Source::function(async |_: Sent| Ok(GOOD.answer())))
        .primary_time(60 * SECOND)
        .build();
    let hangs = service_fn(|_: Sent| std::future::pending::<Result<Response<LevelBody>, _>>());
    let mut request = Request::new(Full::from(""));
    let deadline = Deadline::after(Instant::now(), SECOND);
    request.extensions_mut().insert(deadline);
    macro_rules! answer {
        ($layers:expr) => {{
            let (head, body) = $layers
                .layer(hangs)
                .oneshot(request)
                .await
                .unwrap()
                .into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            Response::from_parts(head, body)
        }};
    }
    if is_grpc {
        answer!(respond_grpc(chain.layer()))
    } else {
        answer!(respond(chain.layer()))
    }
}

// proves: FC-1
#[tokio::test(start_paused = true)]
async fn a_deadline_that_has_passed_is_said_to_be_that_and_is_known_as_a_refusal() {
    let answer = too_late(false).await;
    assert_eq!(answer.status(), 504);
    let body = std::str::from_utf8(answer.body()).unwrap();
    assert_eq!(
        body,
        r#"{"type":"about:blank","title":"Gateway Timeout","status":504,"reason":"deadline-exceeded","levels":[{"level":"primary","reason":"deadline-exceeded","took_ms":1000}]}"#
    );
    let grpc = too_late(true).await;
    assert_eq!(grpc.headers()["grpc-status"], "4");
    assert_eq!(
        grpc.headers()["grpc-message"],
        "no level has answered in time: primary deadline-exceeded"
    );
    for answer in [answer, grpc] {
        let rejected: &Rejected = answer.extensions().get().unwrap();
        assert_eq!(rejected.reason(), Reason::DeadlineExceeded);
        assert_eq!(rejected.component().as_str(), "late");
    }
}

// proves: FC-9
#[tokio::test(start_paused = true)]
async fn what_was_read_before_a_change_is_not_kept_after_it() {
    let case = Case::new(|by| LocalCache::keyed(by).fresh_for(60 * SECOND));
    let slow = Says {
        after: 3 * SECOND,
        ..GOOD
    };
    let new = Says {
        text: "new",
        ..GOOD
    };
    let change = async {
        sleep(SECOND).await;
        case.send("POST", GOOD, &[]).await
    };
    let (before, _) = tokio::join!(case.read(slow, &[]), change);
    assert_eq!(before, "good");
    assert_eq!(case.read(new, &[]).await, "new");
}

// proves: FC-6, FC-8
#[tokio::test(start_paused = true)]
async fn who_wants_it_anew_is_not_given_what_was_kept_to_see_whether_the_cache_works() {
    let by: By = |request| Some(request.uri().path().to_owned());
    let cache = InMemory::new(10, 100_000, 600 * SECOND);
    let chain = FallbackChain::builder("kept")
        .distributed_cache(DistributedCacheLevel::keyed(cache, by))
        .exercise(1.0)
        .build();
    let case = Case { chain };
    let new = Says {
        text: "new",
        ..GOOD
    };
    assert_eq!(case.read(GOOD, &[]).await, "good");
    assert_eq!(case.read(new, &[]).await, "good", "exercised");
    let anew = [("cache-control", "no-cache")];
    assert_eq!(case.read(new, &anew).await, "new");
    // Of a change nothing is kept, so there is no cache to be tried, nor one that has failed.
    let before = case.chain.snapshot();
    case.send("POST", GOOD, &[]).await;
    let after = case.chain.snapshot();
    assert_eq!(after.exercised, before.exercised);
    assert_eq!(after.levels[1].failed, before.levels[1].failed);
}
