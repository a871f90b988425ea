// `respond` answers what the breaker refuses.

use axum::{Router, routing::get};
use buttress_circuit_breaker::CircuitBreaker;
use buttress_http::respond;

fn main() {
    let breaker = CircuitBreaker::builder("handlers").build();
    let app: Router = Router::new()
        .route("/", get(|| async { "hello" }))
        .layer(respond(breaker.layer()));
    drop(app);
}
