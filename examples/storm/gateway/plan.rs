//! The numbers of the protected gateway, and why they are what they are.

use std::time::Duration;

use serde::Serialize;

use super::bare::TIMEOUT;
use crate::clients::CLIENTS;
use crate::report::millis;
use crate::schedule::Schedule;
use crate::upstream::behaviour::{CALM, SLOWEST, SLOWNESS};

/// How many failures in a row open a breaker.
///
/// The usual 5 would also open it while every other answer is a 503, and half of payments is better
/// than none. Twenty in a row come up once in a million attempts then, never while one in twenty
/// fails, and within a tenth of a second when payments is gone.
pub const FAILURES: u32 = 20;

/// How often a call is sent again. Of calls that fail one time in twenty, one in 160 000 fails four
/// times in a row.
pub const RETRIES: u32 = 3;

/// The wait before the first retry on average, doubled before each further one.
///
/// Somebody waits for the answer, so it is short: a call that fails four times has waited 175 ms, and
/// 263 ms at most. It is longer than any calm answer, so what made an attempt fail for a moment can
/// be over by the next, and long enough for chance to spread what failed together.
pub const FIRST_BACKOFF: Duration = Duration::from_millis(25);

/// The longest wait for an upstream: more than twice its slowest honest answer, 200 ms.
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// The shortest limit that may be learned: what three of four answers take while an upstream is slow.
///
/// Calm answers take 20 ms at most, and a limit that followed them would stand at 30 ms. When one of
/// the upstreams turns ten times slower from one call to the next, as payments does in its outage and
/// both do in the rush, such a limit cuts everything, and the breaker opens before the limit has grown.
/// By what comes within this one it grows in half a second, and until then the budget of retries covers
/// the fourth that does not. At 150 ms, where half do not, runs of 15 s lost one call in twenty-five
/// while payments was slow: their budget had not saved enough by then.
pub const FLOOR: Duration = Duration::from_millis(175);

/// How many times the 95th percentile an attempt may take. The slowest answer takes a fortieth more
/// than that, whether calm or slow, so once learned this cuts none but those that a busy machine
/// delays; and 300 ms, of an upstream that is slow, are well within the limit that is not learned.
pub const FACTOR: f64 = 1.5;

/// At low rates the laws below would leave no room for calls that come together, nor for a rush of
/// which more than its half falls upon one upstream for a moment.
const FEWEST_SLOTS: u32 = 32;

/// How long a replica may take: its slowest honest answer, and a quarter more.
pub const REPLICA_TIME: Duration = Duration::from_millis(250);

/// How long an upstream may take with all its attempts before its replica is asked: what is left then of
/// the second that the bare gateway allows is time for that. The levels below it answer at once.
pub const PRIMARY_TIME: Duration = TIMEOUT.saturating_sub(REPLICA_TIME);

/// What the layers are built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// How long a breaker stays open, and the limit of a probe.
    #[serde(rename = "open_time_ms", serialize_with = "millis::serialize")]
    pub open_time: Duration,
    /// How long one attempt may take before anything is learned, and whatever is; and how long a call
    /// may wait to get in. No longer than the open time: a probe that hangs ends by its own timeout, as
    /// a failure that says so.
    #[serde(rename = "attempt_limit_ms", serialize_with = "millis::serialize")]
    pub attempt_limit: Duration,
    /// How long after its first attempt a call may begin another: until what it may take would last
    /// beyond the second that the bare gateway allows. That is time for two more attempts after what a
    /// learned limit has cut, as it may be the limit that is wrong, not yet grown when an upstream turns
    /// slow. Where payments hangs instead, the breaker opens before many were sent again.
    #[serde(rename = "retry_time_ms", serialize_with = "millis::serialize")]
    pub retry_time: Duration,
    /// How many calls may be on their way to one upstream.
    pub slots: u32,
    /// How many calls may be on their way to the replica of one.
    ///
    /// It is for the calls of an upstream that has failed, all at once: without a limit it would be the
    /// next to fail. It is smaller, too; what it has no room for is answered by the levels below it.
    pub replica_slots: u32,
    /// How many calls may be in the gateway.
    pub capacity: u32,
    /// How many calls may wait before the gateway.
    pub queue: u32,
    /// How many calls per second make the rush: twice as many as the gateway can serve.
    pub rush_rate: u32,
    /// How often one client may call.
    pub per_client: Allowance,
}

/// How many calls a client may make at once.
///
/// Who calls by chance as often as its share, two thirds of what it may, finds thirty of its own before
/// it hardly once in a thousand million calls: e^(−30 θ), where e^θ = 1 + 1.5 θ.
const CLIENT_BURST: u32 = 30;

/// How often a client may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Allowance {
    /// A share may be less than a call per second.
    pub per_minute: u32,
    /// Calls at once.
    pub burst: u32,
}

