use std::cell::Cell;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use buttress_bulkhead::{Bulkhead, BulkheadLayer};
use buttress_circuit_breaker::{CircuitBreaker, State};
use buttress_core::{Settle, Verdict};
use buttress_retry::{Backoff, Retry, RetryBudgetLayer};
use buttress_testkit::{HammerReport, Live, Probe, ProbeError, Subject};
use buttress_timeout::AdaptiveTimeout;
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty};
use tower::util::{BoxCloneServiceLayer, MapErrLayer, MapResponseLayer};
use tower::{BoxError, Layer, Service};

/// The components under test; a subject may use some of them.
pub(super) struct Handles {
    pub(super) bulkhead: Bulkhead,
    pub(super) breaker: CircuitBreaker,
    /// A further bulkhead, as large as the first.
    pub(super) other: Bulkhead,
    /// Sends again at once what fails, with a budget that is soon spent.
    pub(super) retry: Retry,
    /// Learns from what calls take, and is far from cutting any.
    pub(super) timeout: AdaptiveTimeout,
    /// Learns nothing.
    pub(super) fixed: AdaptiveTimeout,
    /// Whether nobody counts the calls.
    counts_nothing: Cell<bool>,
    /// Whether calls may wait in front of the first.
    queues: Cell<bool>,
    /// Whether what stands further out sees fewer calls than there are attempts.
    retries_inside: Cell<bool>,
}

/// The slots of the bulkhead under the hammer, and the places in its queue.
const SLOTS: u32 = 3;
const PLACES: u32 = 2;

const HOUR: Duration = Duration::from_secs(3600);

impl Handles {
    /// One slot, and a breaker that is half-open for good with a place for one probe: what is lost once is missed at once.
    pub(super) fn for_one_call() -> Self {
        let breaker = CircuitBreaker::builder("one-call")
            .consecutive_failures(1)
            .open_for(Duration::ZERO)
            .probes(1)
            .successes_to_close(u32::MAX)
            .build();
        breaker.try_acquire().unwrap().settle(Verdict::Failure);
        assert_eq!(breaker.snapshot().state, State::Open);
        let bulkhead = || Bulkhead::builder("one-call").max_concurrent(1).build();
        Self::of(bulkhead, breaker)
    }

    /// Three slots, a short queue, and a breaker that opens and closes all the time.
    pub(super) fn for_many_calls() -> Self {
        let breaker = CircuitBreaker::builder("many-calls")
            .consecutive_failures(3)
            .open_for(Duration::ZERO)
            .probes(2)
            .successes_to_close(2)
            .build();
        let bulkhead = || {
            let builder = Bulkhead::builder("many-calls").max_concurrent(SLOTS);
            builder.queue(PLACES).build()
        };
        Self::of(bulkhead, breaker)
    }

    fn of(bulkhead: impl Fn() -> Bulkhead, breaker: CircuitBreaker) -> Self {
        Self {
            bulkhead: bulkhead(),
            breaker,
            other: bulkhead(),
            retry: Retry::builder("many-calls")
                .retries(2)
                .backoff(Backoff::constant(Duration::ZERO))
                .build(),
            timeout: AdaptiveTimeout::builder("many-calls")
                .min_samples(10)
                .floor(HOUR)
                .total(HOUR)
                .build(),
            fixed: AdaptiveTimeout::fixed(HOUR),
            counts_nothing: Cell::new(false),
            queues: Cell::new(false),
            retries_inside: Cell::new(false),
        }
    }

    /// The layer that retries, further in than another that counts calls.
    pub(super) fn retry_inside(&self) -> RetryBudgetLayer {
        self.retries_inside.set(true);
        self.retry.layer()
    }

    /// A layer around which, and in which, nobody counts calls.
    pub(super) fn alone<L>(&self, layer: L) -> L {
        self.counts_nothing.set(true);
        layer
    }

    /// The layer that lets calls wait.
    pub(super) fn queue(&self) -> BulkheadLayer {
        self.queues.set(true);
        self.bulkhead.layer()
    }

    /// Nothing may be held when no call is open.
    pub(super) fn conserved_by<L, Req, T, E, R>(
        &self,
        subject: Subject<L, Req, T, E, R>,
    ) -> Subject<L, Req, T, E, R> {
        let (breaker, queue) = (self.breaker.clone(), self.bulkhead.clone());
        let (bulkhead, other) = (self.bulkhead.clone(), self.other.clone());
        let retry = self.retry.clone();
        subject
            .conserves("bytes", move || retry.snapshot().kept_bytes)
            .conserves("slots", move || bulkhead.snapshot().active_calls as usize)
            .conserves("places", move || queue.snapshot().queued_calls as usize)
            .conserves("other slots", move || {
                other.snapshot().active_calls as usize
            })
            .conserves("probes", move || breaker.snapshot().probes_in_flight)
    }

