use buttress_core::ReplayMemory;
use bytes::{Buf, Bytes, BytesMut};
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

    /// How many bytes of the body it is.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Data(data) => data.len(),
            Self::Trailers(_) => 0,
        }
    }

    /// How much of the room it takes.
    fn size(&self) -> usize {
        match self {
            Self::Data(data) => data.len(),
            Self::Trailers(trailers) => trailers
                .iter()
                .map(|(name, value)| name.as_str().len() + value.len())
                .sum(),
        }
    }
}

/// Pieces below this are copied together.
const SMALL: usize = 1024;

/// What is kept of a body, and how far the attempt that runs has played it.
pub(super) struct Buffer {
    memory: ReplayMemory,
    pieces: Vec<Piece>,
    bytes: usize,
    /// Of the memory: the bytes, and the trailers.
    taken: usize,
    /// Whether the last piece is a copy of our own.
    copied: bool,
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
            taken: 0,
            copied: false,
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
        // Trailers have a room of their own: a body that just fits stays one that fits.
        let most = self.memory.per_request();
        let bytes = self.bytes.saturating_add(piece.len());
        let taken = self.taken.saturating_add(piece.size());
        if bytes > most || taken - bytes > most || !self.memory.take(piece.size()) {
            self.stop();
            return;
        }
        self.push(piece);
        (self.bytes, self.taken) = (bytes, taken);
        self.played = self.pieces.len();
        self.played_bytes = self.bytes;
    }

    /// Copies what is small, and behind the last piece if that is our own copy: a row of tiny pieces would take far more room than
    /// they have bytes, and a tiny part of a large buffer would keep all of it.
    fn push(&mut self, piece: &Piece) {
        let Piece::Data(data) = piece else {
            return self.pieces.push(piece.clone());
        };
        if data.len() >= SMALL {
            self.copied = false;
            return self.pieces.push(piece.clone());
        }
        let last = if std::mem::replace(&mut self.copied, true) {
            self.pieces.pop()
        } else {
            None
        };
        let mut copy = match last {
            Some(Piece::Data(last)) => last.try_into_mut().unwrap_or_else(|last| {
                // An attempt has it still in hand.
                BytesMut::from(last.as_ref())
            }),
            _ => BytesMut::with_capacity(SMALL),
        };
        copy.extend_from_slice(data);
        self.pieces.push(Piece::Data(copy.freeze()));
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
            self.bytes = 0;
            self.copied = false;
            self.memory.give_back(std::mem::take(&mut self.taken));
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
        self.memory.give_back(self.taken);
    }
}
