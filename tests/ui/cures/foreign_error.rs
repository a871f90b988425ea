// `WidenLayer`, innermost, makes room.

use std::io;

use buttress_circuit_breaker::CircuitBreaker;
use buttress_core::WidenLayer;
use tower::{Service, ServiceBuilder, service_fn};

async fn find(id: u64) -> Result<String, io::Error> {
    Ok(format!("order {id}"))
}

fn orders(breaker: &CircuitBreaker) -> impl Service<u64> {
    ServiceBuilder::new()
        .layer(breaker.layer())
        .layer(WidenLayer)
        .service(service_fn(find))
}

fn main() {
    drop(orders(&CircuitBreaker::builder("orders").build()));
}
