//! Plays the script: tells the upstreams, behind both gateways, what to do in each phase.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::try_join;

use crate::chance::{Purpose, draw};
use crate::clock::Clock;
use crate::report::Turned;
use crate::schedule::{Phase, Schedule};
use crate::stage::{PerSide, PerUpstream, Side, Upstream};
use crate::upstream::behaviour::Behaviour;
use crate::upstream::process::Process;

/// What an actor does in each phase; nothing while it is dead.
type Part = fn(Phase, Upstream) -> Option<Behaviour>;

/// An upstream as the script sees it: a process, or only the port it will come back to.
#[derive(Debug)]
pub struct Actor {
    upstream: Upstream,
    name: &'static str,
    part: Part,
    seed: u64,
    address: SocketAddr,
    process: Option<Process>,
    /// When each phase began for it, which may kill it, counted from the start of the run.
    turned: Vec<(Phase, Duration)>,
    /// When its port accepted again.
    accepted: Option<Duration>,
}

impl Actor {
    /// Starts an upstream on a free port, which it keeps.
    pub async fn start(upstream: Upstream, seed: u64) -> anyhow::Result<Self> {
        Self::start_as(upstream, upstream.name(), Behaviour::during, seed).await
    }

    /// Starts the replica of an upstream, which has chance of its own.
    pub async fn start_replica(upstream: Upstream, seed: u64) -> anyhow::Result<Self> {
        let part: Part = |phase, upstream| Some(Behaviour::of_replica(phase, upstream));
        let seed = draw(seed, Purpose::Replica, 0).to_bits();
        Self::start_as(upstream, upstream.replica(), part, seed).await
    }

    async fn start_as(
        upstream: Upstream,
        name: &'static str,
        part: Part,
        seed: u64,
    ) -> anyhow::Result<Self> {
        let process = Process::start(name, seed, 0).await?;
        Ok(Self {
            upstream,
            name,
            part,
            seed,
            address: process.address(),
            process: Some(process),
            turned: Vec::new(),
            accepted: None,
        })
    }

    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes it do what it does in `phase`, killing or starting it if need be.
    async fn enter(&mut self, phase: Phase, clock: Clock) -> anyhow::Result<()> {
        self.turned.push((phase, clock.now()));
        match ((self.part)(phase, self.upstream), self.process.take()) {
            (Some(behaviour), Some(mut process)) => {
                process.behave(behaviour).await?;
                self.process = Some(process);
            }
            (Some(behaviour), None) => {
                let port = self.address.port();
                let mut process = Process::start(self.name, self.seed, port).await?;
                self.accepted = Some(clock.now());
                process.behave(behaviour).await?;
                self.process = Some(process);
            }
            (None, Some(process)) => process.kill().await?,
            (None, None) => {}
        }
        Ok(())
    }

    /// When it turned to what it does in `phase`, if it did.
    fn turned_to(&self, phase: Phase) -> Option<Duration> {
        let mut turned = self.turned.iter();
        turned.find(|(to, _)| *to == phase).map(|(_, at)| *at)
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
    /// Of the protected gateway; the bare one would not ask any.
    pub replicas: PerUpstream<Actor>,
}

impl Script {
    /// Plays every phase at its time, for both gateways at once; returns when the last has begun.
    pub async fn play(&mut self, clock: Clock) -> anyhow::Result<()> {
        for (phase, span) in self.schedule.phases() {
            clock.reaches(span.start).await;
            let PerSide { protected, bare } = &mut self.actors;
            let replicas = &mut self.replicas;
            try_join!(
                protected.inventory.enter(phase, clock),
                protected.payments.enter(phase, clock),
                bare.inventory.enter(phase, clock),
                bare.payments.enter(phase, clock),
                replicas.inventory.enter(phase, clock),
                replicas.payments.enter(phase, clock),
            )?;
        }
        Ok(())
    }

    /// When payments behind the gateway of `side` turned.
    pub fn turned(&self, side: Side) -> Turned {
        let payments = &self.actors.of(side).payments;
        Turned {
            hanging: payments.turned_to(Phase::Hanging),
            dead: payments.turned_to(Phase::Dead),
            back: payments.accepted,
        }
    }

    /// Ends what still runs, and waits until it has.
    pub async fn end(self) -> anyhow::Result<()> {
        for PerUpstream {
            inventory,
            payments,
        } in [self.actors.protected, self.actors.bare, self.replicas]
        {
            inventory.leave().await?;
            payments.leave().await?;
        }
        Ok(())
    }
}
