//! Plays the script: tells the upstreams, behind both gateways, what to do in each phase.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::try_join;

use crate::clock::Clock;
use crate::schedule::{Phase, Schedule};
use crate::stage::{PerSide, PerUpstream, Side, Upstream};
use crate::upstream::behaviour::Behaviour;
use crate::upstream::process::Process;

/// An upstream as the script sees it: a process, or only the port it will come back to.
#[derive(Debug)]
pub struct Actor {
    upstream: Upstream,
    seed: u64,
    address: SocketAddr,
    process: Option<Process>,
    /// When its port accepted again, counted from the start of the run.
    accepted: Option<Duration>,
}

impl Actor {
    /// Starts an upstream on a free port, which it keeps.
    pub async fn start(upstream: Upstream, seed: u64) -> anyhow::Result<Self> {
        let process = Process::start(upstream, seed, 0).await?;
        Ok(Self {
            upstream,
            seed,
            address: process.address(),
            process: Some(process),
            accepted: None,
        })
    }

    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes it do what it does in `phase`, killing or starting it if need be.
    async fn enter(&mut self, phase: Phase, clock: Clock) -> anyhow::Result<()> {
        match (Behaviour::during(phase, self.upstream), self.process.take()) {
            (Some(behaviour), Some(mut process)) => {
                process.behave(behaviour).await?;
                self.process = Some(process);
            }
            (Some(behaviour), None) => {
                let port = self.address.port();
                let mut process = Process::start(self.upstream, self.seed, port).await?;
                self.accepted = Some(clock.now());
                process.behave(behaviour).await?;
                self.process = Some(process);
            }
            (None, Some(process)) => process.kill().await?,
            (None, None) => {}
        }
        Ok(())
    }

    async fn leave(self) -> anyhow::Result<()> {
        match self.process {
            Some(process) => process.kill().await,
            None => Ok(()),
        }
    }
}

/// The script with its actors, the upstreams behind either gateway.
#[derive(Debug)]
pub struct Script {
    pub schedule: Schedule,
    pub actors: PerSide<PerUpstream<Actor>>,
}

impl Script {
    /// Plays every phase at its time, for both gateways at once; returns when the last has begun.
    pub async fn play(&mut self, clock: Clock) -> anyhow::Result<()> {
        for (phase, span) in self.schedule.phases() {
            clock.reaches(span.start).await;
            let PerSide { protected, bare } = &mut self.actors;
            try_join!(
                protected.inventory.enter(phase, clock),
                protected.payments.enter(phase, clock),
                bare.inventory.enter(phase, clock),
                bare.payments.enter(phase, clock),
            )?;
        }
        Ok(())
    }

    /// When payments accepted again behind the gateway of `side`.
    pub const fn accepted(&self, side: Side) -> Option<Duration> {
        self.actors.of(side).payments.accepted
    }

    /// Ends what still runs, and waits until it has.
    pub async fn end(self) -> anyhow::Result<()> {
        for PerUpstream {
            inventory,
            payments,
        } in [self.actors.protected, self.actors.bare]
        {
            inventory.leave().await?;
            payments.leave().await?;
        }
        Ok(())
    }
}
