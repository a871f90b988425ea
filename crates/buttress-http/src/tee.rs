//! Copies an answer while it goes by, for a cache.

use std::mem;

use buttress_core::{Keep, Keeper};
use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame};

use crate::Code;
use crate::caching::Fate;
use crate::kept_answer::{KeptAnswer, MOST};
use crate::tracked::promised;

/// What is kept while it goes by.
pub(crate) struct Tee {
    kept: KeptAnswer,
    body: Vec<u8>,
    /// How many bytes there will be, if that is known.
    promised: Option<u64>,
    keep: Keep,
    keeper: Keeper<KeptAnswer>,
    /// Whether the trailers must say that all went well.
    is_grpc: bool,
}

/// What becomes of a copy after another frame.
enum Seen {
    More,
    /// It is not to be kept any more, and the answer before is outdated.
    TooLong,
    /// There is no room for it now.
    NoRoom,
}

impl Tee {
    /// Begins with the head, if the answer is to be kept. One that may not be, or is too long, supersedes what was kept before.
    pub(crate) fn begin<B: Body>(
        answer: &Response<B>,
        mut keeper: Keeper<KeptAnswer>,
        is_grpc: bool,
    ) -> Option<Self> {
        let promised = if is_grpc { None } else { promised(answer) };
        let is_short = answer.body().size_hint().lower() <= MOST as u64
            && promised.is_none_or(|bytes| bytes <= MOST as u64);
        let keep = match Fate::of(answer, keeper.asking()) {
            Fate::Keep(keep) if is_short => keep,
            Fate::Keep(_) | Fate::Forget => {
                keeper.forget();
                return None;
            }
            Fate::Leave => return None,
        };
        let kept = KeptAnswer::head_of(answer, keeper.asking());
        keeper.take(kept.bytes()).then(|| Self {
            kept,
            body: Vec::new(),
            promised,
            keep,
            keeper,
            is_grpc,
        })
    }

    /// Takes in a frame, or the end of the body. Nothing is left once the answer is kept, or is not to be.
    pub(crate) fn saw<E>(
        mut self,
        frame: Option<&Result<Frame<Bytes>, E>>,
        is_end: impl FnOnce() -> bool,
    ) -> Option<Self> {
        match frame.map(|frame| frame.as_ref().map(|frame| self.take(frame))) {
            None => self.end(),
            // Whoever reads may not come back for the end.
            Some(Ok(Seen::More)) if is_end() || self.is_all() => self.end(),
            Some(Ok(Seen::More)) => return Some(self),
            Some(Ok(Seen::TooLong)) => self.keeper.forget(),
            Some(Ok(Seen::NoRoom) | Err(_)) => {}
        }
        None
    }

    fn take(&mut self, frame: &Frame<Bytes>) -> Seen {
        if let Some(data) = frame.data_ref() {
            if self.body.len() + data.len() > MOST {
                return Seen::TooLong;
            }
            if !self.makes_room(data.len()) {
                return Seen::NoRoom;
            }
            self.body.extend_from_slice(data);
        } else if let Some(trailers) = frame.trailers_ref()
            && !self.keeper.take(self.kept.end(trailers))
        {
            return Seen::NoRoom;
        }
        Seen::More
    }

    /// Grows as a vector does, as far as there is memory.
    fn makes_room(&mut self, more: usize) -> bool {
        let (all, capacity) = (self.body.len() + more, self.body.capacity());
        if all <= capacity {
            return true;
        }
        let promised = self.promised.and_then(|bytes| usize::try_from(bytes).ok());
        let wanted = promised.unwrap_or(capacity * 2).clamp(all, MOST);
        if !self.keeper.take(wanted - capacity) {
            return false;
        }
        self.body.reserve_exact(wanted - self.body.len());
        true
    }

    /// Whether all that was promised has gone by.
    fn is_all(&self) -> bool {
        self.promised == Some(self.body.len() as u64)
    }

    /// The last frame has gone by.
    pub(crate) fn end(mut self) {
        if self.promised.is_some() && !self.is_all() {
            return;
        }
        let ending = self.kept.trailers.as_ref().unwrap_or(&self.kept.headers);
        match Code::in_headers(ending) {
            Some(Code::Ok) => {}
            _ if !self.is_grpc => {}
            code if code.is_some_and(is_superseding) => return self.keeper.forget(),
            _ => return,
        }
        // Of its exact size.
        self.kept.body = mem::take(&mut self.body).into_boxed_slice().into();
        let keep = Keep {
            bytes: self.kept.bytes(),
            ..self.keep
        };
        self.keeper.keep(self.kept, keep);
    }
}

/// Whether an answer with this code says that the good one before is outdated.
const fn is_superseding(code: Code) -> bool {
    matches!(
        code,
        Code::NotFound | Code::PermissionDenied | Code::Unauthenticated
    )
}
