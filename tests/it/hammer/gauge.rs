use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use buttress_core::Priority;

/// Knows how many calls may be inside, and how many are.
#[derive(Debug)]
pub(super) struct Gauge {
    inside: AtomicU64,
    /// The most calls that may be inside now, and how often that was changed: `changes:32 | most:32`.
    allowed: AtomicU64,
    peak: AtomicU64,
    /// Calls that are not critical.
    ordinary: AtomicU64,
    ordinary_peak: AtomicU64,
    calls: AtomicU64,
    compared: AtomicU64,
}

impl Gauge {
    pub(super) fn new(most: u32) -> Self {
        Self {
            inside: AtomicU64::new(0),
            allowed: AtomicU64::new(most.into()),
            peak: AtomicU64::new(0),
            ordinary: AtomicU64::new(0),
            ordinary_peak: AtomicU64::new(0),
            calls: AtomicU64::new(0),
            compared: AtomicU64::new(0),
        }
    }

    /// From now on so many may be inside.
    pub(super) fn allow(&self, most: u32) {
        let changes = (self.allowed.load(SeqCst) >> 32) + 1;
        self.allowed.store(changes << 32 | u64::from(most), SeqCst);
    }

    /// A call got a slot.
    pub(super) fn note_call(&self) {
        self.calls.fetch_add(1, SeqCst);
    }

    /// A call enters; fails when too many are inside. What may be inside says something only when it did not change meanwhile.
    pub(super) fn enter(&self, priority: Priority) -> Inside<'_> {
        let before = self.allowed.load(SeqCst);
        let inside = self.inside.fetch_add(1, SeqCst) + 1;
        self.peak.fetch_max(inside, SeqCst);
        if before == self.allowed.load(SeqCst) {
            self.compared.fetch_add(1, SeqCst);
            let most = before & u64::from(u32::MAX);
            assert!(inside <= most, "{inside} are inside, {most} may be");
        }
        let ordinary = priority != Priority::Critical;
        if ordinary {
            let inside = self.ordinary.fetch_add(1, SeqCst) + 1;
            self.ordinary_peak.fetch_max(inside, SeqCst);
        }
        Inside(self, ordinary)
    }

    pub(super) fn calls(&self) -> u64 {
        self.calls.load(SeqCst)
    }

    /// How often a number of calls inside was compared with what may be.
    pub(super) fn compared(&self) -> u64 {
        self.compared.load(SeqCst)
    }

    /// Everybody has left, and once there were so many inside, but never more.
    #[track_caller]
    pub(super) fn assert_peak(&self, most: u32) {
        assert_eq!(self.inside.load(SeqCst), 0);
        assert_eq!(self.peak.load(SeqCst), u64::from(most));
    }

    /// The same for calls that are not critical.
    #[track_caller]
    pub(super) fn assert_ordinary_peak(&self, most: u32) {
        assert_eq!(self.ordinary_peak.load(SeqCst), u64::from(most));
    }
}

/// A call inside.
pub(super) struct Inside<'a>(&'a Gauge, bool);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        if self.1 {
            self.0.ordinary.fetch_sub(1, SeqCst);
        }
        self.0.inside.fetch_sub(1, SeqCst);
    }
}
