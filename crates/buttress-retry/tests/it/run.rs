//! Retries around plain functions, without tower.

use std::cell::Cell;
use std::io;

use buttress_core::{Error, Name, Reason, Rejected, Verdict};
use buttress_retry::Stop;
use tokio::time::Instant;

use super::{SECOND, plain};

#[tokio::test(start_paused = true)]
async fn a_function_that_fails_twice_succeeds_at_its_third_call() {
    let (retry, calls) = (plain(), Cell::new(0));
    let start = Instant::now();
    let answer = retry.run(async || {
        calls.set(calls.get() + 1);
        if calls.get() < 3 {
            return Err(io::Error::other("flaky"));
        }
        Ok(calls.get())
    });
    assert_eq!(answer.await.unwrap(), 3);
    assert_eq!(start.elapsed(), SECOND * 3 / 10);
    assert_eq!(retry.snapshot().budget.total_retries, 2);
}

// proves: RB-10
#[tokio::test(start_paused = true)]
async fn a_refusal_inside_of_an_error_is_the_end() {
    let (retry, calls) = (plain(), Cell::new(0));
    let rejected = Rejected::new(Reason::Overloaded, Name::new("pool"));
    let answer = retry.run(async || {
        calls.set(calls.get() + 1);
        Err::<(), _>(io::Error::other(Error::<io::Error>::Rejected(rejected)))
    });
    assert!(answer.await.is_err());
    assert_eq!(calls.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn any_result_can_be_judged() {
    let (retry, calls) = (plain(), Cell::new(0));
    let judge = |result: Result<&u32, &String>| match result {
        Ok(_) => Verdict::Success,
        Err(error) if error == "busy" => Verdict::Failure,
        Err(_) => Verdict::Neutral,
    };
    let answer = retry.run_by(judge, async || {
        calls.set(calls.get() + 1);
        Err::<u32, _>(
            if calls.get() == 1 {
                "busy"
            } else {
                "no such row"
            }
            .to_owned(),
        )
    });
    assert_eq!(answer.await.unwrap_err(), "no such row");
    assert_eq!(calls.get(), 2);
    assert_eq!(retry.snapshot().stopped(Stop::Attempts), 0);
}
