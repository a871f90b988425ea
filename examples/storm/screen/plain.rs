//! The lines: one for each part of the run, for logs and pipes.

use std::time::Duration;

use super::{Places, View};
use crate::schedule::Schedule;
use crate::stage::{PerSide, PerUpstream, Side};
use crate::text::{duration_or_none, share};

/// How many lines a run is told in.
const LINES: u32 = 20;

#[derive(Debug)]
pub struct Plain {
    every: Duration,
    next: Duration,
}

impl Plain {
    pub fn new(title: &str, places: &PerSide<Places>, schedule: Schedule) -> Self {
        println!("{title}");
        for side in Side::ALL {
            let Places { gateway, upstreams } = places.of(side);
            let PerUpstream {
                inventory,
                payments,
            } = upstreams;
            println!(
                "{} gateway {gateway}, upstreams: inventory {inventory}, payments {payments}",
                side.name(),
            );
        }
        println!();
        println!("{:17}{:^63}  {:^52}", "", "protected", "bare");
        println!(
            "{:>6}  {:9}{}  {:9}  {}",
            "time",
            "phase",
            head(),
            "breaker",
            head()
        );
        let every = schedule.total() / LINES;
        Self { every, next: every }
    }

    pub fn show(&mut self, view: &View) {
        if view.now < self.next {
            return;
        }
        self.next += self.every;
        println!(
            "{:>4.1} s  {:9}{}  {:9}  {}",
            view.now.as_secs_f64(),
            view.phase.name(),
            side(view, Side::Protected),
            view.breakers.payments.name(),
            side(view, Side::Bare),
        );
    }
}

fn head() -> String {
    format!(
        "{:>8} {:>8} {:>9} {:>7} {:>8} {:>7}",
        "goodput", "degraded", "inventory", "p99", "checkout", "refused"
    )
}

/// Goodput, degraded answers and refusals of the gateway, share and p99 of inventory, share of checkouts.
fn side(view: &View, side: Side) -> String {
    let upstreams = view.figures.of(side);
    let inventory = &upstreams.inventory;
    format!(
        "{:>8} {:>8} {:>9} {:>7} {:>8} {:>7}",
        view.per_second(inventory.served + upstreams.payments.served),
        view.per_second(inventory.degraded.total() + upstreams.payments.degraded.total()),
        share(inventory),
        duration_or_none(inventory.p99),
        share(&view.classes.of(side).checkout),
        view.per_second(inventory.refused + upstreams.payments.refused),
    )
}
