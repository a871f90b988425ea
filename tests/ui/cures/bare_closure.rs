// `by` tells the compiler.

use std::io;

use buttress_circuit_breaker::CircuitBreaker;
use buttress_core::{Error, Verdict, WidenLayer, by};
use tower::{Service, ServiceBuilder, service_fn};

async fn roll(sides: u32) -> Result<u32, io::Error> {
    Ok(sides / 2)
}

fn dice(breaker: &CircuitBreaker) -> impl Service<u32, Error = Error<io::Error>> {
    let unlucky = by(|result| match result {
        Ok(6) => Verdict::Success,
        _ => Verdict::Failure,
    });
    ServiceBuilder::new()
        .layer(breaker.layer().classify(unlucky))
        .layer(WidenLayer)
        .service(service_fn(roll))
}

fn main() {
    drop(dice(&CircuitBreaker::builder("dice").build()));
}
