use crate::snapshot::State;

/// What the breaker does at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Mode {
    /// Every call is let in.
    Closed = 0,
    /// Closed again, letting in a growing share of the calls.
    Ramping = 1,
    /// Every call is let in and counted, and nothing follows from it.
    MetricsOnly = 2,
    /// Every call is let in and nothing is judged.
    ForcedClosed = 3,
    /// Every call is refused until the open time is over.
    Open = 4,
    /// A few probes are let in.
    HalfOpen = 5,
    /// Every call is refused until somebody says otherwise.
    ForcedOpen = 6,
}

impl Mode {
    const fn from_bits(bits: u64) -> Self {
        match bits & Word::MODE {
            0 => Self::Closed,
            1 => Self::Ramping,
            2 => Self::MetricsOnly,
            3 => Self::ForcedClosed,
            4 => Self::Open,
            5 => Self::HalfOpen,
            _ => Self::ForcedOpen,
        }
    }

    /// The state that a user sees.
    pub(crate) const fn state(self) -> State {
        match self {
            Self::Closed | Self::Ramping => State::Closed,
            Self::MetricsOnly => State::MetricsOnly,
            Self::ForcedClosed => State::ForcedClosed,
            Self::Open => State::Open,
            Self::HalfOpen => State::HalfOpen,
            Self::ForcedOpen => State::ForcedOpen,
        }
    }
}

/// The breaker's mode and the generation it belongs to, in one word: `generation:32 | 0:24 | timed:1 | mode:7`.
///
/// `timed` stands in every word of a breaker that looks for slow calls: whoever gets in then needs the time, so that plainly
/// closed is one question. Every transition begins a new generation, save the end of a ramp, which changes nothing for the calls under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word(u64);

impl Word {
    const MODE: u64 = 0x7f;
    const TIMED: u64 = 0x80;

    /// The first word of a breaker.
    pub(crate) const fn first(timed: bool) -> Self {
        Self(if timed { Self::TIMED } else { 0 } | Mode::Closed as u64)
    }

    #[inline]
    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    #[inline]
    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    #[inline]
    pub(crate) const fn mode(self) -> Mode {
        Mode::from_bits(self.0)
    }

    /// Closed, and nobody needs the time.
    #[inline]
    pub(crate) const fn is_plainly_closed(self) -> bool {
        self.0 & 0xff == Mode::Closed as u64
    }

    /// Closed, and somebody will ask when the call started.
    #[inline]
    pub(crate) const fn is_timed_and_closed(self) -> bool {
        self.0 & 0xff == Self::TIMED | Mode::Closed as u64
    }

    #[inline]
    pub(crate) const fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The word of the next generation.
    pub(crate) const fn next(self, mode: Mode) -> Self {
        let generation = self.generation().wrapping_add(1);
        Self((generation as u64) << 32 | self.0 & Self::TIMED | mode as u64)
    }

    /// The same generation, fully closed: the end of a ramp.
    pub(crate) const fn ramped(self) -> Self {
        Self(self.0 & !Self::MODE | Mode::Closed as u64)
    }
}

/// How a call was let in: `generation:32 | probe:24 | timed:1 | mode:7`. What a permit remembers of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry(u64);

impl Entry {
    /// Marks a permit that has been given back.
    pub(crate) const SETTLED: Self = Self(u64::MAX);
    /// Probes of one round are told apart by this many bits.
    pub(crate) const PROBE_MASK: u32 = 0x00ff_ffff;

    #[inline]
    pub(crate) const fn of(word: Word) -> Self {
        Self(word.0)
    }

    pub(crate) const fn of_probe(word: Word, probe: u32) -> Self {
        Self(word.0 | ((probe & Self::PROBE_MASK) as u64) << 8)
    }

    #[inline]
    pub(crate) const fn generation(self) -> u32 {
        Word(self.0).generation()
    }

    #[cfg(all(test, not(buttress_loom)))]
    pub(crate) const fn mode(self) -> Mode {
        Word(self.0).mode()
    }

    #[inline]
    pub(crate) const fn is_plainly_closed(self) -> bool {
        Word(self.0).is_plainly_closed()
    }

    #[inline]
    pub(crate) const fn is_probe(self) -> bool {
        self.0 & Word::MODE == Mode::HalfOpen as u64
    }

    /// Whether its result goes into the windows.
    #[inline]
    pub(crate) const fn is_judged(self) -> bool {
        self.0 & Word::MODE <= Mode::MetricsOnly as u64
    }

    /// Which probe of its round.
    #[expect(clippy::cast_possible_truncation, reason = "masked to 24 bits")]
    pub(crate) const fn probe(self) -> u32 {
        (self.0 >> 8) as u32 & Self::PROBE_MASK
    }
}
