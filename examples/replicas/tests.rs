use std::time::{Duration, Instant};

use buttress::core::Level;

use super::servers::Servers;
use super::*;

/// The level that answers, and how long that takes.
async fn asked(orders: &Orders, id: i32) -> (Level, String, Duration) {
    let start = Instant::now();
    let (level, answer) = orders.ask(Question::Order(id)).await.unwrap();
    (level, answer, start.elapsed())
}

#[test]
fn the_options_that_a_user_names_are_kept() {
    let options = |text: &str| {
        let database = Database::new(text.parse().unwrap());
        database.options().unwrap().to_owned()
    };
    const OURS: &str = "-c statement_timeout=300 -c default_transaction_read_only=on";
    assert_eq!(options("host=a"), OURS);
    let theirs = "host=a options='-c search_path=shop'";
    assert_eq!(options(theirs), format!("{OURS} -c search_path=shop"));
}

#[tokio::test]
async fn a_primary_that_is_killed_is_stood_in_for_until_it_is_back() {
    let Some(servers) = Servers::start() else {
        return;
    };
    let orders = Orders::new(
        Database::new(servers.primary()),
        Database::new(servers.replica()),
    );
    let (level, answer, _) = asked(&orders, 7).await;
    assert_eq!(
        (level, answer.as_str()),
        (Level::Primary, "order 7 of the primary")
    );

    // The caller's fault is nobody else's, and too slow is too slow everywhere.
    let error = orders
        .ask(Question::Nonsense)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("primary") && !error.contains("replica"),
        "{error}"
    );
    let (level, _) = orders.ask(Question::Slow).await.unwrap();
    assert_eq!(level, Level::Default);

    servers.kill("primary");
    let (level, answer, took) = asked(&orders, 7).await;
    assert_eq!(
        (level, answer.as_str()),
        (Level::Replica, "order 7 of the replica")
    );
    println!("the replica answers {took:?} after the primary was killed");
    assert!(took < Duration::from_secs(1), "{took:?}");

    servers.kill("replica");
    let (level, answer, _) = asked(&orders, 7).await;
    assert_eq!(
        (level, answer.as_str()),
        (Level::LocalCache, "order 7 of the primary")
    );
    let (level, _, _) = asked(&orders, 8).await;
    assert_eq!(level, Level::Default, "nothing is kept of it");

    servers.bring_back_primary();
    let start = Instant::now();
    while asked(&orders, 8).await.0 != Level::Primary {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "it is not asked again"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
