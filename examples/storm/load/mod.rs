//! An open-loop load generator: calls leave when they are due, whatever became of earlier ones.

use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

use crate::attempts::Tally;
use crate::stage::{PerSide, Side};
use arrivals::Arrival;
use call::Call;
use client::{Client, PATIENCE};

pub mod arrivals;
pub mod call;
pub mod client;

/// How long calls under way may take to end when the run is stopped.
const GRACE: Duration = Duration::from_secs(1);

/// What a generator needs to begin.
#[derive(Debug)]
pub struct Load {
    pub arrivals: Vec<Arrival>,
    pub gateways: PerSide<SocketAddr>,
    /// How often each gateway has sent each call on.
    pub tallies: PerSide<Tally>,
    /// The instant from which arrivals are counted.
    pub start: Instant,
    /// Calls that are over go here; it closes when all of them are.
    pub calls: mpsc::UnboundedSender<Call>,
    /// Once true, nothing more is sent, and calls under way have a moment to end.
    pub stop: watch::Receiver<bool>,
}

impl Load {
    /// Drives both gateways with the same arrivals, on a thread that does nothing else.
    pub fn drive(self) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        thread::Builder::new()
            .name("load".into())
            .spawn(move || runtime.block_on(self.run()))
            .context("starting the load generator")?;
        Ok(())
    }

    /// Sends every call, or those until the stop, and waits for the last one to be over.
    async fn run(mut self) {
        let (under_way, mut all_over) = mpsc::channel::<()>(1);
        let mut stop = self.stop.clone();
        let patience = tokio::select! {
            () = self.send_all(under_way) => PATIENCE,
            _ = stop.wait_for(|stop| *stop) => GRACE,
        };
        // Answers `None` once each call has dropped its sender, which is what we wait for.
        let _ = timeout(patience, all_over.recv()).await;
    }

    /// Sends each call when it is due; `under_way` is held by those that are not over.
    async fn send_all(&mut self, under_way: mpsc::Sender<()>) {
        let client = |side| {
            let tally = self.tallies.of(side).clone();
            Arc::new(Client::new(side, *self.gateways.of(side), tally))
        };
        let clients = PerSide::from_fn(client);
        for arrival in mem::take(&mut self.arrivals) {
            let due = self.start + arrival.due;
            sleep_until(due).await;
            for side in Side::ALL {
                let client = Arc::clone(clients.of(side));
                let (calls, under_way) = (self.calls.clone(), under_way.clone());
                tokio::spawn(async move {
                    // Nobody listens any more only when the run failed.
                    let _ = calls.send(client.call(arrival, due).await);
                    drop(under_way);
                });
            }
        }
    }
}
