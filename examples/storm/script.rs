//! Plays the script: tells payments, behind both gateways, what to do in each phase.

use std::time::Duration;

use tokio::try_join;

use crate::clock::Clock;
use crate::schedule::Schedule;
use crate::stage::{PerSide, Side, Upstream};
use crate::upstream::behaviour::Behaviour;
use crate::upstream::process::Process;

/// Payments as the script sees it: a process, or only the port it will come back to.
#[derive(Debug)]
pub struct Payments {
    seed: u64,
    port: u16,
    process: Option<Process>,
    /// When its port accepted again, counted from the start of the run.
    accepted: Option<Duration>,
}

impl Payments {
    pub const fn new(seed: u64, process: Process) -> Self {
        let port = process.address().port();
        Self {
            seed,
            port,
            process: Some(process),
            accepted: None,
        }
    }

    /// Makes it behave so from now on; `None` kills it, and the next behaviour starts it again.
    async fn become_so(
        &mut self,
        behaviour: Option<Behaviour>,
        clock: Clock,
    ) -> anyhow::Result<()> {
        match (behaviour, self.process.take()) {
            (Some(behaviour), Some(mut process)) => {
                process.behave(behaviour).await?;
                self.process = Some(process);
            }
            (Some(behaviour), None) => {
                let mut process = Process::start(Upstream::Payments, self.seed, self.port).await?;
                self.accepted = Some(clock.now());
                process.behave(behaviour).await?;
                self.process = Some(process);
            }
            (None, Some(process)) => process.kill().await?,
            (None, None) => {}
        }
        Ok(())
    }
}

/// The script with its actors, payments behind either gateway.
#[derive(Debug)]
pub struct Script {
    pub schedule: Schedule,
    pub payments: PerSide<Payments>,
}

impl Script {
    /// Plays every phase at its time, for both gateways at once; returns when the last has begun.
    pub async fn play(&mut self, clock: Clock) -> anyhow::Result<()> {
        for (phase, span) in self.schedule.phases() {
            clock.reaches(span.start).await;
            let behaviour = Behaviour::during(phase);
            let PerSide { protected, bare } = &mut self.payments;
            try_join!(
                protected.become_so(behaviour, clock),
                bare.become_so(behaviour, clock)
            )?;
        }
        Ok(())
    }

    /// When payments accepted again behind the gateway of `side`.
    pub const fn accepted(&self, side: Side) -> Option<Duration> {
        self.payments.of(side).accepted
    }

    /// Ends what still runs.
    pub async fn end(self) -> anyhow::Result<()> {
        for payments in [self.payments.protected, self.payments.bare] {
            if let Some(process) = payments.process {
                process.kill().await?;
            }
        }
        Ok(())
    }
}
