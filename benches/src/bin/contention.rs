//! `cargo run --release -p benches --features peers --bin contention`: what is left of the throughput when one component
//! is shared.
//!
//! A ratio of 2 is ideal on two cores; below 1, two get less done than one. The bare service, which shares nothing, says
//! what the machine itself gave.

use anyhow::{Context, Result};
use benches::cases::{self, BARE, SUCCEEDS};
use benches::contention::{TASKS, Throughput, Track};

fn main() -> Result<()> {
    let bare = cases::find(BARE, SUCCEEDS.path).context("the bare service is not in the table")?;
    let track = Track::new(bare);
    let headers = [
        "1 thread",
        "2 threads",
        "ratio",
        "1 task",
        &format!("{TASKS} on 2"),
        "ratio",
    ];
    print_line("million calls per second", headers);
    let mut path = "";
    let mut busy = false;
    for case in cases::all().into_iter().filter(|case| case.is_serving()) {
        if case.path != path {
            path = case.path;
            println!("\n{path}");
        }
        let (threads, workers) = (track.on_threads(case), track.on_workers(case));
        let [a, b, c] = cells(threads);
        let [d, e, f] = cells(workers);
        print_line(&format!("  {}", case.who), [&a, &b, &c, &d, &e, &f]);
        busy |= !threads.free || !workers.free;
    }
    println!("\n1 task on 1 worker, {TASKS} tasks on 2 workers, over an inner service that yields");
    if busy {
        println!(
            "?: two threads that share nothing did not run side by side; the machine was too busy"
        );
    }
    Ok(())
}

fn cells(throughput: Throughput) -> [String; 3] {
    let doubt = if throughput.free { "" } else { "?" };
    let Throughput {
        alone, together, ..
    } = throughput;
    let ratio = throughput.ratio();
    [
        format!("{alone:.2}"),
        format!("{together:.2}"),
        format!("{ratio:.2}{doubt}"),
    ]
}

fn print_line(label: &str, cells: [&str; 6]) {
    print!("{label:<28}");
    for cell in cells {
        print!("{cell:>11}");
    }
    println!();
}
