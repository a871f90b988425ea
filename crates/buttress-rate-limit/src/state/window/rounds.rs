use super::head::Head;

/// How many rounds the head has made since the ring was laid. It says sixteen bits of that itself; who counts on before they run over
/// knows all of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rounds {
    /// Where the head stood when they were counted last, and when that was.
    head: Head,
    time: u64,
    /// How many there were until then; nothing once nobody knows.
    count: Option<u64>,
}

/// The head makes a round in each window at the most, but for one at once, one by a charge, and one back.
const BESIDES: u64 = 3;

impl Rounds {
    pub(super) const fn new(first: Head, now: u64) -> Self {
        Self {
            head: first,
            time: now,
            count: Some(0),
        }
    }

    pub(super) const fn count(self) -> Option<u64> {
        self.count
    }

    /// Counts on, up to this head. To be done before each charge that uses slots which have not left the window: else a slot is used
    /// anew once in a window, and so it is time that says how many rounds there can have been.
    ///
    /// The head may be a round behind, because units were given back: no more, as it never goes back before a slot that was started
    /// anew.
    pub(super) fn until(self, head: Head, width: u64, now: u64) -> Self {
        let most = now.saturating_sub(self.time) / width.max(1) + BESIDES;
        let ahead_of_one_back = (head.rounds_since(self.head) + 1) % Head::ROUNDS;
        let count = self.count.filter(|_| most < Head::ROUNDS);
        Self {
            head,
            time: now.max(self.time),
            count: count.map(|count| (count + ahead_of_one_back).saturating_sub(1)),
        }
    }
}
