use std::future::Future;

use tokio::time::Instant;

use crate::{Asking, Deadline, Rejected, ServedBy, Sharing, Verdict};

/// How much a call matters, compared with others that want the same slot.
///
/// Never read from a header, unless the application maps one in code. Ordered: `Critical` is the greatest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "five classes, each with a queue of its own"
)]
pub enum Priority {
    /// Work that nobody is waiting for.
    Background,
    /// Work that can wait longer than the rest.
    Low,
    /// What a call is when nobody says anything.
    #[default]
    Normal,
    /// Work that goes before the rest.
    High,
    /// Work that the business lives on.
    Critical,
}

impl Priority {
    /// Every class, the lowest first.
    pub const ALL: [Self; 5] = [
        Self::Background,
        Self::Low,
        Self::Normal,
        Self::High,
        Self::Critical,
    ];

    /// The class as one lower-case word, for logs and figures.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Background => "background",
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// What a layer may write onto a request that it lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mark {
    /// This call finds out whether a broken dependency is well again.
    Probe,
    /// Which attempt of a call this is: for whatever stands further in, in this process.
    Attempt(Attempt),
    /// That this is a retry, and the number of it: for the next service, which does not retry it again.
    Retry(u32),
    /// When nobody waits for the answer any more: for whatever stands further in, and, as the time that remains, for the next
    /// service.
    Deadline {
        /// The moment.
        deadline: Deadline,
        /// The moment at which this is written.
        now: Instant,
        /// Whether the next service is to be told.
        announce: bool,
    },
    /// The key that tells the server that two requests are one operation; it is left alone where there is one.
    IdempotencyKey(u128),
}

/// What an attempt of a call that is tried again knows of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "the layer that tries again makes it in another crate"
)]
pub struct Attempt {
    /// The number of the retry: 0 for the first attempt.
    pub index: u32,
    /// Whether no other follows, however it ends.
    pub is_last: bool,
    /// How the attempt before ended.
    pub previous: Option<Verdict>,
}

/// What a protocol knows of a request, and may write onto it.
///
/// Everything has a default that says "unknown" and writes nothing.
pub trait RequestContext<Req: ?Sized> {
    /// The moment after which nobody waits for the answer.
    fn deadline(&self, request: &Req) -> Option<Deadline> {
        let _ = request;
        None
    }

    /// Whether a request can be told a deadline: where it cannot, nobody reads the clock to make one.
    fn carries_deadline(&self) -> bool {
        false
    }

    /// How much the call matters; `None` counts as [`Priority::Normal`].
    fn priority(&self, request: &Req) -> Option<Priority> {
        let _ = request;
        None
    }

    /// Whether the request is a retry already, of a layer further out or of the caller. It may only forbid another.
    fn is_retry(&self, request: &Req) -> bool {
        let _ = request;
        false
    }

    /// How much the call weighs in a limit of the rate: one, unless somebody says otherwise.
    #[inline(always)]
    fn units(&self, request: &Req) -> u32 {
        let _ = request;
        1
    }

    /// Whether the permit of a call is asked for its [`quota`](crate::Settle::quota), or for a change of it, when the answer is
    /// there: where it is not, a limit of the rate leaves nothing behind that would have to be carried along.
    #[inline(always)]
    fn follows_quota(&self) -> bool {
        false
    }

    /// Whom the answer to this request may be kept for, whatever its key; everybody by default.
    fn sharing(&self, request: &Req) -> Sharing {
        let _ = request;
        Sharing::WithAll
    }

    /// What the request says of answers that are kept; nothing by default.
    fn asking(&self, request: &Req) -> Asking {
        let _ = request;
        Asking::default()
    }

    /// Writes a mark onto the request.
    fn stamp(&self, request: &mut Req, mark: Mark) {
        let _ = (request, mark);
    }
}

/// Knows whether a request may be sent twice.
pub trait Repeatable<Req: ?Sized> {
    /// Whether sending the request twice has the effect of sending it once.
    fn repeatable(&self, request: &Req) -> bool;
}

/// What a layer may write onto an answer that it gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// Which level of a chain has answered.
    ServedBy(ServedBy),
}

/// What a protocol may do with an answer.
pub trait ResponseContext<T> {
    /// The end of an answer that nobody wants.
    type Discard: Future<Output = ()>;

    /// Gives up an answer, in a way that spares what it stands on: over HTTP a short body is read to its end, so that the
    /// connection can be used again.
    fn discard(&self, answer: T) -> Self::Discard;

    /// The refusal of ours that the answer was made of, where it was.
    fn refusal(&self, answer: &T) -> Option<Rejected> {
        let _ = answer;
        None
    }

    /// Whether the answer says of itself that it is no full one, as that of another chain further in does.
    fn is_degraded(&self, answer: &T) -> bool {
        let _ = answer;
        false
    }
}

/// Writes onto answers.
pub trait Annotate<T> {
    /// Writes a note onto the answer; plain answers have no place for one.
    fn annotate(&self, answer: &mut T, note: Note) {
        let _ = (answer, note);
    }
}
