//! One server, and the one connection to it.

use std::sync::Arc;
use std::time::Duration;

use buttress::Error;
use tokio::sync::Mutex;
use tokio_postgres::{Client, Config, NoTls};

use crate::chain::Question;
use crate::sqlstate::Failure;

/// A server that is connected to when it is asked, and again when that connection is gone.
#[derive(Clone)]
pub(crate) struct Database {
    config: Config,
    client: Arc<Mutex<Option<Arc<Client>>>>,
}

impl Database {
    pub(crate) fn new(mut config: Config) -> Self {
        config.connect_timeout(Duration::from_secs(1));
        // A statement that is cut is cut there, too. Beside what the user wants, which comes last and so counts.
        let named = config.get_options().unwrap_or_default();
        let options =
            format!("-c statement_timeout=300 -c default_transaction_read_only=on {named}");
        config.options(options.trim_end());
        let client = Arc::default();
        Self { config, client }
    }

    pub(crate) async fn answer(&self, question: Question) -> Result<String, Failure> {
        let client = self.client().await?;
        let (sql, id) = match question {
            Question::Order(id) => (
                "SELECT 'order ' || $1::int4 || ' of the ' ||
                 CASE WHEN pg_is_in_recovery() THEN 'replica' ELSE 'primary' END",
                id,
            ),
            Question::Nonsense => ("SELECT (1 / ($1::int4 - $1::int4))::text", 0),
            Question::Slow => ("SELECT pg_sleep(10 + $1::int4)::text", 0),
        };
        let row = client.query_one(sql, &[&id]).await.map_err(Error::Inner)?;
        row.try_get(0).map_err(Error::Inner)
    }

    #[cfg(test)]
    pub(crate) fn options(&self) -> Option<&str> {
        self.config.get_options()
    }

    async fn client(&self) -> Result<Arc<Client>, Failure> {
        let mut kept = self.client.lock().await;
        if let Some(client) = kept.as_ref().filter(|client| !client.is_closed()) {
            return Ok(Arc::clone(client));
        }
        let (client, connection) = self.config.connect(NoTls).await.map_err(Error::Inner)?;
        tokio::spawn(connection);
        let client = Arc::new(client);
        *kept = Some(Arc::clone(&client));
        Ok(client)
    }
}
