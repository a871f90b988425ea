// A breaker on an axum router, which knows no errors.

use axum::{Router, routing::get};
use buttress_circuit_breaker::CircuitBreaker;

fn main() {
    let breaker = CircuitBreaker::builder("handlers").build();
    let app: Router = Router::new()
        .route("/", get(|| async { "hello" }))
        .layer(breaker.layer());
    drop(app);
}
