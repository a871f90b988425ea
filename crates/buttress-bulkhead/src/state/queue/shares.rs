//! What each lower class is owed of the grants.

use buttress_core::Priority;

use super::PerClass;

/// Keeps the guaranteed shares: a class that always has somebody waiting gets at least ⌊s·G⌋ − 1 of any G grants.
///
/// With every grant that any class could have had, a class that waits earns its percentage; a hundred percent are a grant that
/// it is owed. Each owed grant is due before the class has earned another one, and the one that is due first goes first
/// (earliest deadline first, Liu and Layland 1973). Shares are together at most half of the grants, so no grant that is owed is
/// late. A class in which nobody waits is owed nothing, so nobody saves up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shares(PerClass<Share>);

#[derive(Clone, Copy, Debug)]
struct Share {
    percent: u32,
    earned: u32,
}

const WHOLE: u32 = 100;

impl Share {
    const fn earned_with_this_grant(self) -> u32 {
        self.earned.saturating_add(self.percent)
    }

    const fn is_owed(self) -> bool {
        self.percent > 0 && self.earned_with_this_grant() >= WHOLE
    }

    /// Whether what this class is owed is due before what the other is: fewer grants until it has earned a second.
    fn is_due_before(self, other: Self) -> bool {
        let left = |share: Self| (2 * WHOLE).saturating_sub(share.earned_with_this_grant());
        left(self) * other.percent < left(other) * self.percent
    }
}

impl Shares {
    pub(super) fn new(percents: &PerClass<u32>) -> Self {
        Self(PerClass::from_fn(|class| Share {
            percent: *percents.get(class),
            earned: 0,
        }))
    }

    /// The class whose turn it is, of those that wait.
    pub(super) fn turn(&self, waits: impl Fn(Priority) -> bool) -> Option<Priority> {
        let mut due: Option<(Priority, Share)> = None;
        let mut highest = None;
        for (class, &share) in self.0.iter().filter(|&(class, _)| waits(class)) {
            highest = Some(class);
            if share.is_owed() && !due.is_some_and(|(_, other)| other.is_due_before(share)) {
                due = Some((class, share));
            }
        }
        due.map(|(class, _)| class).or(highest)
    }

    /// Notes that `granted` had its turn while those for whom `waits` holds, itself included, waited.
    pub(super) fn note(&mut self, granted: Priority, waits: impl Fn(Priority) -> bool) {
        for class in Priority::ALL.into_iter().filter(|&class| waits(class)) {
            let share = self.0.get_mut(class);
            share.earned = share.earned_with_this_grant();
            if class == granted {
                share.earned = share.earned.saturating_sub(WHOLE);
            }
        }
    }

    /// Forgets what a class in which nobody waits any more was owed.
    pub(super) const fn forget(&mut self, class: Priority) {
        self.0.get_mut(class).earned = 0;
    }
}
