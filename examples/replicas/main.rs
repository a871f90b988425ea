//! A PostgreSQL primary and its replica behind one chain: `cargo run --release -p examples --bin replicas`.
//!
//! Needs a server: `BUTTRESS_PG` names it as libpq does (`host=127.0.0.1 user=postgres`), and `BUTTRESS_PG_REPLICA` its replica; without
//! them the local one at 127.0.0.1:5432 is tried. Nothing is written there. Where the replica is not named the same server plays it.

mod chain;
mod database;
mod sqlstate;

use std::env;

use anyhow::Result;
use tokio_postgres::Config;

use self::chain::{Orders, Question};
use self::database::Database;

const LOCAL: &str = "host=127.0.0.1 port=5432 user=postgres dbname=postgres";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let named = env::var("BUTTRESS_PG").ok();
    let primary: Config = named.as_deref().unwrap_or(LOCAL).parse()?;
    let replica = env::var("BUTTRESS_PG_REPLICA").ok();
    let replica: Config = replica.map_or(Ok(primary.clone()), |named| named.parse())?;
    let primary = Database::new(primary);
    if let Err(error) = primary.answer(Question::Order(0)).await {
        println!("no PostgreSQL answers: {error}");
        println!("start one, or name one: BUTTRESS_PG='host=… user=… password=…'");
        return Ok(());
    }
    let orders = Orders::new(primary, Database::new(replica));
    for question in [Question::Order(7), Question::Nonsense, Question::Slow] {
        match orders.ask(question).await {
            Ok((level, answer)) => println!("{question:?}: {answer} (by {level})"),
            // With the words of the server, which the driver keeps behind its own.
            Err(error) => println!("{question:?}: {error}: {}", error.root_cause()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod servers;
#[cfg(test)]
mod tests;
