//! Every chain of up to four levels, with every way in which each of them can end, against a naive model.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use buttress_core::{Level, Outcome, Reason, Rejectable, Verdict, by};
use buttress_fallback::{FallbackChain, Source};
use buttress_sync::Mutex;
use tokio_test::task;
use tower::{Layer, ServiceExt, service_fn};

use crate::support::{Answer, Does, EVERYTHING, Failure, judge, level, play};

/// What the model expects of a call.
#[derive(Debug, PartialEq)]
enum Expected {
    /// This place answers, and what became of those before.
    Answer(usize, Vec<Outcome>),
    /// The error of this place is the end.
    Error(usize, Vec<Outcome>),
    Exhausted(Vec<Outcome>),
}

/// The promise, word by word: in order, each once, on after what is listed.
fn model(levels: &[Does]) -> Expected {
    let mut errors = Vec::new();
    for (place, does) in levels.iter().enumerate() {
        match does {
            Does::Answers | Does::Says(Verdict::Throttled { .. } | Verdict::Neutral) => {
                return Expected::Answer(place, errors);
            }
            Does::Refuses(Reason::DeadlineExceeded | Reason::Conflict)
            | Does::Errs(Verdict::Success | Verdict::Throttled { .. } | Verdict::Neutral) => {
                return Expected::Error(place, errors);
            }
            Does::Fails | Does::Says(Verdict::Failure) => errors.push(Outcome::Failed),
            Does::Says(_) | Does::Errs(_) => errors.push(Outcome::Overloaded),
            Does::Refuses(reason) => errors.push(Outcome::Refused(*reason)),
            Does::Hangs => errors.push(Outcome::Refused(Reason::TimedOut)),
        }
    }
    Expected::Exhausted(errors)
}

/// Every row of so many levels.
fn rows(levels: usize) -> Vec<Vec<Does>> {
    let mut rows = vec![Vec::new()];
    for _ in 0..levels {
        let longer = |row: &Vec<Does>| EVERYTHING.map(|does| [row.as_slice(), &[does]].concat());
        rows = rows.iter().flat_map(longer).collect();
    }
    rows
}

struct Tried {
    chain: FallbackChain<u32, Answer, Failure>,
    calls: Vec<Arc<AtomicU32>>,
    shown: Arc<Mutex<u32>>,
}

/// Levels of different kinds, the later ones given first: their order is not that of the builder's calls.
fn chain(row: &[Does]) -> Tried {
    let calls: Vec<Arc<AtomicU32>> = row.iter().map(|_| Arc::default()).collect();
    let shown = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&shown);
    let mut builder = FallbackChain::builder("table").on_error(move |_, _| *counted.lock() += 1);
    for (place, does) in row.iter().enumerate().rev() {
        let source = level(u8::try_from(place).unwrap(), *does, &calls[place]);
        builder = match place {
            0 => builder.primary(source),
            1 => builder.replica(source),
            2 => builder.backup(source),
            _ => builder.default(source),
        };
    }
    Tried {
        chain: builder.build(),
        calls,
        shown,
    }
}

impl Tried {
    /// Those up to the one where it ended were asked once, and no other.
    fn assert_asked(&self, last: usize, row: &[Does]) {
        for (place, calls) in self.calls.iter().enumerate() {
            assert_eq!(
                calls.load(SeqCst),
                u32::from(place <= last),
                "{place} of {row:?}"
            );
        }
    }

    /// What was counted of each level, and every error was shown, once.
    fn assert_counted(&self, expected: &Expected, row: &[Does]) {
        let snapshot = self.chain.snapshot();
        let (ended, errors) = match expected {
            Expected::Answer(place, errors) | Expected::Error(place, errors) => {
                (Some(*place), errors)
            }
            Expected::Exhausted(errors) => (None, errors),
        };
        for (place, level) in snapshot.levels.iter().enumerate() {
            let counts = (level.served, level.failed, level.passed_over);
            let is_refusal = row
                .get(place)
                .is_some_and(|does| matches!(does, Does::Refuses(_)));
            let expected = match errors.get(place) {
                Some(outcome) if outcome.is_passed_over() => (0, 0, 1),
                Some(_) => (0, 1, 0),
                None if ended != Some(place) => (0, 0, 0),
                None if is_refusal => (0, 0, 1),
                None => (1, 0, 0),
            };
            assert_eq!(counts, expected, "{place} of {row:?}");
            assert_eq!(level.active_calls, 0, "{row:?}");
        }
        let is_exhausted = matches!(expected, Expected::Exhausted(_));
        assert_eq!(snapshot.exhausted, u64::from(is_exhausted), "{row:?}");
        let moved_on = row.iter().take(errors.len());
        let is_error =
            |does: &&Does| matches!(does, Does::Fails | Does::Refuses(_) | Does::Errs(_));
        assert_eq!(
            *self.shown.lock() as usize,
            moved_on.filter(is_error).count(),
            "{row:?}"
        );
    }
}

