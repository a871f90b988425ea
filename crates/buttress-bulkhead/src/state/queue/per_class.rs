use buttress_core::Priority;

/// One thing for each class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PerClass<T>([T; Priority::ALL.len()]);

impl<T> PerClass<T> {
    /// What `make` makes for each class.
    pub(crate) fn from_fn(make: impl FnMut(Priority) -> T) -> Self {
        Self(Priority::ALL.map(make))
    }

    /// The same for each class, changed by `change`.
    pub(crate) fn map<U>(self, change: impl FnMut(T) -> U) -> PerClass<U> {
        PerClass(self.0.map(change))
    }

    pub(crate) const fn get(&self, priority: Priority) -> &T {
        let [background, low, normal, high, critical] = &self.0;
        match priority {
            Priority::Background => background,
            Priority::Low => low,
            Priority::Normal => normal,
            Priority::High => high,
            Priority::Critical => critical,
        }
    }

    pub(crate) const fn get_mut(&mut self, priority: Priority) -> &mut T {
        let [background, low, normal, high, critical] = &mut self.0;
        match priority {
            Priority::Background => background,
            Priority::Low => low,
            Priority::Normal => normal,
            Priority::High => high,
            Priority::Critical => critical,
        }
    }

    /// Each class with its own, the lowest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Priority, &T)> {
        std::iter::zip(Priority::ALL, &self.0)
    }
}
