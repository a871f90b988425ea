use std::fmt;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use buttress_sync::Mutex;
use tokio::time::{Instant, Sleep, sleep_until};

/// Wakes somebody at a moment that anybody may move.
///
/// Its owner arms it, from inside the runtime whose clock it runs on; a timer exists from then on and not before. Any thread may
/// move it, inside of a runtime or not, and the waker that the owner left is woken at the new moment. The lock is never held
/// while a waker runs.
pub struct Alarm(Mutex<State>);

struct State {
    due: Instant,
    timer: Timer,
}

enum Timer {
    None,
    Armed(Pin<Box<Sleep>>),
    /// Somebody is working on it, and looks again at `due` before it is put back.
    Taken,
    Dropped,
}

impl Alarm {
    /// Makes an alarm for this moment; no timer runs yet.
    #[must_use]
    pub fn new(due: Instant) -> Self {
        Self(Mutex::new(State {
            due,
            timer: Timer::None,
        }))
    }

    /// Lets `waker` be woken when the alarm is due, unless it is due already.
    ///
    /// It may be woken earlier, and must then arm the alarm again. Only the last waker is remembered.
    ///
    /// # Panics
    /// Outside of a tokio runtime with its time driver enabled, when no timer was made yet.
    pub fn arm(&self, waker: &Waker) -> Poll<()> {
        self.try_arm(waker).unwrap_or_else(|| {
            // Perhaps without a waker in it: come back when that is done.
            waker.wake_by_ref();
            Poll::Pending
        })
    }

    /// The same, unless somebody is moving the alarm at this moment: for a waker that arms its own alarm again.
    ///
    /// # Panics
    /// As [`arm`](Self::arm), and when the runtime that drives the timer is gone.
    pub fn try_arm(&self, waker: &Waker) -> Option<Poll<()>> {
        let mut sleep = self.take_or_make()?;
        let lost = Lost(self);
        let elapsed = sleep.as_mut().poll(&mut Context::from_waker(waker));
        self.put_back(sleep);
        mem::forget(lost);
        Some(elapsed)
    }

    /// Moves the alarm. It may go off before this returns.
    pub fn set(&self, due: Instant) {
        self.change(|_| due);
    }

    /// Moves the alarm to `due`, unless it is to go off between `now` and then anyway. It may go off before this returns.
    pub fn set_at_latest(&self, due: Instant, now: Instant) {
        self.change(|before| if before > now { before.min(due) } else { due });
    }

    /// When it goes off, or went off.
    #[must_use]
    pub fn due(&self) -> Instant {
        self.0.lock().due
    }

    fn change(&self, change: impl FnOnce(Instant) -> Instant) {
        let mut state = self.0.lock();
        let due = change(state.due);
        let moved = mem::replace(&mut state.due, due) != due;
        drop(state);
        if moved && let Some(mut sleep) = self.take() {
            let lost = Lost(self);
            sleep.as_mut().reset(due);
            self.put_back(sleep);
            mem::forget(lost);
        }
    }

    /// Drops the timer for good; it does not go off any more.
    pub fn disarm(&self) {
        let timer = mem::replace(&mut self.0.lock().timer, Timer::Dropped);
        drop(timer);
    }

    fn take_or_make(&self) -> Option<Pin<Box<Sleep>>> {
        self.take().or_else(|| {
            let mut state = self.0.lock();
            let due = matches!(state.timer, Timer::None).then_some(state.due)?;
            let sleep = Box::pin(sleep_until(due));
            state.timer = Timer::Taken;
            Some(sleep)
        })
    }

    /// Takes the timer out, to be worked on without the lock.
    fn take(&self) -> Option<Pin<Box<Sleep>>> {
        let mut state = self.0.lock();
        match mem::replace(&mut state.timer, Timer::Taken) {
            Timer::Armed(sleep) => Some(sleep),
            other => {
                state.timer = other;
                None
            }
        }
    }

    fn put_back(&self, mut sleep: Pin<Box<Sleep>>) {
        loop {
            let mut state = self.0.lock();
            let due = state.due;
            if matches!(state.timer, Timer::Dropped) {
                drop(state);
                return drop(sleep);
            }
            if sleep.deadline() == due {
                state.timer = Timer::Armed(sleep);
                return;
            }
            // It was moved meanwhile.
            drop(state);
            sleep.as_mut().reset(due);
        }
    }
}

/// A timer whose runtime is gone panics when it is armed, and one that goes off while it is moved when its waker does: then there
/// is none, and the next time makes another.
struct Lost<'a>(&'a Alarm);

impl Drop for Lost<'_> {
    fn drop(&mut self) {
        let mut state = self.0.0.lock();
        if matches!(state.timer, Timer::Taken) {
            state.timer = Timer::None;
        }
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Alarm").field(&self.0.lock().due).finish()
    }
}

