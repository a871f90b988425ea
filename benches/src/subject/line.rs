//! Calls of which the next one comes before the one before has ended.

use std::future::poll_fn;
use std::hint::black_box;
use std::mem;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use tokio::task::unconstrained;
use tower_layer::Layer;
use tower_service::Service;

use super::{Run, Subject, Target, unexpected};
use crate::inner::Held;

/// Calls of which each finds the one slot of `layer` taken, waits for it, is granted it when the call before ends, and holds
/// it until the next one waits.
pub fn queued<L>(layer: L) -> Box<dyn Subject>
where
    L: Layer<Held, Service: Target>,
{
    Line::boxed(layer, true)
}

/// The same calls where nothing keeps them apart: each begins at once, beside the one before.
pub fn overlapping<L>(layer: L) -> Box<dyn Subject>
where
    L: Layer<Held, Service: Target>,
{
    Line::boxed(layer, false)
}

/// A line of calls on one instance of a service, by hand and in one task: what an executor costs is left out.
struct Line<S> {
    service: S,
    held: Held,
    /// Whether a call begins only when the one before has ended.
    waits: bool,
}

impl<S: Target> Line<S> {
    fn boxed<L: Layer<Held, Service = S>>(layer: L, waits: bool) -> Box<dyn Subject> {
        let held = Held::leaked();
        let service = layer.layer(held);
        Box::new(Self {
            service,
            held,
            waits,
        })
    }

    fn drive(&mut self, calls: u64, cx: &mut Context<'_>) {
        let (mut before, mut call) = (pin!(None), pin!(None));
        self.held.let_go(0);
        self.starts(1, before.as_mut(), cx);
        for request in 2..calls + 2 {
            if self.waits {
                self.queues(request, call.as_mut(), cx);
            } else {
                self.starts(request, call.as_mut(), cx);
            }
            self.ends(request - 1, before.as_mut(), cx);
            self.starts(request, call.as_mut(), cx);
            mem::swap(&mut before, &mut call);
        }
        self.ends(calls + 1, before, cx);
    }

    fn queues(&mut self, request: u64, call: Slot<'_, S>, cx: &mut Context<'_>) {
        if self.poll(request, call, cx).is_ready() || self.held.begun() == request {
            unexpected(request);
        }
    }

    fn starts(&mut self, request: u64, call: Slot<'_, S>, cx: &mut Context<'_>) {
        if self.poll(request, call, cx).is_ready() || self.held.begun() != request {
            unexpected(request);
        }
    }

    fn ends(&mut self, request: u64, mut call: Slot<'_, S>, cx: &mut Context<'_>) {
        self.held.let_go(request);
        match self.poll(request, call.as_mut(), cx) {
            Poll::Ready(Ok(answer)) => {
                black_box(answer);
            }
            _ => unexpected(request),
        }
        call.set(None);
    }

    /// Polls the service until it is ready and called, then the call: in one place, as a task does.
    #[inline(never)]
    fn poll(
        &mut self,
        request: u64,
        mut call: Slot<'_, S>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<u64, S::Error>> {
        if call.is_none() {
            match self.service.poll_ready(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) => call.set(Some(self.service.call(black_box(request)))),
            }
        }
        match call.as_pin_mut() {
            Some(call) => call.poll(cx),
            None => Poll::Pending,
        }
    }
}

/// Where the future of a call stands, once the service was called.
type Slot<'a, S> = Pin<&'a mut Option<<S as Service<u64>>::Future>>;

impl<S: Target> Subject for Line<S> {
    fn warm_up(&mut self, calls: u64) -> Run<'_> {
        self.run(calls)
    }

    // A run is one poll of its task, longer than tokio lets a task go on.
    fn run(&mut self, calls: u64) -> Run<'_> {
        Box::pin(unconstrained(poll_fn(move |cx| {
            self.drive(calls, cx);
            Poll::Ready(())
        })))
    }

    // Over the same inner service: one of them may run at a time.
    fn share(&self) -> Box<dyn Subject> {
        Box::new(Self {
            service: self.service.clone(),
            ..*self
        })
    }
}

#[cfg(test)]
mod tests {
    use buttress_bulkhead::{BulkheadLayer, RefusingBulkheadLayer};
    use buttress_core::WidenLayer;
    use tower_layer::Identity;

    use super::*;
    use crate::runtime;

    fn run(build: impl FnOnce() -> Box<dyn Subject>) {
        let runtime = runtime::single();
        let mut subject = runtime.block_on(async { build() });
        runtime.block_on(subject.run(3));
    }

    #[test]
    fn calls_wait_for_a_slot_or_overlap_for_want_of_a_limit() {
        run(|| queued((BulkheadLayer::new(1), WidenLayer)));
        run(|| overlapping((BulkheadLayer::new(2), WidenLayer)));
        run(|| overlapping(Identity::new()));
    }

    #[test]
    #[should_panic(expected = "call 2 went otherwise")]
    fn a_call_that_begins_where_a_wait_is_expected_panics() {
        run(|| queued((BulkheadLayer::new(2), WidenLayer)));
    }

    #[test]
    #[should_panic(expected = "call 2 went otherwise")]
    fn a_call_that_waits_where_none_is_expected_to_panics() {
        run(|| overlapping((BulkheadLayer::new(1), WidenLayer)));
    }

    #[test]
    #[should_panic(expected = "call 2 went otherwise")]
    fn a_call_that_is_refused_where_a_wait_is_expected_panics() {
        run(|| queued((RefusingBulkheadLayer::new(1), WidenLayer)));
    }
}
