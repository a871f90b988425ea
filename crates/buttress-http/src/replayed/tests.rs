use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use buttress_testkit::{deep, seed};
use http::HeaderMap;

use super::*;

const ROOM: usize = 64 * 1024;

/// Plays its frames; none stands for a pending poll.
struct Script(VecDeque<Option<Frame<Bytes>>>);

impl Body for Script {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.0.pop_front() {
            Some(None) => Poll::Pending,
            Some(Some(frame)) => Poll::Ready(Some(Ok(frame))),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let data = self.0.iter().flatten().filter_map(Frame::data_ref);
        SizeHint::with_exact(data.map(|data| data.len() as u64).sum())
    }
}

/// Does not tell its length.
struct Unsized(Script);

impl Body for Unsized {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

fn trailers() -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("sum", http::HeaderValue::from_static("1"));
    trailers
}

fn chunked(random: &mut Random, bytes: &Bytes) -> Script {
    let (mut frames, mut rest) = (VecDeque::new(), bytes.clone());
    while !rest.is_empty() {
        let length = random.below(rest.len()) + 1;
        frames.push_back(Some(Frame::data(rest.split_to(length))));
        if random.below(4) == 0 {
            frames.push_back(None);
        }
    }
    frames.push_back(Some(Frame::trailers(trailers())));
    Script(frames)
}

/// Reads at most so many steps: the bytes, the trailers, and whether the body has ended well.
fn read<B>(body: &mut Replayed<B>, steps: usize) -> (Vec<u8>, Option<HeaderMap>, bool)
where
    B: Body<Error = Infallible>,
{
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let (mut bytes, mut trailers) = (Vec::new(), None);
    for _ in 0..steps {
        let before = body.size_hint();
        match Pin::new(&mut *body).poll_frame(&mut cx) {
            Poll::Pending => {}
            Poll::Ready(None) => return (bytes, trailers, true),
            Poll::Ready(Some(frame)) => match frame.unwrap().into_data() {
                Ok(data) => {
                    if let (Some(before), Some(after)) = (before.exact(), body.size_hint().exact())
                    {
                        assert_eq!(before, after + data.len() as u64);
                    }
                    bytes.extend_from_slice(&data);
                }
                Err(frame) => trailers = frame.into_trailers().ok(),
            },
        }
    }
    (bytes, trailers, false)
}

// proves: RB-5
#[test]
fn each_attempt_sends_the_same_bytes_and_trailers() {
    let mut random = Random(seed());
    let source = Bytes::from_iter((0..4096_u32).map(|n| n.to_le_bytes()[n as usize % 2]));
    let memory = ReplayMemory::new(ROOM, 16 * ROOM);
    for _ in 0..deep(10_000, 1_000_000) {
        let bytes = source.slice(random.below(64)..random.below(1024) + 64);
        let body = chunked(&mut random, &bytes);
        let (first, kept) = KeptRequest::prepare(Request::new(body), &memory);
        let (mut body, kept) = (first.into_body(), kept.unwrap());
        for _ in 0..random.below(3) {
            let (part, ..) = read(&mut body, random.below(12));
            assert_eq!(part, bytes[..part.len()]);
            let next = kept.replay().unwrap().into_body();
            let mut old = std::mem::replace(&mut body, next);
            if random.below(2) == 0 && !old.over {
                let mut cx = Context::from_waker(std::task::Waker::noop());
                let frame = Pin::new(&mut old).poll_frame(&mut cx);
                let Poll::Ready(Some(Err(error))) = frame else {
                    panic!("an old attempt reads on");
                };
                assert!(error.is::<Superseded>());
            }
        }
        assert_eq!(body.size_hint().exact(), Some(bytes.len() as u64));
        let kept = (random.below(2) == 0).then_some(kept);
        assert_eq!(
            read(&mut body, usize::MAX),
            (bytes.to_vec(), Some(trailers()), true)
        );
        assert!(body.is_end_stream());
        drop((body, kept));
        assert_eq!(memory.used(), 0);
    }
}

