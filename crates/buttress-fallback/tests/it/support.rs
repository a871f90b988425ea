//! Levels that do what they are told.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use buttress_core::{Error, Name, Reason, Rejectable, Rejected, Verdict};
use buttress_fallback::Source;

pub(crate) type Failure = Error<std::io::Error>;

pub(crate) fn down() -> Failure {
    Error::Inner(std::io::Error::other("down"))
}

pub(crate) fn refused(reason: Reason) -> Failure {
    Failure::reject(Rejected::new(reason, Name::new("inner")))
}

/// What a level does with every call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Does {
    Answers,
    Fails,
    Refuses(Reason),
    Hangs,
    /// Ends with an answer that the classifier judges so.
    Says(Verdict),
    /// Ends with an error that it judges so.
    Errs(Verdict),
}

/// Every way in which a level can end.
pub(crate) const EVERYTHING: [Does; 17] = [
    Does::Answers,
    Does::Fails,
    Does::Hangs,
    Does::Refuses(Reason::Overloaded),
    Does::Refuses(Reason::Unavailable),
    Does::Refuses(Reason::Throttled),
    Does::Refuses(Reason::DeadlineExceeded),
    Does::Refuses(Reason::TimedOut),
    Does::Refuses(Reason::Conflict),
    Does::Says(Verdict::Failure),
    Does::Says(Verdict::Overloaded { retry_after: None }),
    Does::Says(Verdict::Throttled { retry_after: None }),
    Does::Says(Verdict::Neutral),
    Does::Errs(Verdict::Success),
    Does::Errs(Verdict::Overloaded { retry_after: None }),
    Does::Errs(Verdict::Throttled { retry_after: None }),
    Does::Errs(Verdict::Neutral),
];

/// How errors say what they are.
const KINDS: [(ErrorKind, Verdict); 4] = [
    (ErrorKind::NotFound, Verdict::Success),
    (
        ErrorKind::ResourceBusy,
        Verdict::Overloaded { retry_after: None },
    ),
    (
        ErrorKind::QuotaExceeded,
        Verdict::Throttled { retry_after: None },
    ),
    (ErrorKind::Interrupted, Verdict::Neutral),
];

fn of_kind(verdict: Verdict) -> Failure {
    let kind = KINDS.iter().find(|(_, of)| *of == verdict);
    Error::Inner(kind.unwrap().0.into())
}

/// Who answered, and what the classifier is to say of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) place: u8,
    pub(crate) verdict: Verdict,
}

pub(crate) async fn play(place: u8, does: Does) -> Result<Answer, Failure> {
    let verdict = match does {
        Does::Answers => Verdict::Success,
        Does::Says(verdict) => verdict,
        Does::Errs(verdict) => return Err(of_kind(verdict)),
        Does::Fails => return Err(down()),
        Does::Refuses(reason) => return Err(refused(reason)),
        Does::Hangs => std::future::pending().await,
    };
    Ok(Answer { place, verdict })
}

/// A level that always does the same, and counts its calls.
pub(crate) fn level<Req: Send + 'static>(
    place: u8,
    does: Does,
    calls: &Arc<AtomicU32>,
) -> Source<Req, Answer, Failure> {
    let calls = Arc::clone(calls);
    Source::function(move |_: Req| {
        calls.fetch_add(1, SeqCst);
        play(place, does)
    })
}

/// Judges answers as they say, and errors as usual.
pub(crate) fn judge(result: Result<&Answer, &Failure>) -> Verdict {
    match result {
        Ok(answer) => answer.verdict,
        Err(Error::Inner(error)) => {
            let kind = KINDS.iter().find(|(kind, _)| *kind == error.kind());
            kind.map_or(Verdict::Failure, |(_, verdict)| *verdict)
        }
        Err(error) => error
            .rejection()
            .map_or(Verdict::Failure, |rejected| rejected.reason().verdict()),
    }
}
