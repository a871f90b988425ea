//! Counts what a layer adds to a call, and puts the peers beside it.
//!
//! A [`Case`](cases::Case) is one layer in one state, over an inner service that answers at once; where calls wait for each
//! other, over one that answers when it is told to, with the executor left out. Every program of this package runs the same
//! cases and looks at them from another side:
//!
//! | program | what it shows |
//! |---|---|
//! | `icount` | instructions, locked instructions, clock reads and allocations per call, held against `goals.toml` |
//! | `allocations` | allocations and bytes per call, without valgrind |
//! | `contention` | what is left of the throughput when two threads share one component |
//! | `cargo bench` | time per call |
//!
//! A new case is one entry in a table of [`cases`]; a case of ours has its goal in `goals.toml`.

pub mod callgrind;
pub mod cases;
pub mod contention;
pub mod figures;
pub mod goals;
pub mod inner;
pub mod keys;
pub mod report;
pub mod runtime;
pub mod subject;
