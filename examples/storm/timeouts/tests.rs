//! What is noted, and what is told of it.

use super::*;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn history() -> History {
    let limit = |at, timeout| At {
        at: ms(at),
        what: Limit {
            timeout: ms(timeout),
        },
    };
    let turned = |at, turn| At {
        at: ms(at),
        what: Turned { turn },
    };
    History {
        limits: vec![limit(0, 500), limit(100, 150), limit(900, 300)],
        turns: vec![turned(300, Turn::Frozen), turned(700, Turn::Resumed)],
        ends: vec![
            (ms(50), End::Answered(ms(20))),
            (ms(60), End::Answered(ms(10))),
            (ms(99), End::Cut),
            (ms(100), End::Failed),
        ],
    }
}

#[test]
fn an_attempt_belongs_to_the_span_in_which_it_was_sent() {
    let timed = history().timed(ms(0)..ms(100));
    let expected = Timed {
        answered: 2,
        failed: 0,
        cut: 1,
        p50: Some(ms(10)),
        p95: Some(ms(20)),
        timeout: Some(ms(500)),
    };
    assert_eq!((timed, timed.all()), (expected, 3));
    assert_eq!(history().timed(ms(100)..ms(200)).failed, 1);
}

#[test]
fn a_timeout_stands_until_the_next_and_the_last_until_the_end() {
    let stood = history().stood(ms(1_000));
    let expected = [(0..100, 500), (100..900, 150), (900..1_000, 300)];
    let expected = expected.map(|(span, timeout)| (ms(span.start)..ms(span.end), ms(timeout)));
    assert_eq!(stood, expected);
    assert_eq!(history().stood(ms(500)).len(), 2);
    assert_eq!(History::default().timed(ms(0)..ms(100)), Timed::default());
}

#[test]
fn it_is_frozen_until_it_learns_again_or_the_run_is_over() {
    assert_eq!(history().frozen(ms(1_000)), [ms(300)..ms(700)]);
    assert_eq!(history().frozen(ms(500)), [ms(300)..ms(500)]);
    assert_eq!(history().frozen(ms(300)), []);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_is_dropped_was_cut() {
    let (timings, start) = (Timings::default(), Instant::now());
    let answer = |after| {
        let answer = async move {
            tokio::time::sleep(ms(after)).await;
            if after < 20 { Ok(()) } else { Err(()) }
        };
        timings.clone().time(Upstream::Payments, answer)
    };
    let limit = |after| tokio::time::timeout(ms(50), answer(after));
    let ended = tokio::join!(limit(60), limit(15), limit(25));
    assert!(ended.0.is_err() && ended.1.is_ok() && ended.2.is_ok());
    let timed = timings.since(start).payments.timed(ms(0)..ms(1));
    assert_eq!((timed.answered, timed.failed, timed.cut), (1, 1, 1));
    assert_eq!(timed.p50, Some(ms(15)));
}

#[tokio::test(start_paused = true)]
async fn what_is_noted_is_told_apart_by_upstream_and_only_news_of_a_timeout_is_kept() {
    let (timings, start) = (Timings::default(), Instant::now());
    for timeout in [500, 500, 150] {
        tokio::time::sleep(ms(10)).await;
        timings.allow(Upstream::Payments, ms(timeout));
    }
    let answer = async {
        tokio::time::sleep(ms(15)).await;
        Ok::<_, ()>(())
    };
    timings
        .clone()
        .time(Upstream::Payments, answer)
        .await
        .unwrap();
    let PerUpstream {
        inventory,
        payments,
    } = timings.since(start);
    assert!(inventory.limits.is_empty() && inventory.ends.is_empty());
    assert_eq!(payments.stood(ms(50)).len(), 2);
    assert_eq!(payments.ends, [(ms(30), End::Answered(ms(15)))]);
}

#[test]
fn programs_read_times_beside_what_was_so_from_then_on() {
    let json = serde_json::to_string(&history()).unwrap();
    assert!(
        json.contains(r#"{"at_ms":100.0,"timeout_ms":150.0}"#)
            && json.contains(r#"{"at_ms":300.0,"turn":"frozen"}"#),
        "{json}"
    );
}
