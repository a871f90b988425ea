use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use crate::error::ProbeError;
use crate::probe::Probe;
use crate::reader::Whole;
use crate::script::Script;
use crate::tally::Live;

/// A layer under test, with all that a check must know about it.
///
/// Requests are `()`, responses [`Live`] and errors [`ProbeError`] unless said otherwise. Every check
/// takes a *fixture*: a closure that makes a fresh subject, so that no case sees the state of another.
///
/// # Examples
///
/// ```
/// use buttress_testkit::{Subject, dropped_future_frees};
/// use std::sync::Arc;
/// use tokio::sync::Semaphore;
/// use tower::limit::GlobalConcurrencyLimitLayer;
///
/// let fixture = || {
///     let slots = Arc::new(Semaphore::new(1));
///     let layer = GlobalConcurrencyLimitLayer::with_semaphore(slots.clone());
///     Subject::new(layer).conserves("slots", move || 1 - slots.available_permits())
/// };
/// dropped_future_frees(fixture)?;
/// # Ok::<(), buttress_testkit::Breach>(())
/// ```
pub struct Subject<L, Req = (), T = Live, E = ProbeError, R = Whole> {
    pub(crate) layer: L,
    pub(crate) probe: Probe<T, E>,
    pub(crate) request: Box<dyn Fn() -> Req + Send + Sync>,
    pub(crate) reader: R,
    pub(crate) upkeep: Upkeep,
}

impl<L> Subject<L> {
    /// Puts `layer` to the test; a tuple of layers, outermost first, is a layer too.
    #[must_use]
    pub fn new(layer: L) -> Self {
        Self {
            layer,
            probe: Probe::new(Script::default()),
            request: Box::new(|| ()),
            reader: Whole,
            upkeep: Upkeep::default(),
        }
    }
}

impl<L, Req, T, E, R> Subject<L, Req, T, E, R> {
    /// Sends requests made by `request`.
    #[must_use]
    pub fn requests<Q>(
        self,
        request: impl Fn() -> Q + Send + Sync + 'static,
    ) -> Subject<L, Q, T, E, R> {
        Subject {
            layer: self.layer,
            probe: self.probe,
            request: Box::new(request),
            reader: self.reader,
            upkeep: self.upkeep,
        }
    }

    /// Lets the inner service make its responses with `respond`; see [`Probe::responding`].
    #[must_use]
    pub fn responses<U>(
        self,
        respond: impl Fn(Live) -> U + Send + Sync + 'static,
    ) -> Subject<L, Req, U, E, R> {
        self.map_probe(|probe| probe.responding(respond))
    }

    /// Lets the inner service make its errors with `fail`, from which [`ProbeError::is_in`] must still
    /// tell them.
    #[must_use]
    pub fn errors<F>(
        self,
        fail: impl Fn(ProbeError) -> F + Send + Sync + 'static,
    ) -> Subject<L, Req, T, F, R> {
        self.map_probe(|probe| probe.failing(fail))
    }

    /// Makes the inner service [`Infallible`]; checks then leave out what needs an error.
    #[must_use]
    pub fn infallible(self) -> Subject<L, Req, T, Infallible, R> {
        self.map_probe(Probe::infallible)
    }

    /// Reads responses part by part with `read`: `Some` is a part, `None` the end.
    ///
    /// For an HTTP response: `|response, cx| response.poll_frame(cx).map(|frame| frame.map(drop))`.
    /// Say it last: what is read is what the layer makes of everything said before.
    #[must_use]
    pub fn reads<F>(self, read: F) -> Subject<L, Req, T, E, F>
    where
        L: Layer<Probe<T, E>>,
        L::Service: Service<Req>,
        F: Fn(
            Pin<&mut <L::Service as Service<Req>>::Response>,
            &mut Context<'_>,
        ) -> Poll<Option<()>>,
    {
        Subject {
            layer: self.layer,
            probe: self.probe,
            request: self.request,
            reader: read,
            upkeep: self.upkeep,
        }
    }

    /// Names something that calls take and must give back: `held` says how much of it is taken now,
    /// and is 0 when no call is open.
    #[must_use]
    pub fn conserves(
        mut self,
        name: &'static str,
        held: impl Fn() -> usize + Send + Sync + 'static,
    ) -> Self {
        let held = Box::new(held);
        self.upkeep.resources.push(Resource { name, held });
        self
    }

    /// Does `restore` before the call that shows, after each case, that the layer still works.
    ///
    /// For layers that rightly refuse the next call, as a circuit breaker does after a failure:
    /// reset it, or move its clock.
    #[must_use]
    pub fn before_next_call(mut self, restore: impl Fn() + Send + Sync + 'static) -> Self {
        self.upkeep.restore = Some(Box::new(restore));
        self
    }

    pub(crate) fn map_probe<U, F>(
        self,
        map: impl FnOnce(Probe<T, E>) -> Probe<U, F>,
    ) -> Subject<L, Req, U, F, R> {
        Subject {
            layer: self.layer,
            probe: map(self.probe),
            request: self.request,
            reader: self.reader,
            upkeep: self.upkeep,
        }
    }
}

impl<L: fmt::Debug, Req, T, E, R> fmt::Debug for Subject<L, Req, T, E, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject")
            .field("layer", &self.layer)
            .finish_non_exhaustive()
    }
}

/// What is looked at after a case, and done before the next call.
#[derive(Default)]
pub(crate) struct Upkeep {
    pub(crate) resources: Vec<Resource>,
    pub(crate) restore: Option<Box<dyn Fn() + Send + Sync>>,
}

pub(crate) struct Resource {
    pub(crate) name: &'static str,
    pub(crate) held: Box<dyn Fn() -> usize + Send + Sync>,
}
