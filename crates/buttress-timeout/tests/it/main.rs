//! The public face of timeouts, on paused time.
#![expect(clippy::disallowed_methods, reason = "tests spawn tasks of their own")]
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail a test")]

mod adaptation;
mod connection;
mod cutting;
mod deadlines;
mod endings;
mod figures;
mod moving;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use buttress_sync::Mutex;
use buttress_timeout::{AdaptiveTimeout, AdaptiveTimeoutBuilder, Event};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// One that learns nothing and one that has not learned anything yet: both cut at this limit.
fn both(limit: Duration) -> [AdaptiveTimeout; 2] {
    [
        AdaptiveTimeout::fixed(limit),
        AdaptiveTimeout::builder("learning").total(limit).build(),
    ]
}

/// What a timeout tells of, in order.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<Event>>>);

impl Told {
    fn by(&self, builder: AdaptiveTimeoutBuilder) -> AdaptiveTimeout {
        let told = Arc::clone(&self.0);
        let listen = move |event: &Event| told.lock().push(*event);
        builder.observer(listen).build()
    }

    fn take(&self) -> Vec<Event> {
        std::mem::take(&mut *self.0.lock())
    }
}