impl Plan {
    /// Chooses the numbers for a storm of `rate` calls per second.
    pub fn new(schedule: Schedule, rate: u32) -> Self {
        let open_time = schedule.open_time();
        let attempt_limit = LONGEST_WAIT.min(open_time);
        let slots = slots(rate.div_ceil(2));
        // Every call that an upstream's bulkhead lets in has its place in the gateway, so a full
        // payments takes none from inventory. To inventory, which answers ten times sooner than
        // the slots allow for, a quarter as many is plenty; who finds them taken waits a moment. So
        // do the few that wait for their next attempt: they hold a place, and a slot no longer.
        let capacity = slots + slots / 4;
        Self {
            open_time,
            attempt_limit,
            retry_time: TIMEOUT.saturating_sub(attempt_limit),
            slots,
            // As many as an upstream needs that is well, and a half more: with them, too, a payments of
            // which every slot is taken leaves inventory its room.
            replica_slots: slots / 8,
            capacity,
            // All that come while nothing moves, until those who came first have waited enough.
            queue: in_flight(rate, attempt_limit).max(FEWEST_SLOTS),
            rush_rate: rush_rate(capacity),
            per_client: Allowance::new(rate),
        }
    }
}

impl Allowance {
    /// Half as much again as a client's share of so many calls per second. That holds in the rush, too:
    /// more clients come then, and none of them calls more often than one did before.
    fn new(rate: u32) -> Self {
        Self {
            per_minute: (rate * 60 * 3).div_ceil(CLIENTS * 2),
            burst: CLIENT_BURST,
        }
    }

    /// Calls per second.
    pub fn rate(self) -> f64 {
        f64::from(self.per_minute) / 60.0
    }

    /// The most that a client can get within so long.
    pub fn within(self, time: Duration) -> usize {
        (f64::from(self.burst) + self.rate() * time.as_secs_f64()) as usize
    }
}

/// Enough slots for the expected traffic while an upstream is as slow as it ever is, and a quarter
/// more for bursts: 30 calls are then under way to payments on average, and 50 may be. An upstream
/// that hangs is given no more than that before its breaker opens.
fn slots(rate: u32) -> u32 {
    let slots = in_flight(rate, SLOWEST);
    (slots + slots / 4).max(FEWEST_SLOTS)
}

/// Little's law: calls in flight are their rate times the time each takes.
fn in_flight(rate: u32, time: Duration) -> u32 {
    (f64::from(rate) * time.as_secs_f64()).ceil() as u32
}

