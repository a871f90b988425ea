//! A chain around a plain call, without tower.

use std::error::Error as StdError;
use std::fmt;
use std::future::poll_fn;
use std::mem;
use std::pin::pin;
use std::time::Duration;

use buttress_core::{
    Asking, Classify, Deadline, Keeping, Levels, Name, Plain, Reclassify, Rejectable, Rejected,
    ServedBy, Sharing, Tried, Verdict, find_rejection,
};
use buttress_timer::Timer;
use tokio::time::Instant;

use crate::course::{Env, Shelves};
use crate::descent::{Descent, Step};
use crate::handle::FallbackChain;
use crate::rung::Ask;

/// An answer, and where it comes from.
#[derive(Debug)]
#[non_exhaustive]
pub struct Served<T, E> {
    /// The answer.
    pub answer: T,
    /// Which level gave it, and what became of those before.
    pub by: ServedBy,
    /// The same with their errors.
    pub failed: Vec<Failed<E>>,
}

/// No level has answered, or there was no time for more; or the last has answered with an error of the caller's own.
#[derive(Debug)]
#[non_exhaustive]
pub struct Exhausted<E> {
    /// The chain.
    pub name: Name,
    /// What became of each level that was asked, in this order.
    pub failed: Vec<Failed<E>>,
    /// Whether the last of them is an answer: an error that does not move on, such as a caller's. Then the chain is none the worse.
    pub answered: bool,
    /// Why there was no more to ask: the time was over, the caller's or ours, or all levels were refused by components of ours.
    pub refused: Option<Rejected>,
    /// When to come back: the soonest that a level has named.
    pub retry_after: Option<Duration>,
}

/// What became of a level that was asked in vain.
#[derive(Debug)]
#[non_exhaustive]
pub struct Failed<E> {
    /// The level, and how long it took.
    pub tried: Tried,
    /// What it said.
    pub cause: Cause<E>,
}

/// What a level said that was asked in vain.
#[derive(Debug)]
#[non_exhaustive]
pub enum Cause<E> {
    /// Its error.
    Error(E),
    /// An answer that counts as a failure, and is gone.
    Answer,
    /// A component of ours refused the call, or the time was over.
    Refused(Rejected),
    /// The cache could not be asked.
    Cache(Box<dyn StdError + Send + Sync>),
    /// It has nothing for this request, or the request could not be sent again.
    None,
}

impl<E: StdError + 'static> Cause<E> {
    fn as_error(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Error(error) => Some(error),
            Self::Refused(rejected) => Some(rejected),
            Self::Cache(error) => Some(&**error),
            Self::Answer | Self::None => None,
        }
    }
}

impl<E: fmt::Display> fmt::Display for Exhausted<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.answered {
            write!(f, "{} has answered with an error", self.name)?;
        } else {
            write!(f, "no level of {} has answered", self.name)?;
        }
        if let (Some(refused), true) = (&self.refused, self.failed.is_empty()) {
            write!(f, ": {}", refused.reason())?;
        }
        for (number, failed) in self.failed.iter().enumerate() {
            let comma = if number == 0 { ": " } else { ", " };
            write!(f, "{comma}{}", failed.tried)?;
            if let Cause::Error(error) = &failed.cause {
                write!(f, " ({error})")?;
            }
        }
        Ok(())
    }
}

impl<E: StdError + 'static> StdError for Exhausted<E> {
    /// That of the first level that had one, else why the call was refused; of an answer that is an error, this error.
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let last = self.failed.last().filter(|_| self.answered);
        let mut failed = last.into_iter().chain(&self.failed);
        let of_levels = failed.find_map(|failed| failed.cause.as_error());
        let refused = self.refused.as_ref();
        of_levels.or_else(|| refused.map(|refused| refused as _))
    }
}

impl<Req: Clone, T, E, K: Keeping> FallbackChain<Req, T, E, K> {
    /// Asks the levels one after the other, the chain's own [`primary`](crate::FallbackChainBuilder::primary) first.
    ///
    /// Every error counts as a failure, save a refusal of ours inside of it; [`run_by`](Self::run_by) takes a classifier.
    ///
    /// # Errors
    /// What every level said that was asked, and whether the last has [answered](Exhausted::answered).
    ///
    /// # Panics
    /// Where a level has to be waited for outside of a tokio runtime with a timer.
    ///
    /// # Cancel safety
    /// Dropping the future drops the call of the level that is asked; no other starts.
    pub async fn run(&self, request: Req) -> Result<Served<T, E>, Exhausted<E>>
    where
        Plain<ByError>: Levels<T, T, K, Output = T>,
        E: StdError + 'static,
    {
        self.run_within(None, ByError, find_in, request).await
    }

