#![doc = include_str!("../README.md")]

mod classify;
mod config_error;
mod context;
mod deadline;
mod error;
mod gate;
mod guarded;
mod inspect;
mod keeper;
mod key;
mod levels;
mod name;
mod observe;
mod permit;
mod phases;
mod protocol;
mod queue_gate;
mod queued;
mod quota;
mod rejected;
mod replay;
mod run;
mod served_by;
mod trail;
mod tried;
mod verdict;
mod widen;

pub use crate::classify::{ByResult, Chosen, Classify, Reclassify, by};
pub use crate::config_error::ConfigError;
pub use crate::context::{
    Annotate, Attempt, Mark, Note, Priority, Repeatable, RequestContext, ResponseContext,
};
pub use crate::deadline::Deadline;
pub use crate::error::{Error, Rejectable, find_rejection};
pub use crate::gate::Gate;
pub use crate::guarded::{Guarded, GuardedFuture, failing_on_unwind};
pub use crate::inspect::{Condition, Fact, Inspect, Value};
pub use crate::keeper::{Keep, Keeper};
pub use crate::key::Key;
pub use crate::levels::{Asking, Cached, Keeping, Levels, Sharing, Uncached};
pub use crate::name::Name;
pub use crate::observe::{Listener, Observer};
pub use crate::permit::{Completion, Settle};
pub use crate::phases::{Phases, Watch};
pub use crate::protocol::{Adopt, Plain};
pub use crate::queue_gate::QueueGate;
pub use crate::queued::{Queued, QueuedFuture};
pub use crate::quota::{Quota, QuotaPolicy, QuotaSource, QuotaSources};
pub use crate::rejected::{Reason, Refusal, Rejected};
pub use crate::replay::{Recover, Replay, ReplayMemory};
pub use crate::run::run;
pub use crate::served_by::{Level, ServedBy};
pub use crate::trail::Trail;
pub use crate::tried::{Outcome, Tried};
pub use crate::verdict::{Again, Verdict};
pub use crate::widen::{Widen, WidenFuture, WidenLayer};
