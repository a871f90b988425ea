//! Primary, replica, what was kept, and a default.

use std::time::Duration;

use anyhow::Result;
use buttress::core::{Cached, Level, by};
use buttress::{FallbackChain, LocalCache, Source};

use crate::database::Database;
use crate::sqlstate::{Failure, judge};

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    Order(i32),
    /// The caller's fault, on every server.
    Nonsense,
    /// Takes longer than any server lets it.
    Slow,
}

pub(crate) struct Orders(FallbackChain<Question, String, Failure, Cached<String>>);

impl Orders {
    pub(crate) fn new(primary: Database, replica: Database) -> Self {
        let of = |database: Database| {
            Source::function(move |question| {
                let database = database.clone();
                async move { database.answer(question).await }
            })
        };
        let orders = LocalCache::keyed(|question: &Question| match question {
            Question::Order(id) => Some(*id),
            Question::Nonsense | Question::Slow => None,
        });
        Self(
            FallbackChain::builder("orders")
                .primary(of(primary).time(Duration::from_millis(500)))
                .replica(of(replica).limit(16).time(Duration::from_millis(500)))
                .local_cache(orders.stale_for(Duration::from_secs(600)))
                .default_value("no order to be seen now".to_owned())
                .build(),
        )
    }

    pub(crate) async fn ask(&self, question: Question) -> Result<(Level, String)> {
        let served = self.0.run_by(by(judge), question).await?;
        Ok((served.by.level, served.answer))
    }
}
