// The same mistake, met where the service is called as a method: the compiler says less there.

use std::io;

use buttress_circuit_breaker::CircuitBreaker;
use tower::{ServiceBuilder, ServiceExt, service_fn};

async fn find(id: u64) -> Result<String, io::Error> {
    Ok(format!("order {id}"))
}

fn main() {
    let breaker = CircuitBreaker::builder("orders").build();
    let orders = ServiceBuilder::new()
        .layer(breaker.layer())
        .service(service_fn(find));
    drop(orders.oneshot(7));
}
