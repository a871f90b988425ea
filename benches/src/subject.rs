//! What is measured: something that can be done many times in a row.

mod callee;
mod line;
mod pending;
mod script;

use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::marker::PhantomData;
use std::mem;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use tower_layer::Layer;
use tower_service::Service;

pub use self::callee::Callee;
pub use self::line::{overlapping, queued};
pub use self::pending::pending_once;
pub use self::script::{Attempts, FiftiethFails, Refused, Script, Served};
use crate::inner::{Failing, Faltering, Hanging, Inner, Obedient, Prompt, Yielding};

/// The one allocation of a run, however many calls it makes.
pub type Run<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Something that can be done many times in a row, its type erased once per run and never per call.
pub trait Subject: Send {
    /// Brings the component into the state that is to be measured.
    fn warm_up(&mut self, calls: u64) -> Run<'_>;

    /// Does it `calls` times; panics when an outcome is not the expected one.
    fn run(&mut self, calls: u64) -> Run<'_>;

    /// Another subject over the same component, for another task.
    fn share(&self) -> Box<dyn Subject>;
}

/// A service that a case can drive.
pub trait Target:
    Service<u64, Response = u64, Error: Send, Future: Send> + Clone + Send + 'static
{
}

impl<S> Target for S where
    S: Service<u64, Response = u64, Error: Send, Future: Send> + Clone + Send + 'static
{
}

/// Calls of `layer` over a service that always succeeds.
pub fn served<L, A, B>(inner: Inner, layer: L) -> Box<dyn Subject>
where
    L: Layer<Prompt, Service = A> + Layer<Yielding, Service = B>,
    A: Target,
    B: Target,
{
    match inner {
        Inner::Prompt => Calls::<_, Served>::boxed(layer.layer(Prompt)),
        Inner::Yielding => Calls::<_, Served>::boxed(layer.layer(Yielding)),
    }
}

/// Calls of `layer` over a service of which every fiftieth call fails.
pub fn fiftieth_fails<L>(layer: L) -> Box<dyn Subject>
where
    L: Layer<Obedient, Service: Target>,
{
    Calls::<_, FiftiethFails>::boxed(layer.layer(Obedient))
}

/// Calls of `layer` over a service that always fails, each of which is answered all the same.
pub fn answered_instead<L>(layer: L) -> Box<dyn Subject>
where
    L: Layer<Failing, Service: Target>,
{
    Calls::<_, Served>::boxed(layer.layer(Failing))
}

/// Calls of a service that always fails, with nothing around them.
pub fn fails() -> Box<dyn Subject> {
    Calls::<_, Refused>::boxed(Failing)
}

/// Calls of `layer` over a service that fails the first attempt of each and answers the second.
pub fn first_attempt_fails<L>(layer: L) -> Box<dyn Subject>
where
    L: Layer<Faltering, Service: Target>,
{
    calls::<Served>(layer.layer(Faltering::leaked()))
}

/// The attempts of those calls, with nothing around them.
pub fn attempts() -> Box<dyn Subject> {
    calls::<Attempts>(Faltering::leaked())
}

/// Calls of something that is no layer.
pub fn calls<P: Script>(callee: impl Callee) -> Box<dyn Subject> {
    Calls::<_, P>::boxed(callee)
}

/// Calls that `layer` refuses after a warm-up in which every call failed.
pub fn refused<L>(layer: L) -> Box<dyn Subject>
where
    L: Layer<Obedient, Service: Target>,
{
    Calls::<_, Refused>::boxed(layer.layer(Obedient))
}

/// Calls that `layer` refuses because one call that never ends is in the way.
pub fn refused_when_occupied<L>(layer: L) -> Box<dyn Subject>
where
    L: Layer<Hanging, Service: Target>,
{
    let service = layer.layer(Hanging);
    occupy(service.clone());
    Calls::<_, Refused>::boxed(service)
}

/// Makes one call and never gives it up.
fn occupy<S: Target>(mut service: S) {
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(
        matches!(service.poll_ready(cx), Poll::Ready(Ok(()))),
        "the first call finds room"
    );
    let mut call = Box::pin(service.call(0));
    assert!(
        call.as_mut().poll(cx).is_pending(),
        "the inner service hangs"
    );
    mem::forget((service, call));
}

/// Clones of the service that `layer` makes.
pub fn clones<L>(layer: L) -> Box<dyn Subject>
where
    L: Layer<Prompt, Service: Target>,
{
    Box::new(Clones(layer.layer(Prompt)))
}

