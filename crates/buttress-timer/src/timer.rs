use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tokio::task::coop::{has_budget_remaining, unconstrained};
use tokio::time::{Instant, Sleep, sleep_until};

pin_project! {
    /// Waits until a moment, for a future that mostly need not wait at all.
    ///
    /// It stands inside of what waits, without an allocation. The runtime's own timer is made by the first wait and not before, and
    /// is not touched when the moment moves to a later one: going off too early it is set again. So a limit that every piece of work
    /// renews costs what one that nobody renews does.
    #[derive(Default)]
    pub struct Timer {
        #[pin]
        sleep: Option<Sleep>,
    }
}

impl Timer {
    /// Makes a timer that nobody waits for yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { sleep: None }
    }

    /// Waits until `due`; only the last waker is woken.
    ///
    /// # Panics
    /// Outside of a tokio runtime with its time driver enabled, and when the runtime of the first wait is gone.
    #[inline]
    pub fn poll_until(self: Pin<&mut Self>, due: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let mut sleep = self.project().sleep;
        if sleep.is_none() {
            sleep.set(Some(sleep_until(due)));
        }
        while let Some(mut running) = sleep.as_mut().as_pin_mut() {
            let is_late = running.deadline() > due;
            if !is_late {
                ready!(poll_on_any_budget(running.as_mut(), cx));
                if running.deadline() == due {
                    break;
                }
            }
            running.reset(due);
        }
        Poll::Ready(())
    }

    /// Waits until the moment of the first wait, which `due` tells; it is not asked again.
    ///
    /// # Panics
    /// As [`poll_until`](Self::poll_until).
    #[inline]
    pub fn poll_first(
        self: Pin<&mut Self>,
        due: impl FnOnce() -> Instant,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let mut sleep = self.project().sleep;
        if sleep.is_none() {
            sleep.set(Some(sleep_until(due())));
        }
        match sleep.as_pin_mut() {
            Some(running) => poll_on_any_budget(running, cx),
            None => Poll::Ready(()),
        }
    }
}

/// What waits may have used up all that its task may do at once, each time that it was polled. That must not hide that it is over.
fn poll_on_any_budget(sleep: Pin<&mut Sleep>, cx: &mut Context<'_>) -> Poll<()> {
    if has_budget_remaining() {
        sleep.poll(cx)
    } else {
        pin!(unconstrained(sleep)).poll(cx)
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let due = self.sleep.as_ref().map(Sleep::deadline);
        f.debug_tuple("Timer").field(&due).finish()
    }
}

#[cfg(all(test, not(buttress_loom), not(buttress_shuttle)))]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn it_goes_off_when_it_is_due() {
        let start = Instant::now();
        let mut timer = pin!(Timer::new());
        poll_fn(|cx| timer.as_mut().poll_until(start + SECOND, cx)).await;
        assert_eq!(start.elapsed(), SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn a_moment_that_moves_is_kept_in_both_directions() {
        let start = Instant::now();
        for (first, then) in [(1, 3), (3, 1)] {
            let mut timer = pin!(Timer::new());
            let before = Instant::now();
            let armed =
                poll_fn(|cx| Poll::Ready(timer.as_mut().poll_until(before + first * SECOND, cx)));
            assert_eq!(armed.await, Poll::Pending);
            poll_fn(|cx| timer.as_mut().poll_until(before + then * SECOND, cx)).await;
            assert_eq!(before.elapsed(), then * SECOND);
        }
        assert_eq!(start.elapsed(), 4 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn it_may_wait_again() {
        let start = Instant::now();
        let mut timer = pin!(Timer::new());
        for seconds in 1..4 {
            poll_fn(|cx| timer.as_mut().poll_until(start + seconds * SECOND, cx)).await;
            assert_eq!(start.elapsed(), seconds * SECOND);
        }
        poll_fn(|cx| timer.as_mut().poll_until(start, cx)).await;
        assert_eq!(start.elapsed(), 3 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn the_moment_of_the_first_wait_is_asked_for_once() {
        let start = Instant::now();
        let mut asked = 0;
        let mut timer = pin!(Timer::new());
        let due = |asked: &mut u32| {
            *asked += 1;
            start + SECOND * *asked
        };
        for _ in 0..3 {
            poll_fn(|cx| timer.as_mut().poll_first(|| due(&mut asked), cx)).await;
        }
        assert_eq!((asked, start.elapsed()), (1, SECOND));
    }

    #[test]
    fn no_timer_is_made_before_somebody_waits() {
        let timer = Timer::new();
        assert!(timer.sleep.is_none(), "and no runtime is needed");
    }
}