#[cfg(all(test, not(buttress_loom), not(buttress_shuttle)))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
    use std::task::Wake;
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Counts how often it was woken, and moves or drops an alarm from inside of that.
    struct Bell {
        rung: AtomicU32,
        alarm: Alarm,
        when_rung: fn(&Alarm),
    }

    impl Bell {
        fn new(when_rung: fn(&Alarm)) -> Arc<Self> {
            Arc::new(Self {
                rung: AtomicU32::new(0),
                alarm: Alarm::new(Instant::now() + SECOND),
                when_rung,
            })
        }

        fn arm(self: &Arc<Self>) -> Poll<()> {
            self.alarm.arm(&Waker::from(self.clone()))
        }

        async fn rung_after(&self, wait: Duration) -> u32 {
            tokio::time::advance(wait).await;
            tokio::task::yield_now().await;
            self.rung.load(SeqCst)
        }
    }

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.rung.fetch_add(1, SeqCst);
            (self.when_rung)(&self.alarm);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_goes_off_when_it_is_due_and_once() {
        let bell = Bell::new(|_| {});
        assert_eq!(bell.arm(), Poll::Pending);
        assert_eq!(bell.rung_after(SECOND - SECOND / 100).await, 0);
        assert_eq!(bell.rung_after(SECOND / 50).await, 1);
        assert_eq!(bell.rung_after(SECOND).await, 1);
        assert_eq!(bell.arm(), Poll::Ready(()));
    }

    #[tokio::test(start_paused = true)]
    async fn it_goes_off_at_the_moment_to_which_another_thread_moved_it() {
        let bell = Bell::new(|_| {});
        assert_eq!(bell.arm(), Poll::Pending);
        let due = Instant::now() + SECOND / 10;
        let mover = bell.clone();
        std::thread::spawn(move || mover.alarm.set(due))
            .join()
            .unwrap();
        assert_eq!(bell.rung_after(SECOND / 8).await, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn moved_before_it_was_armed_it_knows() {
        let bell = Bell::new(|_| {});
        bell.alarm.set(Instant::now() + 2 * SECOND);
        assert_eq!(bell.arm(), Poll::Pending);
        assert_eq!(bell.rung_after(SECOND + SECOND / 2).await, 0);
        assert_eq!(bell.rung_after(SECOND).await, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn moved_again_after_it_went_off_it_wants_a_new_waker() {
        let bell = Bell::new(|_| {});
        assert_eq!(bell.arm(), Poll::Pending);
        assert_eq!(bell.rung_after(2 * SECOND).await, 1);
        bell.alarm.set(Instant::now() + SECOND);
        assert_eq!(bell.arm(), Poll::Pending);
        assert_eq!(bell.rung_after(2 * SECOND).await, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn disarmed_it_never_goes_off() {
        let bell = Bell::new(|_| {});
        assert_eq!(bell.arm(), Poll::Pending);
        bell.alarm.disarm();
        bell.alarm.set(Instant::now());
        assert_eq!(bell.rung_after(2 * SECOND).await, 0);
        assert_eq!(Arc::strong_count(&bell), 1, "the waker is gone, too");
    }

    #[test]
    fn it_outlives_its_runtime() {
        let runtime = || {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            builder.enable_time().start_paused(true).build().unwrap()
        };
        let first = runtime();
        let bell = first.block_on(async { Bell::new(|_| {}) });
        assert_eq!(first.block_on(async { bell.arm() }), Poll::Pending);
        drop(first);
        assert_eq!(bell.rung.load(SeqCst), 1, "it goes off with it");
        runtime().block_on(async {
            bell.alarm.set(Instant::now() + SECOND);
            let armed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| bell.arm()));
            assert!(armed.is_err(), "its timer is gone");
            assert_eq!(bell.arm(), Poll::Pending);
            assert!(bell.rung_after(2 * SECOND).await > 1);
        });
    }

    /// A move into the past goes off inside of `set`, where the waker may use the alarm.
    #[tokio::test(start_paused = true)]
    async fn its_waker_may_move_and_disarm_it() {
        for when_rung in [Alarm::disarm, |alarm: &Alarm| alarm.set(Instant::now())] {
            let bell = Bell::new(when_rung);
            assert_eq!(bell.arm(), Poll::Pending);
            tokio::time::advance(SECOND / 2).await;
            bell.alarm.set(Instant::now() - SECOND / 4);
            assert_eq!(bell.rung_after(Duration::ZERO).await, 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_alarm_in_a_hundred_years_is_one() {
        let bell = Bell::new(|_| {});
        bell.alarm.set(Instant::now() + 36_500 * 86_400 * SECOND);
        assert_eq!(bell.arm(), Poll::Pending);
        assert_eq!(bell.rung_after(SECOND).await, 0);
    }
}
