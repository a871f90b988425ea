//! What is seen of a run while it lasts: a drawing in a terminal, lines elsewhere.

use std::io::{IsTerminal, stdout};
use std::net::SocketAddr;
use std::time::Duration;

use crate::breakers::BreakerState;
use crate::figures::Figures;
use crate::options::Options;
use crate::schedule::Phase;
use crate::stage::{PerClass, PerSide, PerUpstream};

mod live;
mod plain;
pub mod table;

/// Where a gateway and its upstreams listen.
#[derive(Clone, Copy, Debug)]
pub struct Places {
    pub gateway: SocketAddr,
    pub upstreams: PerUpstream<SocketAddr>,
}

/// What there is to see at one instant.
#[derive(Debug)]
pub struct View {
    pub now: Duration,
    pub phase: Phase,
    /// Of the calls that ended in the last `window`.
    pub figures: PerSide<PerUpstream<Figures>>,
    /// The same calls by what they were about.
    pub classes: PerSide<PerClass<Figures>>,
    pub window: Duration,
    /// Of the protected gateway; the bare one has none.
    pub breakers: PerUpstream<BreakerState>,
}

impl View {
    /// A number of calls in the window, as calls per second.
    fn per_second(&self, calls: usize) -> String {
        format!("{:.0}/s", calls as f64 / self.window.as_secs_f64())
    }
}

#[derive(Debug)]
pub enum Screen {
    Live(Box<live::Live>),
    Plain(plain::Plain),
}

impl Screen {
    pub fn new(options: &Options, places: &PerSide<Places>) -> Self {
        let title = format!(
            "storm: {} calls/s to each gateway for {} s, seed {}",
            options.rate, options.seconds, options.seed
        );
        if options.headless || !stdout().is_terminal() {
            Self::Plain(plain::Plain::new(&title, places, options.schedule()))
        } else {
            Self::Live(live::Live::new(&title, options.schedule()).into())
        }
    }

    pub fn show(&mut self, view: &View) {
        match self {
            Self::Live(live) => live.show(view),
            Self::Plain(plain) => plain.show(view),
        }
    }

    /// Leaves the terminal as it was, ready for the closing table.
    pub fn close(&self) {
        if let Self::Live(live) = self {
            live.close();
        }
    }
}
