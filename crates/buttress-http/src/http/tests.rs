use std::time::Duration;

use super::*;
use crate::Grpc;

fn check(protocol: &impl RequestContext<Request<()>>) {
    let mut request = Request::new(());
    assert_eq!(protocol.deadline(&request), None);
    assert_eq!(protocol.priority(&request), None);

    let deadline = Deadline::after(tokio::time::Instant::now(), Duration::from_secs(1));
    request.extensions_mut().insert(deadline);
    request.extensions_mut().insert(Priority::Critical);
    assert_eq!(protocol.deadline(&request), Some(deadline));
    assert_eq!(protocol.priority(&request), Some(Priority::Critical));

    protocol.stamp(&mut request, Mark::Probe);
    assert_eq!(request.extensions().get(), Some(&Mark::Probe));
}

#[test]
fn the_context_of_a_request_stands_in_its_extensions() {
    check(&Http::new());
    check(&Grpc::new().until_headers());
}

#[test]
fn no_header_says_anything() {
    let request = Request::builder()
        .header("priority", "critical")
        .header("grpc-timeout", "1S");
    let request = request.body(()).unwrap();
    assert_eq!(Http::new().priority(&request), None);
    assert_eq!(Grpc::new().deadline(&request), None);
}
