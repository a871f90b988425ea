use buttress_sync::atomic::{AtomicU64, Ordering};
use buttress_timer::Moment;

use super::{BUCKETED, Level, MOST_SLOTS, MOST_WIDTH, Receipt, Wait, Window};

mod histories;
mod interrupted;
mod model;
mod past;
mod tables;
mod threads;

fn at(nanos: u64) -> Moment {
    Moment::from_nanos(nanos)
}

/// Another window in the same state, to try something out on.
fn twin(window: &Window) -> Window {
    let copy = |cell: &AtomicU64| AtomicU64::new(cell.load(Ordering::SeqCst));
    Window {
        head: copy(&window.head),
        width: copy(&window.width),
        shape: copy(&window.shape),
        slots: window.slots.iter().map(copy).collect(),
        held: copy(&window.held),
        changing: buttress_sync::Mutex::new(window.changing.lock().clone()),
    }
}

/// How many units a slot has room for at most: what a coarse window may hold too long is less than that.
fn units_of_a_slot(limit: u32, slots: u32) -> u32 {
    limit.div_ceil(limit.min(slots))
}

/// The even gap at which a client is never refused.
fn gap(limit: u32, width: u64, slots: u32) -> u64 {
    width.div_ceil(u64::from(limit - units_of_a_slot(limit, slots) + 1))
}
