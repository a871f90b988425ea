//! `cargo run --release -p benches --features peers --bin allocations`: what a call allocates, and what a key takes up.
//!
//! A program of its own, because its allocator counts: under `icount` that would be charged to whoever allocates.

use benches::cases::{self, Case, HOARDS, Hoard};
use benches::inner::Inner;
use benches::keys::MANY;
use benches::runtime;

fn main() {
    println!("{:<32}{:>13}{:>13}", "per call", "allocations", "bytes");
    let mut path = "";
    for case in cases::all() {
        if case.path != path {
            path = case.path;
            println!("\n{path}");
        }
        let (allocations, bytes) = per_call(case);
        println!("  {:<30}{allocations:>13}{bytes:>13}", case.who);
    }
    println!("\nbytes per key, of {MANY} keys of 8 bytes");
    for hoard in HOARDS {
        println!("  {:<30}{:>26}", hoard.who, bytes_per_key(hoard));
    }
}

/// Allocations and bytes of one call, to hundredths: what twice as many calls allocate more.
fn per_call(case: &Case) -> (f64, f64) {
    let runtime = runtime::single();
    let mut subject = runtime.block_on(async { case.build(Inner::Prompt) });
    runtime.block_on(subject.warm_up(case.warm_up));
    let mut count = |calls| {
        let info = allocation_counter::measure(|| runtime.block_on(subject.run(calls)));
        (info.count_total, info.bytes_total)
    };
    let (short, long) = (count(case.calls), count(2 * case.calls));
    let each = |short: u64, long: u64| {
        let more = long as f64 - short as f64;
        (more / case.calls as f64 * 100.0).round() / 100.0 + 0.0
    };
    (each(short.0, long.0), each(short.1, long.1))
}

/// What a limiter of many keys holds of the heap for each, to tenths; of which 8 are the key itself.
fn bytes_per_key(hoard: &Hoard) -> f64 {
    let mut kept = None;
    let info = allocation_counter::measure(|| kept = Some(hoard.fill()));
    (info.bytes_current as f64 / MANY as f64 * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_eight_bytes_takes_up_forty_at_most() {
        let ours = HOARDS.iter().find(|hoard| hoard.who == cases::OURS);
        let bytes = bytes_per_key(ours.expect("it is in the table"));
        assert!((16.0..=40.0).contains(&bytes), "{bytes} bytes per key");
    }
}
