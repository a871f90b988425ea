use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::error::ProbeError;
use crate::script::Script;
use crate::tally::{Live, Tally};

/// What all clones of a probe share.
pub(crate) struct Cast<T, E> {
    pub(crate) tally: Arc<Tally>,
    pub(crate) plan: Arc<dyn Fn(u64) -> Script + Send + Sync>,
    pub(crate) respond: Arc<dyn Fn(Live) -> T + Send + Sync>,
    pub(crate) fail: Option<Fail<E>>,
}

pub(crate) type Fail<E> = Arc<dyn Fn(ProbeError) -> E + Send + Sync>;

impl<T, E> Cast<T, E> {
    /// Begins a turn: its number, and the script that the plan has for it.
    pub(crate) fn draw(&self) -> Turn {
        let number = self.tally.turns.fetch_add(1, Relaxed);
        Turn {
            number,
            script: (self.plan)(number),
        }
    }

    pub(crate) fn response(&self, live: Live) -> T {
        (self.respond)(live)
    }

    pub(crate) fn error(&self, turn: u64) -> E {
        let Some(fail) = &self.fail else {
            panic!("the script asks an infallible probe for an error");
        };
        fail(ProbeError { turn })
    }
}

/// One script drawn, and its number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    pub(crate) number: u64,
    pub(crate) script: Script,
}
