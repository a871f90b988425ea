use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Knows how a request is sent more than once.
///
/// Plain requests are cloned; over HTTP the body, which mostly is no `Clone`, is kept while it is sent, as far as
/// [`ReplayMemory`] allows.
#[diagnostic::on_unimplemented(
    message = "the protocol `{Self}` does not know how `{Req}` is sent more than once",
    label = "no `Replay<{Req}>` for `{Self}`",
    note = "a plain request must be `Clone`, or a function must say how it is cloned: `.clone_by(|request: &_| Some(…))`",
    note = "over HTTP the body is kept: `.http()`, `.grpc()`"
)]
pub trait Replay<Req> {
    /// What the inner service gets: the request itself, or one with a body that can be read again.
    type Sent;
    /// What is kept of the request for another attempt.
    type Kept;

    /// Makes the first attempt of a request, and what is kept for another, if it can be sent again at all.
    fn prepare(&self, request: Req, memory: &ReplayMemory) -> (Self::Sent, Option<Self::Kept>);

    /// Makes another attempt. None when not enough could be kept.
    fn replay(&self, kept: &mut Self::Kept) -> Option<Self::Sent>;
}

/// Gets a request back from an error that still holds it, unsent: another attempt needs no copy then, and harms nobody.
pub trait Recover<E, Sent> {
    /// Whether an error may hold a request at all.
    const MAY: bool = false;

    /// Takes the request out of the error. Asked only when it is going to be sent again.
    fn recover(&self, error: &mut E) -> Option<Sent> {
        let _ = error;
        None
    }
}

/// How many bytes of request bodies are kept for another attempt: of one request, and of all together.
///
/// Clones share what is in use.
#[derive(Clone, Debug)]
pub struct ReplayMemory {
    per_request: usize,
    in_all: usize,
    used: Arc<AtomicUsize>,
}

impl ReplayMemory {
    /// Keeps so many bytes of one request, and of all together.
    #[must_use]
    pub fn new(per_request: usize, in_all: usize) -> Self {
        Self {
            per_request,
            in_all,
            used: Arc::default(),
        }
    }

    /// The most that is kept of one request.
    #[must_use]
    pub const fn per_request(&self) -> usize {
        self.per_request
    }

    /// Takes room for so many bytes more, if there is any.
    #[must_use]
    pub fn take(&self, bytes: usize) -> bool {
        let room = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.in_all);
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, room)
            .is_ok()
    }

    /// Gives room back that was taken.
    pub fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// How many bytes are kept at this moment.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}