    /// The same, no longer than until the caller's deadline.
    ///
    /// # Errors
    /// As [`run`](Self::run); nothing is asked after the deadline.
    ///
    /// # Cancel safety
    /// As [`run`](Self::run).
    pub async fn run_before(
        &self,
        deadline: Deadline,
        request: Req,
    ) -> Result<Served<T, E>, Exhausted<E>>
    where
        Plain<ByError>: Levels<T, T, K, Output = T>,
        E: StdError + 'static,
    {
        self.run_within(Some(deadline), ByError, find_in, request)
            .await
    }

    /// The same, with a classifier that says what is a failure.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    ///
    /// # Cancel safety
    /// As [`run`](Self::run).
    pub async fn run_by<C>(&self, classifier: C, request: Req) -> Result<Served<T, E>, Exhausted<E>>
    where
        C: Classify<T, E>,
        E: Rejectable,
        Plain<C>: Levels<T, T, K, Output = T>,
    {
        self.run_within(None, classifier, E::rejection, request)
            .await
    }

    async fn run_within<C>(
        &self,
        deadline: Option<Deadline>,
        classifier: C,
        refusal: fn(&E) -> Option<Rejected>,
        request: Req,
    ) -> Result<Served<T, E>, Exhausted<E>>
    where
        C: Classify<T, E>,
        Plain<C>: Levels<T, T, K, Output = T>,
    {
        let shared = &*self.0;
        let protocol = Plain::new().with(classifier);
        let shelves = Shelves {
            placed: shared.shelves(&request, Sharing::WithAll),
            asking: Asking::default(),
        };
        let env = Env {
            shared,
            protocol: &protocol,
            shelves: shelves.if_any(),
            refusal,
            is_layered: false,
        };
        let times = deadline.map(|deadline| shared.times(Instant::now(), Some(deadline)));
        let mut descent = Descent::<T, E, Vec<Failed<E>>>::new(shared.walk(), times);
        if let Some(Ask::Wrapped) = env.rung(0).map(|rung| &rung.asks) {
            // Without a primary of its own a chain begins below it.
            descent.walk.ask(0);
        }
        let ended = walk_down(&env, &mut descent, Some(request)).await;
        let failed = mem::take(&mut descent.failed);
        let refused = descent.refused(shared.name);
        let answered = match ended {
            Ended::Served(answer, by) => return Ok(Served { answer, by, failed }),
            Ended::Answered => true,
            Ended::Exhausted => {
                shared.tell_exhausted(&descent.trail, refused);
                false
            }
        };
        Err(Exhausted {
            name: shared.name,
            failed,
            answered,
            refused: refused.filter(|_| !answered),
            retry_after: descent.trail.retry_after(),
        })
    }
}

/// How a call has ended.
enum Ended<T> {
    Served(T, ServedBy),
    /// With an error that is an answer.
    Answered,
    Exhausted,
}

/// Asks the levels until one answers.
async fn walk_down<C, Req, T, E, K>(
    env: &Env<'_, Plain<C>, Req, T, E, K>,
    descent: &mut Descent<T, E, Vec<Failed<E>>>,
    mut kept: Option<Req>,
) -> Ended<T>
where
    Req: Clone,
    K: Keeping,
    C: Classify<T, E>,
    Plain<C>: Levels<T, T, K, Output = T>,
{
    let mut next = descent.begin::<_, Req, _, _, _>(env, &mut kept);
    let mut timer = pin!(Timer::new());
    loop {
        let step = match next.take() {
            Some(step) => step,
            None => descent.advance::<_, Req, _, _, _>(env, &mut kept),
        };
        match step {
            Step::Served(answer, by) => return Ended::Served(answer, by),
            Step::Running(running) => {
                let mut running = Some(running);
                let wait =
                    poll_fn(|cx| descent.poll_running(env, &mut running, timer.as_mut(), cx));
                next = wait.await;
            }
            Step::Primary | Step::Over => {}
            Step::Failed(tried, error) => {
                let cause = Cause::Error(error);
                descent.failed.push(Failed { tried, cause });
                return Ended::Answered;
            }
            Step::Exhausted => return Ended::Exhausted,
        }
    }
}

fn find_in<E: StdError + 'static>(error: &E) -> Option<Rejected> {
    find_rejection(error)
}

/// Judges as [`ByResult`](buttress_core::ByResult) does, but errors need no room for a refusal: for functions.
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a classifier without settings is written as its name"
)]
pub struct ByError;

impl<T, E: StdError + 'static> Classify<T, E> for ByError {
    fn classify(&self, result: Result<&T, &E>) -> Verdict {
        match result.map_err(|error| find_rejection(error)) {
            Ok(_) => Verdict::Success,
            Err(None) => Verdict::Failure,
            Err(Some(rejected)) => rejected.reason().verdict(),
        }
    }
}
