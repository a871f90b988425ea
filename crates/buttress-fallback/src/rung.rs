//! A level of a chain, and what became of its calls.

use std::time::Duration;

use buttress_core::Level;
use buttress_sync::atomic::AtomicU64;

use crate::cache::CacheLevel;
use crate::gate::{DynGate, Slots};
use crate::source::{Asks, Call, Source};

/// A level.
pub(crate) struct Rung<Req, T, E, V> {
    pub(crate) level: Level,
    pub(crate) asks: Ask<Req, T, E, V>,
    pub(crate) time: Option<Duration>,
    pub(crate) slots: Option<Slots>,
    pub(crate) gates: Vec<Box<dyn DynGate<Req>>>,
    /// Those of a cache, which is asked for a key: there is no request to see.
    pub(crate) look_gates: Vec<Box<dyn DynGate<()>>>,
    pub(crate) served: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) passed_over: AtomicU64,
    /// When it last did, in nanoseconds from the start, and one more; 0 when it never did.
    pub(crate) last: AtomicU64,
}

pub(crate) enum Ask<Req, T, E, V> {
    /// The service below the layer.
    Wrapped,
    Call(Box<dyn Call<Req, T, E>>),
    Value(Box<dyn Fn() -> T + Send + Sync>),
    Cache(Box<dyn CacheLevel<Req, V>>),
}

/// A cache, and what limits it.
pub(crate) struct Shelved<Req, V> {
    pub(crate) level: Level,
    pub(crate) cache: Box<dyn CacheLevel<Req, V>>,
    pub(crate) time: Option<Duration>,
    pub(crate) slots: Option<Slots>,
    pub(crate) gates: Vec<Box<dyn DynGate<()>>>,
}

impl<Req, T, E, V> Rung<Req, T, E, V> {
    pub(crate) fn new(level: Level, asks: Ask<Req, T, E, V>, time: Option<Duration>) -> Self {
        Self {
            level,
            asks,
            time,
            slots: None,
            gates: Vec::new(),
            look_gates: Vec::new(),
            served: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            passed_over: AtomicU64::new(0),
            last: AtomicU64::new(0),
        }
    }

    pub(crate) fn of_source(level: Level, source: Source<Req, T, E>) -> Self {
        let asks = match source.asks {
            Asks::Call(call) => Ask::Call(call),
            Asks::Value(make) => Ask::Value(make),
        };
        // What is asked first has the load of every day, which only its owner can know.
        let has_no_limit = level == Level::Primary && source.has_usual_limit;
        Self {
            slots: source.slots.filter(|_| !has_no_limit),
            gates: source.gates,
            ..Self::new(level, asks, source.time)
        }
    }

    pub(crate) fn of_cache(shelved: Shelved<Req, V>) -> Self {
        Self {
            slots: shelved.slots,
            look_gates: shelved.gates,
            ..Self::new(shelved.level, Ask::Cache(shelved.cache), shelved.time)
        }
    }
}
