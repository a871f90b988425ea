//! Watches a run: collects its calls, keeps the screen up to date, and hears Ctrl-C.

use std::pin::pin;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};

use crate::clock::Clock;
use crate::figures::Record;
use crate::gateway::protected::Protected;
use crate::load::call::Call;
use crate::schedule::Schedule;
use crate::screen::{Screen, View};

/// How often the screen is brought up to date, and the timeouts are looked at.
const TICK: Duration = Duration::from_millis(100);

/// The figures on the screen are those of the calls that ended in the last second.
const WINDOW: Duration = Duration::from_secs(1);

/// The calls of a run, as they come in.
#[derive(Debug)]
pub struct Watch {
    clock: Clock,
    schedule: Schedule,
    protected: Protected,
    calls: Vec<Call>,
}

impl Watch {
    pub const fn new(clock: Clock, schedule: Schedule, protected: Protected) -> Self {
        Self {
            clock,
            schedule,
            protected,
            calls: Vec::new(),
        }
    }

    /// Returns once every call is over; with the time at which it was asked to stop, if it was.
    pub async fn until_over(
        &mut self,
        screen: &mut Screen,
        script: impl Future<Output = anyhow::Result<()>>,
        mut calls: mpsc::UnboundedReceiver<Call>,
        stop: watch::Sender<bool>,
    ) -> anyhow::Result<Option<Duration>> {
        let mut script = pin!(script);
        let mut interrupt = pin!(tokio::signal::ctrl_c());
        let (mut playing, mut cut_short) = (true, None);
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                received = calls.recv_many(&mut self.calls, 256) => if received == 0 {
                    return Ok(cut_short);
                },
                played = &mut script, if playing => {
                    played?;
                    playing = false;
                }
                _ = tick.tick() => {
                    self.protected.sample_timeouts();
                    screen.show(&self.view());
                }
                signal = &mut interrupt, if cut_short.is_none() => {
                    signal?;
                    cut_short = Some(self.clock.now());
                    playing = false;
                    stop.send_replace(true);
                }
            }
        }
    }

    /// Everything that came in, in the order of its coming.
    pub fn into_calls(self) -> Vec<Call> {
        self.calls
    }

    fn view(&self) -> View {
        let now = self.clock.now();
        let recent = Record::new(self.recent(now));
        let all = Duration::ZERO..Duration::MAX;
        View {
            now,
            phase: self.schedule.phase_at(now),
            figures: recent.figures(all.clone()),
            classes: recent.classes(all),
            window: WINDOW.min(now).max(TICK),
            breakers: self.protected.states(),
        }
    }

    /// Calls come in nearly in the order of their ends, so the last ones are the recent ones.
    fn recent(&self, now: Duration) -> Vec<Call> {
        let since = now.saturating_sub(WINDOW);
        let from_last = self.calls.iter().rev();
        from_last
            .take_while(|call| call.due + call.latency > since)
            .copied()
            .collect()
    }
}
