//! How a plain answer says where it comes from.

use std::fmt;

use buttress_core::ServedBy;

/// Marks an answer that comes from below the primary, or was kept.
pub trait MarkServed<T> {
    /// The answer, marked.
    fn mark(&self, answer: T, by: &ServedBy) -> T;
}

/// Leaves answers as they are. Over HTTP the protocol marks them.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "a marker has nothing inside")]
pub struct Unmarked;

impl<T> MarkServed<T> for Unmarked {
    #[inline(always)]
    fn mark(&self, answer: T, _: &ServedBy) -> T {
        answer
    }
}

/// Lets a function mark answers; made by [`FallbackLayer::map_served`](crate::FallbackLayer::map_served).
#[derive(Clone, Copy)]
pub struct MapServed<F>(pub(crate) F);

impl<T, F: Fn(T, &ServedBy) -> T> MarkServed<T> for MapServed<F> {
    #[inline]
    fn mark(&self, answer: T, by: &ServedBy) -> T {
        (self.0)(answer, by)
    }
}

// Without asking whether the function can be printed: none can.
impl<F> fmt::Debug for MapServed<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MapServed")
    }
}
