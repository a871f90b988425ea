//! The queue through its public face.

use std::time::Duration;

use buttress_bulkhead::Bulkhead;
use buttress_core::{Deadline, Priority, Reason};
use tokio::time::Instant;
use tokio_test::{assert_pending, assert_ready, assert_ready_ok, task};

fn bulkhead() -> Bulkhead {
    Bulkhead::builder("orders")
        .max_concurrent(1)
        .queue(3)
        .build()
}

const MILLISECOND: Duration = Duration::from_millis(1);

// proves: PB-4
#[tokio::test(start_paused = true)]
async fn among_those_who_wait_the_more_important_goes_first() {
    let bulkhead = bulkhead();
    let inside = bulkhead.try_acquire().unwrap();
    let mut low = task::spawn(bulkhead.acquire(Priority::Low));
    let mut normal = task::spawn(bulkhead.acquire(Priority::Normal));
    let mut critical = task::spawn(bulkhead.acquire(Priority::Critical));
    assert_pending!(low.poll());
    assert_pending!(normal.poll());
    assert_pending!(critical.poll());
    assert_eq!(bulkhead.snapshot().queued_calls, 3);
    drop(inside);
    for waiting in [critical, normal, low] {
        let mut waiting = waiting;
        assert!(waiting.is_woken());
        drop(assert_ready_ok!(waiting.poll()));
    }
    let snapshot = bulkhead.snapshot();
    assert_eq!((snapshot.queued_calls, snapshot.active_calls), (0, 0));
    assert_eq!(snapshot.class(Priority::Low).granted_count, 1);
    assert_eq!(snapshot.waits.count(), 3);
}

// proves: PB-7
#[tokio::test(start_paused = true)]
async fn the_newest_of_the_lowest_class_makes_room() {
    let bulkhead = bulkhead();
    let _inside = bulkhead.try_acquire().unwrap();
    let mut waiting = [Priority::Low, Priority::Background, Priority::Background]
        .map(|priority| task::spawn(bulkhead.acquire(priority)));
    for waiting in &mut waiting {
        assert_pending!(waiting.poll());
    }
    let mut background = task::spawn(bulkhead.acquire(Priority::Background));
    assert!(
        assert_ready!(background.poll()).is_err(),
        "never one of its own class"
    );
    let mut high = task::spawn(bulkhead.acquire(Priority::High));
    assert_pending!(high.poll());
    assert!(waiting[2].is_woken() && !waiting[1].is_woken());
    let rejected = assert_ready!(waiting[2].poll()).unwrap_err();
    assert_eq!(rejected.reason(), Reason::Overloaded);
    let snapshot = bulkhead.snapshot();
    assert_eq!((snapshot.queued_calls, snapshot.rejected_calls), (3, 2));
    assert_eq!(snapshot.class(Priority::Background).displaced_count, 1);
}

// proves: PB-8, A-5
#[tokio::test(start_paused = true)]
async fn a_grant_that_nobody_takes_up_passes_on_without_any_poll() {
    let bulkhead = bulkhead();
    let inside = bulkhead.try_acquire().unwrap();
    let mut forgotten = [(); 2].map(|()| task::spawn(bulkhead.acquire(Priority::High)));
    for forgotten in &mut forgotten {
        assert_pending!(forgotten.poll());
    }
    let mut alive = task::spawn(bulkhead.acquire(Priority::Normal));
    assert_pending!(alive.poll());
    drop(inside);
    tokio::time::sleep(25 * MILLISECOND).await;
    assert!(alive.is_woken());
    let inside = assert_ready_ok!(alive.poll());
    assert_eq!(bulkhead.snapshot().class(Priority::High).revoked_count, 2);
    // Those that were passed over have kept their places.
    assert_pending!(forgotten[0].poll());
    drop(inside);
    assert!(forgotten[0].is_woken());
    drop(assert_ready_ok!(forgotten[0].poll()));
    drop(assert_ready_ok!(forgotten[1].poll()));
}

// proves: PB-2, PB-9
#[tokio::test(start_paused = true)]
async fn a_wait_ends_by_the_longest_wait_or_the_deadline() {
    let bulkhead = bulkhead();
    let _inside = bulkhead.try_acquire().unwrap();
    let start = Instant::now();
    let deadline = Deadline::after(start, Duration::from_secs(2));
    let by_deadline = bulkhead.acquire(Priority::Normal).before(deadline).await;
    assert_eq!(by_deadline.unwrap_err().reason(), Reason::DeadlineExceeded);
    assert_eq!(start.elapsed().as_secs(), 2);
    let too_late = bulkhead.acquire(Priority::Normal).before(deadline).await;
    assert_eq!(too_late.unwrap_err().reason(), Reason::DeadlineExceeded);
    assert_eq!(start.elapsed().as_secs(), 2);
    let by_longest_wait = bulkhead.acquire(Priority::Normal).await;
    assert_eq!(by_longest_wait.unwrap_err().reason(), Reason::Overloaded);
    assert_eq!(start.elapsed().as_secs(), 32);
    assert_eq!(bulkhead.snapshot().class(Priority::Normal).expired_count, 2);
    assert_eq!(bulkhead.snapshot().rejected_calls, 3);
}

// proves: A-18
#[tokio::test(start_paused = true)]
async fn closing_refuses_everybody_who_waits_within_one_poll() {
    let bulkhead = bulkhead();
    let inside = bulkhead.try_acquire().unwrap();
    let mut waiting = [(); 3].map(|()| task::spawn(bulkhead.acquire(Priority::Normal)));
    for waiting in &mut waiting {
        assert_pending!(waiting.poll());
    }
    drop(inside);
    bulkhead.close();
    for waiting in &mut waiting {
        assert!(waiting.is_woken());
        let rejected = assert_ready!(waiting.poll()).unwrap_err();
        assert_eq!(rejected.reason(), Reason::Unavailable);
    }
    assert_eq!(bulkhead.snapshot().active_calls, 0);
    bulkhead.drained().await;
}