// proves: RB-5
#[test]
fn a_body_above_the_room_streams_on_and_is_not_replayed() {
    let mut random = Random(seed());
    for (length, again) in [(ROOM - 1, true), (ROOM, true), (ROOM + 1, false)] {
        let bytes = Bytes::from(vec![7; length]);
        let memory = ReplayMemory::new(ROOM, 2 * ROOM);
        let sized = chunked(&mut random, &bytes);
        let (_, kept) = KeptRequest::prepare(Request::new(sized), &memory);
        assert_eq!(kept.is_some(), again);

        let body = Unsized(chunked(&mut random, &bytes));
        let (first, kept) = KeptRequest::prepare(Request::new(body), &memory);
        let (mut first, kept) = (first.into_body(), kept.unwrap());
        assert_eq!(read(&mut first, usize::MAX).0, bytes);
        let trailers = "sum".len() + "1".len();
        assert_eq!(memory.used(), if again { length + trailers } else { 0 });
        let second = kept.replay();
        assert_eq!(second.is_some(), again);
        if let Some(second) = second {
            assert_eq!(read(&mut second.into_body(), usize::MAX).0, bytes);
        }
        drop((first, kept));
        assert_eq!(memory.used(), 0);
    }
}

struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn an_attempt_that_waits_is_woken_when_it_is_superseded() {
    let memory = ReplayMemory::new(ROOM, ROOM);
    let body = Script(VecDeque::from([None, None]));
    let (first, kept) = KeptRequest::prepare(Request::new(body), &memory);
    let count = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Arc::clone(&count).into();
    let mut first = first.into_body();
    assert!(
        Pin::new(&mut first)
            .poll_frame(&mut Context::from_waker(&waker))
            .is_pending()
    );
    let _second = kept.unwrap().replay().unwrap();
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
}

/// A body of tiny parts of one large buffer takes the room of its bytes, and little more.
// proves: RB-5
#[test]
fn a_row_of_tiny_pieces_is_kept_as_one() {
    let large = Bytes::from(vec![7; 1 << 20]);
    let pieces = (0..10_000).map(|n| Some(Frame::data(large.slice(n..=n))));
    let memory = ReplayMemory::new(ROOM, ROOM);
    let (first, kept) = KeptRequest::prepare(Request::new(Script(pieces.collect())), &memory);
    let (mut first, kept) = (first.into_body(), kept.unwrap());
    assert_eq!(read(&mut first, usize::MAX).0.len(), 10_000);
    assert_eq!(memory.used(), 10_000);
    let mut second = kept.replay().unwrap().into_body();
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut second).poll_frame(&mut cx) else {
        panic!("nothing was kept");
    };
    assert_eq!(frame.into_data().unwrap().len(), 10_000);
}

#[test]
fn trailers_take_room_too() {
    let memory = ReplayMemory::new(3, ROOM);
    let script = || Script(VecDeque::from([Some(Frame::trailers(trailers()))]));
    let (first, kept) = KeptRequest::prepare(Request::new(script()), &memory);
    assert!(read(&mut first.into_body(), usize::MAX).1.is_some());
    assert!(kept.unwrap().replay().is_none());
    assert_eq!(memory.used(), 0);
}

/// Breaks off after its first frame.
struct Broken(bool);

impl Body for Broken {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        let first = std::mem::replace(&mut self.0, false);
        Poll::Ready(Some(if first {
            Ok(Frame::data(Bytes::from_static(b"hello")))
        } else {
            Err(std::io::Error::other("the disk is on fire"))
        }))
    }
}

#[test]
fn a_body_that_has_broken_off_never_looks_whole() {
    let memory = ReplayMemory::new(ROOM, ROOM);
    let (first, kept) = KeptRequest::prepare(Request::new(Broken(true)), &memory);
    let (mut first, kept) = (first.into_body(), kept.unwrap());
    let mut cx = Context::from_waker(std::task::Waker::noop());
    assert!(matches!(
        Pin::new(&mut first).poll_frame(&mut cx),
        Poll::Ready(Some(Ok(_)))
    ));
    assert!(matches!(
        Pin::new(&mut first).poll_frame(&mut cx),
        Poll::Ready(Some(Err(_)))
    ));
    assert!(kept.replay().is_none());
    assert_eq!(first.size_hint().exact(), Some(0), "for it all is over");
    assert_eq!(first.shared.size_hint(0).exact(), None);
}
