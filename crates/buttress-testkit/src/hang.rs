//! How whoever steps a call learns that its inner future has begun to hang.
//!
//! A step runs on one thread from its beginning to its end, so the word is passed beside the layer.

use std::cell::Cell;

thread_local! {
    static HANGS: Cell<bool> = const { Cell::new(false) };
}

/// Says that an inner future was polled and will never end.
pub(crate) fn tell() {
    HANGS.set(true);
}

/// Whether that was said on this thread since the last look.
pub(crate) fn take() -> bool {
    HANGS.take()
}
