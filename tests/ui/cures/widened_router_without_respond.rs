// `RespondLayer`, outermost, answers it.

use axum::{Router, routing::get};
use buttress_circuit_breaker::CircuitBreaker;
use buttress_core::WidenLayer;
use buttress_http::{HttpExt, RespondLayer};
use tower::ServiceBuilder;

fn main() {
    let breaker = CircuitBreaker::builder("handlers").build();
    let layers = ServiceBuilder::new()
        .layer(RespondLayer::new())
        .layer(breaker.layer().http())
        .layer(WidenLayer);
    let app: Router = Router::new()
        .route("/", get(|| async { "hello" }))
        .layer(layers);
    drop(app);
}