/// Something that is no call, done again and again with the same thing.
pub fn repeated<T, F>(given: T, work: F) -> Box<dyn Subject>
where
    T: Copy + Send + 'static,
    F: FnMut(T) + Clone + Send + 'static,
{
    Box::new(Repeated { given, work })
}

/// `poll_ready`, `call` and `.await`, again and again, on one instance of a service.
struct Calls<S, P> {
    service: S,
    script: PhantomData<fn() -> P>,
}

impl<S: Callee, P: Script> Calls<S, P> {
    fn boxed(service: S) -> Box<dyn Subject> {
        Box::new(Self {
            service,
            script: PhantomData,
        })
    }

    // One plain loop for all calls, so that a future is polled in one place, as it is where a program uses it: the
    // compiler decides as it would there what to inline. The future is shown to the black box, so that it lives in memory,
    // as it does with any caller who may have to wait.
    fn drive(&mut self, first: u64, calls: u64) -> Run<'_> {
        Box::pin(async move {
            for index in first..first + calls {
                if poll_fn(|cx| self.service.poll_ready(cx)).await.is_err() {
                    unexpected(index);
                }
                let mut call = pin!(self.service.call(black_box(P::request(index))));
                black_box(&mut call);
                match poll_fn(|cx| call.as_mut().poll(cx)).await {
                    Ok(answer) if P::succeeds(index) => {
                        black_box(answer);
                    }
                    Err(error) if !P::succeeds(index) => {
                        black_box(&error);
                    }
                    _ => unexpected(index),
                }
            }
        })
    }
}

impl<S: Callee, P: Script> Subject for Calls<S, P> {
    fn warm_up(&mut self, calls: u64) -> Run<'_> {
        self.drive(P::WARM_UP, calls)
    }

    fn run(&mut self, calls: u64) -> Run<'_> {
        self.drive(0, calls)
    }

    fn share(&self) -> Box<dyn Subject> {
        Self::boxed(self.service.clone())
    }
}

#[cold]
#[inline(never)]
fn unexpected(index: u64) -> ! {
    panic!("call {index} went otherwise");
}

/// Clones of a service, each dropped at once.
struct Clones<S>(S);

impl<S: Target> Subject for Clones<S> {
    fn warm_up(&mut self, calls: u64) -> Run<'_> {
        self.run(calls)
    }

    fn run(&mut self, calls: u64) -> Run<'_> {
        Box::pin(async move {
            for _ in 0..calls {
                drop(black_box(self.0.clone()));
            }
        })
    }

    fn share(&self) -> Box<dyn Subject> {
        Box::new(Self(self.0.clone()))
    }
}

#[derive(Clone)]
struct Repeated<T, F> {
    given: T,
    work: F,
}

impl<T, F> Subject for Repeated<T, F>
where
    T: Copy + Send + 'static,
    F: FnMut(T) + Clone + Send + 'static,
{
    fn warm_up(&mut self, calls: u64) -> Run<'_> {
        self.run(calls)
    }

    fn run(&mut self, calls: u64) -> Run<'_> {
        Box::pin(async move {
            for _ in 0..calls {
                (self.work)(black_box(self.given));
            }
        })
    }

    fn share(&self) -> Box<dyn Subject> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inner::FAIL;
    use crate::runtime;

    #[test]
    #[should_panic(expected = "call 0 went otherwise")]
    fn a_call_that_succeeds_where_a_refusal_is_expected_panics() {
        let mut subject = refused(tower_layer::Identity::new());
        runtime::single().block_on(subject.run(1));
    }

    #[test]
    #[should_panic(expected = "went otherwise")]
    fn a_call_that_fails_where_success_is_expected_panics() {
        let mut subject = Calls::<_, FailsAlways>::boxed(Obedient);
        runtime::single().block_on(subject.run(1));
    }

    #[test]
    fn every_fiftieth_call_fails() {
        let failures = (0..200)
            .filter(|&index| !FiftiethFails::succeeds(index))
            .count();
        assert_eq!(failures, 4);
        let mut subject = fiftieth_fails(tower_layer::Identity::new());
        runtime::single().block_on(subject.run(200));
    }

    /// Sends requests that fail and expects success.
    struct FailsAlways;

    impl Script for FailsAlways {
        fn request(_: u64) -> u64 {
            FAIL
        }

        fn succeeds(_: u64) -> bool {
            true
        }
    }
}