/// Of ten calls in the rush two check out, which takes 15 ms, and eight do something that takes
/// 150 ms. To serve half of them, checkouts first, is to serve the two and three of the others,
/// which holds a slot for 2 × 15 + 3 × 150 = 480 ms. So this many slots serve every other call when
/// one arrives each 48 ms for every slot. A gateway that takes calls as they come serves fewer: its
/// five of ten hold a slot for 5 / 10 × (2 × 15 + 8 × 150) = 615 ms. What inventory's noise makes both
/// send twice, one call in forty, is left out.
fn rush_rate(capacity: u32) -> u32 {
    let slot_time_of_ten = CALM * 2 + CALM * SLOWNESS * 3;
    (f64::from(capacity) * 10.0 / slot_time_of_ten.as_secs_f64()).round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::behaviour::NOISE;

    fn plan(seconds: u64, rate: u32) -> Plan {
        Plan::new(Schedule::new(Duration::from_secs(seconds)), rate)
    }

    #[test]
    fn slots_follow_littles_law() {
        assert_eq!(plan(40, 400).slots, 50);
        assert_eq!(plan(40, 400).capacity, 62);
        assert_eq!(plan(40, 400).queue, 200);
        assert_eq!(plan(15, 400).queue, 150);
        assert_eq!(plan(40, 2).slots, FEWEST_SLOTS);
        assert_eq!(plan(40, 2).queue, FEWEST_SLOTS);
    }

    #[test]
    fn a_probe_ends_by_its_own_timeout() {
        for seconds in [15, 17, 30, 40, 600] {
            let plan = plan(seconds, 400);
            assert!(plan.attempt_limit <= plan.open_time, "{plan:?}");
        }
    }

    #[test]
    fn what_is_learned_lies_between_the_floor_and_the_limit() {
        for seconds in [15, 17, 30, 40, 600] {
            let plan = plan(seconds, 400);
            assert!(SLOWEST.mul_f64(FACTOR) < plan.attempt_limit, "{plan:?}");
            assert!(FLOOR < SLOWEST.mul_f64(FACTOR), "{plan:?}");
        }
    }

    /// The share of slow answers that take longer than the floor.
    fn slow_beyond_the_floor() -> f64 {
        let shortest = CALM * SLOWNESS * 2 / 3;
        (SLOWEST - FLOOR).as_secs_f64() / (SLOWEST - shortest).as_secs_f64()
    }

    #[test]
    fn the_floor_cuts_no_calm_answer_and_one_in_four_of_the_slow_ones() {
        assert!((SLOWEST / SLOWNESS).mul_f64(FACTOR) * 5 < FLOOR);
        assert_eq!(slow_beyond_the_floor(), 0.25);
    }

    #[test]
    fn what_the_floor_cuts_in_half_a_second_is_covered_by_what_the_calm_phase_has_saved() {
        let schedule = Schedule::new(Duration::from_secs(15));
        let calm = schedule.phases().next().unwrap().1.end.as_secs_f64();
        // A tenth for each success, less what the noise has used.
        let saved = (0.1 - NOISE) * calm;
        assert!(slow_beyond_the_floor() * 0.5 < saved, "{saved}");
    }

    #[test]
    fn what_the_floor_cuts_twice_has_time_for_a_third_attempt() {
        for seconds in [15, 17, 30, 40, 600] {
            let plan = plan(seconds, 400);
            let waits = (FIRST_BACKOFF * 3).mul_f64(1.5);
            assert!(FLOOR * 2 + waits < plan.retry_time, "{plan:?}");
        }
    }

    #[test]
    fn a_call_that_fails_at_once_has_time_for_every_retry() {
        let waits = FIRST_BACKOFF * ((1 << RETRIES) - 1);
        let longest = waits.mul_f64(1.5) + CALM * 2 * RETRIES;
        for seconds in [15, 17, 30, 40, 600] {
            let plan = plan(seconds, 400);
            assert!(longest < plan.retry_time, "{longest:?}: {plan:?}");
        }
    }

    #[test]
    fn a_call_is_over_when_the_bare_gateway_gives_up() {
        for seconds in [15, 17, 30, 40, 600] {
            let plan = plan(seconds, 400);
            assert!(plan.retry_time + plan.attempt_limit <= TIMEOUT, "{plan:?}");
        }
    }

    #[test]
    fn a_replica_has_time_for_its_slowest_answer_and_room_for_the_calls_of_an_upstream_that_is_well()
     {
        assert_eq!(REPLICA_TIME, SLOWEST * 5 / 4);
        for (rate, slots) in [(10, 4), (400, 6), (2_000, 31)] {
            let plan = plan(40, rate);
            let needed = f64::from(rate.div_ceil(2)) * CALM.as_secs_f64();
            assert!(f64::from(plan.replica_slots) >= 1.5 * needed, "{plan:?}");
            assert_eq!(plan.replica_slots, slots);
        }
    }

    #[test]
    fn an_upstream_has_time_for_a_first_attempt_and_what_the_floor_cuts_for_a_third() {
        let waits = (FIRST_BACKOFF * 3).mul_f64(1.5);
        for seconds in [15, 17, 30, 40, 600] {
            assert!(plan(seconds, 400).attempt_limit < PRIMARY_TIME);
        }
        assert!(FLOOR * 3 + waits < PRIMARY_TIME);
    }

    #[test]
    fn a_full_payments_leaves_inventory_its_room() {
        for rate in [10, 400, 2_000] {
            let plan = plan(40, rate);
            let room = f64::from(plan.capacity - plan.slots - plan.replica_slots);
            let needed = f64::from(rate.div_ceil(2)) * CALM.as_secs_f64();
            assert!(room >= 2.0 * needed, "{plan:?}");
        }
    }

    #[test]
    fn a_client_may_have_half_as_much_again_as_its_share() {
        let table = [(10, 0.15), (400, 6.0), (2_000, 30.0)];
        for (rate, allowed) in table {
            assert_eq!(plan(40, rate).per_client.rate(), allowed);
        }
        let allowance = plan(40, 400).per_client;
        assert_eq!(allowance.within(Duration::ZERO), 30);
        assert_eq!(allowance.within(Duration::from_millis(4_250)), 55);
    }

    /// How many calls per second the slots can serve of so many, when checkouts come first.
    fn served(plan: Plan) -> f64 {
        let (short, long) = (CALM.as_secs_f64(), (CALM * SLOWNESS).as_secs_f64());
        let checkouts = f64::from(plan.rush_rate) * 0.2;
        checkouts + (f64::from(plan.capacity) - checkouts * short) / long
    }

    #[test]
    fn twice_as_many_calls_rush_in_as_the_slots_can_serve() {
        for rate in [10, 100, 400, 2_000] {
            let plan = plan(40, rate);
            let times = f64::from(plan.rush_rate) / served(plan);
            assert!((1.99..2.01).contains(&times), "{times}: {plan:?}");
        }
        assert_eq!(plan(40, 400).rush_rate, 1_292);
    }
}
