use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use buttress_core::ReplayMemory;
use buttress_sync::Mutex;
use http_body::{Body, SizeHint};

use super::buffer::{Buffer, Piece};

/// A body, and who reads it: one attempt at a time.
pub(super) struct Shared<B: Body>(Mutex<State<B>>);

struct State<B: Body> {
    source: Source<B>,
    buffer: Buffer,
    /// The attempt that reads; an older one is superseded.
    attempt: u64,
    /// Wakes the attempt that reads, if it waits.
    waker: Option<Waker>,
    /// What a superseded attempt has read for the next.
    handed: Option<Step<B::Error>>,
    /// What the source said of itself before it was last polled or after.
    hint: SizeHint,
    at_end: bool,
}

enum Source<B> {
    /// Boxed, for it changes hands between attempts and must not move.
    Here(Pin<Box<B>>),
    /// An attempt polls it at this moment.
    Out,
    Ended,
    /// It has failed, or panicked: nothing can be read any more.
    Broken,
}

/// What an attempt gets when it asks for a frame.
pub(super) enum Step<E> {
    Wait,
    Frame(Piece),
    End,
    Failed(E),
    Superseded,
}

impl<B: Body> Shared<B> {
    pub(super) fn new(body: B, memory: ReplayMemory, keeps: bool) -> Self {
        Self(Mutex::new(State {
            hint: body.size_hint(),
            at_end: body.is_end_stream(),
            source: Source::Here(Box::pin(body)),
            buffer: Buffer::new(memory, keeps),
            attempt: 0,
            waker: None,
            handed: None,
        }))
    }

    pub(super) fn poll(&self, attempt: u64, cx: &mut Context<'_>) -> Step<B::Error> {
        let source = match self.0.lock().begin(attempt, cx) {
            Ok(source) => source,
            Err(step) => return step,
        };
        let mut lent = Lent {
            shared: self,
            source: Some(source),
        };
        let step = lent.read(cx);
        lent.put_back(attempt, step, cx)
    }

    /// Lets another attempt read from the start, if enough was kept.
    pub(super) fn start_over(&self) -> Option<u64> {
        let mut state = self.0.lock();
        let failed = matches!(state.source, Source::Broken);
        if failed || !state.buffer.keeps() {
            return None;
        }
        state.attempt += 1;
        state.buffer.rewind();
        let (attempt, waker) = (state.attempt, state.waker.take());
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        Some(attempt)
    }

    pub(super) fn keep_no_more(&self) {
        self.0.lock().buffer.stop();
    }

    pub(super) fn is_at_end(&self, attempt: u64) -> bool {
        let state = self.0.lock();
        state.attempt == attempt
            && state.at_end
            && state.handed.is_none()
            && state.buffer.is_played()
    }

    pub(super) fn size_hint(&self, attempt: u64) -> SizeHint {
        let state = self.0.lock();
        if state.attempt != attempt {
            return SizeHint::default();
        }
        let handed = match &state.handed {
            Some(Step::Frame(piece)) => piece.len(),
            _ => 0,
        };
        longer(&state.hint, (state.buffer.bytes_ahead() + handed) as u64)
    }
}

fn longer(hint: &SizeHint, bytes: u64) -> SizeHint {
    let mut longer = SizeHint::new();
    // The upper end first: a lower one above it is refused with a panic.
    if let Some(upper) = hint.upper() {
        longer.set_upper(upper.saturating_add(bytes));
    }
    longer.set_lower(hint.lower().saturating_add(bytes));
    longer
}

impl<B: Body> State<B> {
    /// Gives the source out to be polled, or the step that needs none.
    fn begin(&mut self, attempt: u64, cx: &Context<'_>) -> Result<Pin<Box<B>>, Step<B::Error>> {
        if self.attempt != attempt {
            return Err(Step::Superseded);
        }
        if let Some(piece) = self.buffer.next() {
            return Err(Step::Frame(piece));
        }
        if let Some(step) = self.handed.take() {
            self.note(&step);
            return Err(step);
        }
        match std::mem::replace(&mut self.source, Source::Out) {
            Source::Here(source) => return Ok(source),
            Source::Out => {
                self.wait(cx);
                return Err(Step::Wait);
            }
            Source::Ended => self.source = Source::Ended,
            Source::Broken => {
                self.source = Source::Broken;
                return Err(Step::Superseded);
            }
        }
        Err(Step::End)
    }

    fn wait(&mut self, cx: &Context<'_>) {
        match &mut self.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
    }

    fn note(&mut self, step: &Step<B::Error>) {
        if let Step::Frame(piece) = step {
            self.buffer.keep(piece);
        }
    }
}

/// The source while it is polled, without the lock. A panic of it leaves it broken.
struct Lent<'a, B: Body> {
    shared: &'a Shared<B>,
    source: Option<Pin<Box<B>>>,
}

impl<B: Body> Lent<'_, B> {
    fn read(&mut self, cx: &mut Context<'_>) -> Step<B::Error> {
        let Some(source) = &mut self.source else {
            return Step::End;
        };
        loop {
            match source.as_mut().poll_frame(cx) {
                Poll::Pending => return Step::Wait,
                Poll::Ready(None) => return Step::End,
                Poll::Ready(Some(Err(error))) => return Step::Failed(error),
                Poll::Ready(Some(Ok(frame))) => {
                    if let Some(piece) = Piece::of(frame) {
                        return Step::Frame(piece);
                    }
                }
            }
        }
    }

    fn put_back(mut self, attempt: u64, step: Step<B::Error>, cx: &Context<'_>) -> Step<B::Error> {
        let Some(source) = &self.source else {
            return step;
        };
        let (hint, at_end) = match step {
            Step::End => (SizeHint::with_exact(0), true),
            // A body that breaks off is not whole: nobody may take what there is of it for all.
            Step::Failed(_) => (SizeHint::default(), false),
            _ => (source.size_hint(), source.is_end_stream()),
        };
        // Dropped after the lock is released: it is code of others.
        let mut finished = self.source.take();
        let mut state = self.shared.0.lock();
        (state.hint, state.at_end) = (hint, at_end);
        state.source = match (
            &step,
            finished.take_if(|_| !matches!(step, Step::End | Step::Failed(_))),
        ) {
            (_, Some(source)) => Source::Here(source),
            (Step::Failed(_), None) => Source::Broken,
            (_, None) => Source::Ended,
        };
        if state.attempt == attempt {
            state.note(&step);
            if matches!(step, Step::Wait) {
                state.wait(cx);
            }
            return step;
        }
        if !matches!(step, Step::Wait | Step::End) {
            state.handed = Some(step);
        }
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
        Step::Superseded
    }
}

impl<B: Body> Drop for Lent<'_, B> {
    fn drop(&mut self) {
        if self.source.is_some() {
            let mut state = self.shared.0.lock();
            state.source = Source::Broken;
            let waker = state.waker.take();
            drop(state);
            waker.into_iter().for_each(Waker::wake);
        }
    }
}
