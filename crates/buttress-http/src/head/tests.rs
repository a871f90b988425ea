use buttress_core::{Name, Reason, Rejected};

use super::*;

fn answer(status: u16) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

fn judge<C: Classify<Response<()>, Rejected>>(
    classifier: &C,
    result: Result<&Response<()>, &Rejected>,
) -> (Verdict, Again) {
    (classifier.classify(result), classifier.again(result))
}

#[test]
fn a_closure_judges_answers_and_nothing_else() {
    let by_head = by_head(|head| match head.status().as_u16() {
        404 => Verdict::Failure,
        _ => head.usual().0,
    });
    let by_response = by_response(|response: &Response<()>| match response.status().as_u16() {
        404 => Verdict::Failure,
        _ => Head::of(response).usual().0,
    });
    let both = |result| {
        let judged = judge(&by_head, result);
        assert_eq!(judged, judge(&by_response, result));
        judged
    };
    let (ok, gone, broken) = (answer(200), answer(404), answer(500));
    assert_eq!(both(Ok(&ok)), (Verdict::Success, Again::No));
    assert_eq!(both(Ok(&gone)), (Verdict::Failure, Again::Yes));
    assert_eq!(both(Ok(&broken)), (Verdict::Failure, Again::Yes));

    let refused = Rejected::new(Reason::Overloaded, Name::new("inner"));
    let mut rendered = answer(404);
    rendered.extensions_mut().insert(refused);
    assert_eq!(both(Ok(&rendered)), (Verdict::Neutral, Again::No));
    assert_eq!(both(Err(&refused)), (Verdict::Neutral, Again::No));
    let timed_out = Rejected::new(Reason::TimedOut, Name::new("inner"));
    assert_eq!(both(Err(&timed_out)), (Verdict::Failure, Again::Yes));
}
