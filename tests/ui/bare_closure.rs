// A closure as a classifier, of which the compiler does not know that it works for every lifetime.

use std::io;

use buttress_circuit_breaker::CircuitBreaker;
use buttress_core::{Error, Verdict, WidenLayer};
use tower::{Service, ServiceBuilder, service_fn};

async fn roll(sides: u32) -> Result<u32, io::Error> {
    Ok(sides / 2)
}

fn dice(breaker: &CircuitBreaker) -> impl Service<u32, Error = Error<io::Error>> {
    let unlucky = |result| match result {
        Ok(6) => Verdict::Success,
        _ => Verdict::Failure,
    };
    ServiceBuilder::new()
        .layer(breaker.layer().classify(unlucky))
        .layer(WidenLayer)
        .service(service_fn(roll))
}

fn main() {
    drop(dice(&CircuitBreaker::builder("dice").build()));
}