const LEVELS: [Level; 4] = [
    Level::Primary,
    Level::Replica,
    Level::Backup,
    Level::Default,
];

/// Behaviour 6 among them: the primary where it can, undegraded; else the replica; else on down to the default.
// proves: FC-1, FC-2, FC-3
#[tokio::test(start_paused = true)]
#[expect(clippy::too_many_lines, reason = "one table")]
async fn every_row_runs_as_the_model_says() {
    let (mut met, mut answered) = (0, 0);
    for row in (1..=4).flat_map(rows) {
        met += 1;
        let tried = chain(&row);
        let result = tried.chain.run_by(by(judge), 7).await;
        let expected = model(&row);
        tried.assert_counted(&expected, &row);
        match (expected, result) {
            (Expected::Answer(place, errors), Ok(served)) => {
                answered += 1;
                assert_eq!(usize::from(served.answer.place), place, "{row:?}");
                assert_eq!(
                    (served.by.level, usize::from(served.by.place)),
                    (LEVELS[place], place)
                );
                assert_eq!(served.by.degraded, place > 0);
                let trail = served
                    .by
                    .errors
                    .as_slice()
                    .iter()
                    .map(|tried| tried.outcome());
                assert_eq!(trail.collect::<Vec<_>>(), errors, "{row:?}");
                assert_eq!(served.failed.len(), errors.len());
                tried.assert_asked(place, &row);
            }
            (Expected::Error(place, errors), Err(exhausted)) => {
                tried.assert_asked(place, &row);
                assert_eq!(exhausted.failed.len(), errors.len() + 1, "{row:?}");
                assert!(exhausted.answered, "{row:?}");
            }
            (Expected::Exhausted(errors), Err(exhausted)) => {
                tried.assert_asked(row.len(), &row);
                let said = exhausted.failed.iter().map(|failed| failed.tried.outcome());
                assert_eq!(said.collect::<Vec<_>>(), errors, "{row:?}");
                assert!(!exhausted.answered, "{row:?}");
            }
            (expected, result) => panic!("{row:?}: {expected:?}, not {result:?}"),
        }
    }
    println!("{met} rows, {answered} of them answered");
    assert_eq!(met, 17 + 17 * 17 + 17 * 17 * 17 + 17 * 17 * 17 * 17);
}

// proves: FC-1, FC-2, FC-3
#[tokio::test(start_paused = true)]
#[expect(clippy::too_many_lines, reason = "one table")]
async fn every_row_through_a_layer_ends_as_the_model_says() {
    for row in (1..=4).flat_map(rows) {
        let tried = chain(&row);
        let (primary, counted) = (row[0], Arc::clone(&tried.calls[0]));
        let service = service_fn(move |_: u32| {
            counted.fetch_add(1, SeqCst);
            play(0, primary)
        });
        let stack = tried.chain.layer().classify(by(judge)).layer(service);
        let result = stack.oneshot(7).await;
        let expected = model(&row);
        tried.assert_counted(&expected, &row);
        match (&expected, result) {
            (Expected::Answer(place, _), Ok(answer)) => {
                assert_eq!(usize::from(answer.place), *place, "{row:?}");
                tried.assert_asked(*place, &row);
            }
            (Expected::Error(place, _), Err(error)) => {
                let said = error.rejection().map(|rejected| rejected.reason());
                match row[*place] {
                    Does::Refuses(reason) => assert_eq!(said, Some(reason), "{row:?}"),
                    does => assert_eq!(Does::Errs(judge(Err(&error))), does, "{row:?}"),
                }
                tried.assert_asked(*place, &row);
            }
            // What the primary said goes to the caller, unchanged.
            (Expected::Exhausted(_), result) => {
                match (row[0], &result) {
                    (Does::Says(verdict), Ok(answer)) => {
                        assert_eq!((answer.place, answer.verdict), (0, verdict));
                    }
                    (Does::Fails | Does::Errs(_), Err(error)) => {
                        assert_eq!(error.rejection(), None);
                    }
                    (Does::Refuses(reason), Err(error)) => {
                        let rejected = error.rejection().unwrap();
                        assert_eq!(
                            (rejected.reason(), rejected.component().as_str()),
                            (reason, "inner")
                        );
                    }
                    (Does::Hangs, Err(error)) => {
                        let rejected = error.rejection().unwrap();
                        assert_eq!(
                            (rejected.reason(), rejected.component().as_str()),
                            (Reason::TimedOut, "table")
                        );
                    }
                    (does, result) => panic!("{does:?}: {result:?}"),
                }
                tried.assert_asked(row.len(), &row);
            }
            (expected, result) => panic!("{row:?}: {expected:?}, not {result:?}"),
        }
    }
}

