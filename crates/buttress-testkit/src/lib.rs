#![doc = include_str!("../README.md")]
#![expect(clippy::panic, reason = "this crate exists to fail tests")]

mod breach;
mod case;
mod cast;
mod contract;
mod controls;
mod ending;
mod error;
mod everywhere;
mod future;
mod hammer;
mod hang;
mod life;
mod matrix;
mod parking;
mod probe;
mod random;
mod reader;
mod script;
mod subject;
mod tally;
mod testable;
mod waker;

pub use breach::Breach;
pub use contract::{
    calls_the_polled_instance, clone_carries_no_readiness, contract, dropped_future_frees,
    dropped_response_frees, dropped_service_frees, finished_call_frees, follows_the_latest_waker,
    inner_error_passes_through, inner_panic_passes_through, inner_readiness_error_passes_through,
    panicking_inner_frees, readied_service_holds_nothing, registers_a_waker, strict_contract,
    waits_for_inner_readiness,
};
pub use controls::Controls;
pub use ending::Endings;
pub use error::{ProbeError, ScriptedPanic};
pub use everywhere::drop_at_every_poll;
pub use future::ProbeFuture;
pub use hammer::{Hammer, HammerReport};
pub use matrix::{CancelMatrix, MatrixReport, cancel_matrix};
pub use probe::Probe;
pub use random::{deep, seed};
pub use reader::{Reader, Whole};
pub use script::{Ending, Readiness, Script};
pub use subject::Subject;
pub use tally::{Counts, Live};
pub use testable::Testable;
