// `WidenLayer`, innermost, makes room.

use std::io;

use buttress_circuit_breaker::CircuitBreaker;
use buttress_core::WidenLayer;
use tower::{ServiceBuilder, ServiceExt, service_fn};

async fn find(id: u64) -> Result<String, io::Error> {
    Ok(format!("order {id}"))
}

fn main() {
    let breaker = CircuitBreaker::builder("orders").build();
    let orders = ServiceBuilder::new()
        .layer(breaker.layer())
        .layer(WidenLayer)
        .service(service_fn(find));
    drop(orders.oneshot(7));
}