    pub(super) fn slots_taken(&self) -> u32 {
        self.bulkhead.snapshot().active_calls
    }

    pub(super) fn probes_in_flight(&self) -> usize {
        self.breaker.snapshot().probes_in_flight
    }

    /// Every call that got through both was settled once, no more than the limit were inside, and the breaker never stuck.
    pub(super) fn assert_all_settled(&self, report: &HammerReport, peak: usize) {
        let (bulkhead, breaker) = (self.bulkhead.snapshot(), self.breaker.snapshot());
        println!("{bulkhead:?}\n{breaker:?}");
        let through_bulkhead =
            bulkhead.success_count + bulkhead.failure_count + bulkhead.neutral_count;
        let through_breaker = breaker.success_count + breaker.failure_count + breaker.neutral_count;
        let budget = self.retry.snapshot().budget;
        let attempts = budget.total_requests + budget.total_retries;
        // The inner one of the two, where there are two. The kit makes one call more when all is over.
        let used = [through_bulkhead, through_breaker, attempts]
            .into_iter()
            .filter(|&count| count > 0);
        let inner_calls = u64::try_from(report.inner_calls).unwrap() + 1;
        if self.counts_nothing.get() {
            assert_eq!(used.count(), 0, "{report}");
        } else if self.retries_inside.get() {
            assert_eq!(attempts, inner_calls, "{report}");
            let first = used.min().unwrap();
            assert_eq!(first, budget.total_requests, "{report}");
        } else {
            assert_eq!(used.min(), Some(inner_calls), "{report}");
        }
        if attempts > 0 {
            assert!(budget.total_retries > 0, "nothing was retried: {report}");
        }
        if through_bulkhead > 0 {
            assert!(peak <= SLOTS as usize, "{report}");
            assert!(
                bulkhead.rejected_calls > 0,
                "the limit was never reached: {report}"
            );
            let waited = bulkhead.waits.count();
            assert_eq!(
                self.queues.get(),
                waited > inner_calls / 100,
                "{waited} waited: {report}"
            );
        }
        if through_breaker > 0 {
            let transitions = u64::from(breaker.transitions);
            assert!(
                transitions > inner_calls / 100,
                "stuck: {transitions} transitions, {report}"
            );
        }
    }
}

/// What layers make of a probe, of one type whatever they are: what tries them is compiled once, and not for each of them.
type Boxed<Req, T, U> = BoxCloneServiceLayer<Probe<T, ProbeError>, Req, U, BoxError>;

/// Plain calls through these layers.
pub(super) fn plain_subject<L, E>(layers: L) -> Subject<Boxed<(), Live, Live>>
where
    L: Layer<Probe<Live, ProbeError>> + Send + Sync + 'static,
    L::Service: Service<(), Response = Live, Error = E, Future: Send>,
    L::Service: Clone + Send + 'static,
    E: Into<BoxError> + 'static,
{
    let boxed = MapErrLayer::new(E::into as fn(E) -> BoxError);
    Subject::new(BoxCloneServiceLayer::new((boxed, layers)))
}

type Sent = Request<Empty<Bytes>>;
type Answer = Response<TwoFrames>;
type Read = Response<UnsyncBoxBody<Bytes, BoxError>>;
type ReadFrame = fn(Pin<&mut Read>, &mut Context<'_>) -> Poll<Option<()>>;

/// Calls over HTTP through these layers, answered with two frames.
pub(super) fn http_subject<L, B, E>(
    layers: L,
) -> Subject<Boxed<Sent, Answer, Read>, Sent, Answer, ProbeError, ReadFrame>
where
    L: Layer<Probe<Answer, ProbeError>> + Send + Sync + 'static,
    L::Service: Service<Sent, Response = Response<B>, Error = E, Future: Send>,
    L::Service: Clone + Send + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    E: Into<BoxError> + 'static,
{
    let body = |body: B| body.map_err(Into::into).boxed_unsync();
    let boxed = (
        MapErrLayer::new(E::into as fn(E) -> BoxError),
        MapResponseLayer::new(move |answer: Response<B>| answer.map(body)),
    );
    Subject::new(BoxCloneServiceLayer::new((boxed, layers)))
        .requests(|| Request::new(Empty::new()))
        .responses(|live| Response::new(TwoFrames::new(live)))
        .reads(|answer, cx| answer.poll_frame(cx).map(|frame| frame.map(drop)))
}

/// A body that is over with its second frame.
pub(super) struct TwoFrames {
    left: usize,
    live: Option<Live>,
}

impl TwoFrames {
    pub(super) fn new(live: Live) -> Self {
        let live = Some(live);
        Self { left: 2, live }
    }
}

impl Body for TwoFrames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(left) = self.left.checked_sub(1) else {
            self.live = None;
            return Poll::Ready(None);
        };
        self.left = left;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"frame")))))
    }
}