// proves: FC-3
#[tokio::test]
async fn the_predicate_decides_after_which_verdicts_it_moves_on() {
    for verdict in [
        Verdict::Success,
        Verdict::Failure,
        Verdict::Overloaded { retry_after: None },
        Verdict::Throttled { retry_after: None },
        Verdict::Neutral,
    ] {
        for moves in [false, true] {
            let calls = Arc::default();
            let chain = FallbackChain::builder("moves")
                .primary(level(0, Does::Says(verdict), &calls))
                .default(level(1, Does::Answers, &calls))
                .moves_on(move |_| moves)
                .build();
            let served = chain.run_by(by(judge), 1).await.unwrap();
            let moved = moves && verdict != Verdict::Success;
            assert_eq!(served.by.place, u8::from(moved), "{verdict:?}");
        }
    }
}

// proves: FC-3
#[tokio::test]
async fn a_panic_is_nobody_elses() {
    let calls = Arc::default();
    let chain = FallbackChain::<u32, Answer, Failure>::builder("panics")
        .default(level(1, Does::Answers, &calls))
        .build();
    let service = service_fn(async |_: u32| -> Result<Answer, Failure> { panic!("a bug") });
    let stack = chain.layer().layer(service);
    let mut call = task::spawn(stack.oneshot(1));
    let polled = catch_unwind(AssertUnwindSafe(|| call.poll().is_ready()));
    assert!(polled.is_err());
    assert_eq!(calls.load(SeqCst), 0);
}

#[test]
fn what_makes_no_sense_is_said() {
    let calls = Arc::default();
    let builder = || FallbackChain::<u32, Answer, Failure>::builder("settings");
    let setting = |builder: buttress_fallback::FallbackChainBuilder<u32, Answer, Failure>| {
        builder
            .try_build()
            .map(drop)
            .map_err(|error| error.setting())
    };
    assert_eq!(setting(builder()), Ok(()));
    assert_eq!(setting(FallbackChain::builder("No Name")), Err("name"));
    for share in [-0.1, 1.1, f64::NAN] {
        assert_eq!(setting(builder().exercise(share)), Err("exercise"));
    }
    assert_eq!(
        setting(builder().total_time(std::time::Duration::ZERO)),
        Err("total_time")
    );
    let brief = builder().primary_time(std::time::Duration::ZERO);
    assert_eq!(setting(brief), Err("primary_time"));
    // What is there at once would not heed it.
    let answer = Answer {
        place: 0,
        verdict: Verdict::Success,
    };
    let limited = builder().backup(Source::value(answer).limit(1));
    assert_eq!(setting(limited), Err("value"));
    let primary = || level(0, Does::Answers, &calls);
    assert_eq!(
        setting(builder().primary(primary()).primary(primary())),
        Err("primary")
    );
    let replicas =
        |number: usize| (0..number).fold(builder(), |builder, _| builder.replica(primary()));
    assert_eq!(setting(replicas(7)), Ok(()));
    assert_eq!(setting(replicas(8)), Err("levels"));
    assert_eq!(
        setting(replicas(7).primary(primary())),
        Ok(()),
        "the primary has its place anyhow"
    );
}
