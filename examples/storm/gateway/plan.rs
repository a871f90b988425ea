//! The numbers of the protected gateway, and why they are what they are.

use std::time::Duration;

use crate::schedule::Schedule;

/// How many failures in a row open a breaker.
///
/// The usual 5 would also open it while every other answer is a 503, and half of payments is better
/// than none. Twenty in a row come up once in a million calls then, and within a tenth of a second
/// when payments is gone.
pub const FAILURES: u32 = 20;

/// The longest wait for an upstream: more than twice its slowest honest answer, 200 ms.
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// At very low rates the law below would leave no room for two calls that come together.
const FEWEST_SLOTS: u32 = 16;

/// What the layers are built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// How long a breaker stays open, and the limit of a probe.
    pub open_time: Duration,
    /// How long one attempt may take. No longer than the open time: a probe that hangs ends by its
    /// own timeout, as a failure that says so.
    pub attempt_limit: Duration,
    /// How many calls may be on their way to one upstream.
    pub slots: u32,
    /// How many calls may be in the gateway.
    pub capacity: u32,
}

impl Plan {
    /// Chooses the numbers for a storm of `rate` calls per second.
    pub fn new(schedule: Schedule, rate: u32) -> Self {
        let open_time = schedule.open_time();
        let attempt_limit = LONGEST_WAIT.min(open_time);
        let slots = slots(rate.div_ceil(2), attempt_limit);
        // Every call that an upstream's bulkhead lets in has its place in the gateway, so a full
        // payments takes none from inventory; the rest is for answers on their way out.
        let capacity = 2 * slots + slots / 5;
        Self {
            open_time,
            attempt_limit,
            slots,
            capacity,
        }
    }
}

/// Little's law: calls in flight are their rate times the time each takes. With the longest that
/// any may take, the expected traffic is never refused, and an upstream that hangs is given no more
/// than that before its breaker opens.
fn slots(rate: u32, attempt_limit: Duration) -> u32 {
    let in_flight = f64::from(rate) * attempt_limit.as_secs_f64();
    (in_flight.ceil() as u32).max(FEWEST_SLOTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(seconds: u64, rate: u32) -> Plan {
        Plan::new(Schedule::new(Duration::from_secs(seconds)), rate)
    }

    #[test]
    fn slots_follow_littles_law() {
        assert_eq!(plan(40, 400).slots, 100);
        assert_eq!(plan(15, 400).slots, 75);
        assert_eq!(plan(40, 2).slots, FEWEST_SLOTS);
    }

    #[test]
    fn a_probe_ends_by_its_own_timeout() {
        for seconds in [15, 17, 30, 40, 600] {
            let plan = plan(seconds, 400);
            assert!(plan.attempt_limit <= plan.open_time, "{plan:?}");
        }
    }

    #[test]
    fn a_full_payments_leaves_inventory_its_room() {
        for rate in [1, 400, 2_000] {
            let plan = plan(40, rate);
            assert!(plan.capacity - plan.slots >= plan.slots, "{plan:?}");
        }
    }
}
