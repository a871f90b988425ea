use buttress_core::ReplayMemory;
use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::Frame;

/// A frame that can be played again.
#[derive(Clone)]
pub(super) enum Piece {
    Data(Bytes),
    Trailers(Box<HeaderMap>),
}

impl Piece {
    /// None for a frame of a kind that nobody knows.
    pub(super) fn of<D: Buf>(frame: Frame<D>) -> Option<Self> {
        match frame.into_data() {
            Ok(mut data) => Some(Self::Data(data.copy_to_bytes(data.remaining()))),
            Err(frame) => {
                let trailers = frame.into_trailers().ok()?;
                Some(Self::Trailers(Box::new(trailers)))
            }
        }
    }

    pub(super) fn into_frame(self) -> Frame<Bytes> {
        match self {
            Self::Data(data) => Frame::data(data),
            Self::Trailers(trailers) => Frame::trailers(*trailers),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Data(data) => data.len(),
            Self::Trailers(_) => 0,
        }
    }
}

/// What is kept of a body, and how far the attempt that runs has played it.
pub(super) struct Buffer {
    memory: ReplayMemory,
    pieces: Vec<Piece>,
    bytes: usize,
    played: usize,
    played_bytes: usize,
    keeps: bool,
}

impl Buffer {
    pub(super) const fn new(memory: ReplayMemory, keeps: bool) -> Self {
        Self {
            memory,
            pieces: Vec::new(),
            bytes: 0,
            played: 0,
            played_bytes: 0,
            keeps,
        }
    }

    pub(super) const fn keeps(&self) -> bool {
        self.keeps
    }

    /// The next piece that the attempt has not seen, of those kept.
    pub(super) fn next(&mut self) -> Option<Piece> {
        let piece = self.pieces.get(self.played).cloned()?;
        self.played += 1;
        self.played_bytes += piece.len();
        self.free_if_done();
        Some(piece)
    }

    /// Keeps a piece that the attempt sees now, if there is room; if not, keeps nothing any more.
    pub(super) fn keep(&mut self, piece: &Piece) {
        let empty = matches!(piece, Piece::Data(data) if data.is_empty());
        if !self.keeps || empty {
            return;
        }
        let bytes = self.bytes.saturating_add(piece.len());
        if bytes > self.memory.per_request() || !self.memory.take(piece.len()) {
            self.stop();
            return;
        }
        self.pieces.push(piece.clone());
        self.bytes = bytes;
        self.played = self.pieces.len();
        self.played_bytes = bytes;
    }

    pub(super) const fn rewind(&mut self) {
        self.played = 0;
        self.played_bytes = 0;
    }

    /// Keeps nothing any more, save what the attempt has yet to play.
    pub(super) fn stop(&mut self) {
        self.keeps = false;
        self.free_if_done();
    }

    fn free_if_done(&mut self) {
        if !self.keeps && self.is_played() {
            self.pieces = Vec::new();
            self.memory.give_back(std::mem::take(&mut self.bytes));
            self.rewind();
        }
    }

    pub(super) const fn is_played(&self) -> bool {
        self.played == self.pieces.len()
    }

    pub(super) const fn bytes_ahead(&self) -> usize {
        self.bytes - self.played_bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.memory.give_back(self.bytes);
    }
}
