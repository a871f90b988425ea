//! Two hundred calls a second, whose times are log-normal around 20 ms and change after a minute for two.

use std::f64::consts::TAU;
use std::fmt;
use std::future::{Future, pending};
use std::time::Duration;

use buttress_core::Rejected;
use buttress_sync::Random;
use tokio::time::{Instant, sleep, sleep_until};

const RATE: f64 = 200.0;
const MEDIAN: Duration = Duration::from_millis(20);
const SIGMA: f64 = 0.5;

const CHANGE_START: Duration = Duration::from_secs(60);

/// Adapted means that of the calls of so long a while no more than two in a hundred are cut.
const WHILE: Duration = Duration::from_secs(5);
const FEW: f64 = 0.02;

/// What happens to the times of calls for two minutes, or for twenty.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Change {
    TenTimes,
    Plus300Ms,
    ThirtyPercentHang,
    /// Eight of a hundred hang, and one of a thousand takes five seconds: for twenty minutes.
    SomeHangAndFewAreSlow,
}

impl Change {
    fn end(self) -> Duration {
        let minutes = if self == Self::SomeHangAndFewAreSlow {
            20
        } else {
            2
        };
        CHANGE_START + minutes * Duration::from_secs(60)
    }
}

/// How long a call takes; for ever, if nothing is said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call(Option<Duration>);

pub(super) async fn answer(call: Call) -> Result<(), Rejected> {
    match call.0 {
        Some(time) => sleep(time).await,
        None => pending().await,
    }
    Ok(())
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Traffic {
    pub(super) change: Change,
    pub(super) seed: u64,
}

/// A call that has ended: when it came, how long it waited, whether it was cut.
struct Ended {
    came: Duration,
    waited: Duration,
    cut: bool,
}

/// What became of the calls.
pub(super) struct Run {
    /// Of the calls of the first minute of the change.
    pub(super) cut_in_first_minute: f64,
    /// How long after the change so few were cut again.
    pub(super) adapted_after: Option<Duration>,
    /// In the change.
    pub(super) mean_wait: Duration,
    pub(super) cut_before: f64,
    pub(super) timeout_before: Duration,
    /// At the end of the change.
    pub(super) timeout_at_end: Duration,
    /// One long horizon after the change, and two looks more.
    pub(super) timeout_after: Duration,
}

impl Traffic {
    /// Lets `make` make what calls, and what shows the timeout.
    pub(super) fn run<F, R, T>(self, make: impl FnOnce() -> (F, T)) -> Run
    where
        F: Fn(Call) -> R,
        R: Future<Output = Result<(), Rejected>> + 'static,
        T: Fn() -> Duration,
    {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, async {
            let (call, shown) = make();
            self.drive(call, shown).await
        })
    }

    async fn drive<F, R>(self, call: F, shown: impl Fn() -> Duration) -> Run
    where
        F: Fn(Call) -> R,
        R: Future<Output = Result<(), Rejected>> + 'static,
    {
        let random = Random::seeded(self.seed);
        let start = Instant::now();
        let mut calls = Vec::new();
        let mut came = Duration::ZERO;
        let change_end = self.change.end();
        let moments = [
            CHANGE_START,
            change_end,
            change_end + Duration::from_millis(30_200),
        ];
        let mut timeouts = Vec::new();
        while came < change_end + Duration::from_secs(60) {
            sleep_until(start + came).await;
            if moments
                .get(timeouts.len())
                .is_some_and(|moment| came >= *moment)
            {
                timeouts.push(shown());
            }
            let made = call(self.next_call(came, &random));
            let began = start.elapsed();
            calls.push(tokio::task::spawn_local(async move {
                let cut = made.await.is_err();
                Ended {
                    came: began,
                    waited: start.elapsed() - began,
                    cut,
                }
            }));
            came += Duration::from_secs_f64(-uniform(&random).ln() / RATE);
        }
        let mut ended = Vec::with_capacity(calls.len());
        for call in calls {
            ended.push(call.await.unwrap());
        }
        Run::of(&ended, &timeouts, change_end)
    }

    fn next_call(self, came: Duration, random: &Random) -> Call {
        let normal = (-2.0 * uniform(random).ln()).sqrt() * (TAU * uniform(random)).cos();
        let usual = MEDIAN.mul_f64((SIGMA * normal).exp());
        let lot = uniform(random);
        if !(CHANGE_START..self.change.end()).contains(&came) {
            return Call(Some(usual));
        }
        match self.change {
            Change::TenTimes => Call(Some(usual * 10)),
            Change::Plus300Ms => Call(Some(usual + Duration::from_millis(300))),
            Change::ThirtyPercentHang => Call((lot >= 0.3).then_some(usual)),
            Change::SomeHangAndFewAreSlow if lot < 0.08 => Call(None),
            Change::SomeHangAndFewAreSlow if lot < 0.081 => Call(Some(Duration::from_secs(5))),
            Change::SomeHangAndFewAreSlow => Call(Some(usual)),
        }
    }
}

/// Above zero, up to one.
fn uniform(random: &Random) -> f64 {
    ((random.next_u64() >> 11) + 1) as f64 / (1_u64 << 53) as f64
}

impl Run {
    fn of(calls: &[Ended], timeouts: &[Duration], change_end: Duration) -> Self {
        let share = |from: Duration, to: Duration| {
            let of_then = calls.iter().filter(|call| (from..to).contains(&call.came));
            let (all, cut) = of_then.fold((0_u32, 0_u32), |(all, cut), call| {
                (all + 1, cut + u32::from(call.cut))
            });
            f64::from(cut) / f64::from(all)
        };
        let step = Duration::from_millis(250);
        let mut afters = (0..480).map(|steps| step * steps);
        let in_change: Vec<_> = calls
            .iter()
            .filter(|call| (CHANGE_START..change_end).contains(&call.came))
            .collect();
        let waited: Duration = in_change.iter().map(|call| call.waited).sum();
        Self {
            cut_in_first_minute: share(CHANGE_START, CHANGE_START + Duration::from_secs(60)),
            adapted_after: afters
                .find(|after| share(CHANGE_START + *after, CHANGE_START + *after + WHILE) <= FEW),
            mean_wait: waited / u32::try_from(in_change.len()).unwrap(),
            cut_before: share(Duration::from_secs(10), CHANGE_START),
            timeout_before: timeouts[0],
            timeout_at_end: timeouts[1],
            timeout_after: timeouts[2],
        }
    }

    /// Whether the timeout is what it was, give or take a tenth and what the sample of half a minute is off by.
    pub(super) fn is_back(&self) -> bool {
        let ratio = self.timeout_after.as_secs_f64() / self.timeout_before.as_secs_f64();
        (0.85..1.15).contains(&ratio)
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.2} % cut before, {:.2} % in the first minute, adapted after {:?}, mean wait {:.1?}, timeout {:.1?} -> {:.1?} -> {:.1?}",
            self.cut_before * 100.0,
            self.cut_in_first_minute * 100.0,
            self.adapted_after,
            self.mean_wait,
            self.timeout_before,
            self.timeout_at_end,
            self.timeout_after,
        )
    }
}
