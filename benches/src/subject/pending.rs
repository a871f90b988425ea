//! Calls that are not ready at once.

use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll};

use tokio::task::unconstrained;
use tower_layer::Layer;

use super::{Run, Subject, Target, unexpected};
use crate::inner::Yielding;

/// Calls of `layer` of which each is pending once, and ready at the next poll.
pub fn pending_once<L>(layer: L) -> Box<dyn Subject>
where
    L: Layer<Yielding, Service: Target>,
{
    Box::new(Twice(layer.layer(Yielding)))
}

/// Polls each call twice, by hand: what an executor does between is left out.
struct Twice<S>(S);

impl<S: Target> Twice<S> {
    fn drive(&mut self, calls: u64, cx: &mut Context<'_>) {
        for index in 0..calls {
            if !matches!(self.0.poll_ready(cx), Poll::Ready(Ok(()))) {
                unexpected(index);
            }
            let mut call = pin!(self.0.call(black_box(index)));
            black_box(&mut call);
            let mut polls = 0;
            let answer = loop {
                polls += 1;
                if let Poll::Ready(answer) = call.as_mut().poll(cx) {
                    break answer;
                }
            };
            match answer {
                Ok(answer) if polls == 2 => {
                    black_box(answer);
                }
                _ => unexpected(index),
            }
        }
    }
}

impl<S: Target> Subject for Twice<S> {
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

    fn share(&self) -> Box<dyn Subject> {
        Box::new(Self(self.0.clone()))
    }
}
