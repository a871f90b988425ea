//! The tokio runtimes that the cases run in: timers on, no I/O driver.

use tokio::runtime::{Builder, Runtime};

/// A runtime of the calling thread alone.
pub fn single() -> Runtime {
    Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime without I/O starts")
}

/// A runtime of `workers` threads.
pub fn workers(workers: usize) -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_time()
        .build()
        .expect("a runtime without I/O starts")
}
