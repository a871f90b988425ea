use std::fmt;

use buttress_core::{Error as Widened, Name, Reason, Rejected};

use super::*;

type BoxError = Box<dyn Error + Send + Sync>;

#[derive(Debug)]
struct Outer(BoxError);

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("outer")
    }
}

impl Error for Outer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}

fn io_error(kind: io::ErrorKind) -> Outer {
    Outer(Box::new(io::Error::from(kind)))
}

#[test]
fn a_connection_that_was_never_made_is_found_however_deep_it_stands() {
    let refused = || io_error(io::ErrorKind::ConnectionRefused);
    assert_eq!(again(&Widened::Inner(refused())), Again::NotSent);
    let boxed: BoxError = Box::new(refused());
    assert_eq!(again(&boxed), Again::NotSent);
    assert_eq!(
        again(&Widened::Inner(Outer(Box::new(refused())))),
        Again::NotSent
    );
    assert_eq!(
        again(&Widened::Inner(io::Error::other(refused()))),
        Again::NotSent
    );
    assert_eq!(
        again(&Widened::Inner(io_error(io::ErrorKind::AddrNotAvailable))),
        Again::NotSent
    );
    assert_eq!(verdict(&Widened::Inner(refused())), Verdict::Failure);
}

#[test]
fn what_may_have_reached_its_handler_is_no_such_thing() {
    for kind in [
        io::ErrorKind::ConnectionReset,
        io::ErrorKind::ConnectionAborted,
        io::ErrorKind::BrokenPipe,
        io::ErrorKind::HostUnreachable,
        io::ErrorKind::TimedOut,
        io::ErrorKind::UnexpectedEof,
    ] {
        let error = Widened::Inner(io_error(kind));
        assert_eq!(
            (verdict(&error), again(&error)),
            (Verdict::Failure, Again::Yes),
            "{kind}"
        );
    }
}

#[test]
fn a_refusal_of_ours_says_what_its_reason_says() {
    for reason in Reason::ALL {
        let rejected = Rejected::new(reason, Name::new("inner"));
        let expected = (reason.verdict(), reason.again());
        let widened = Widened::<io::Error>::Rejected(rejected);
        assert_eq!((verdict(&widened), again(&widened)), expected, "{reason}");
        let boxed: BoxError = Box::new(Outer(Box::new(rejected)));
        assert_eq!((verdict(&boxed), again(&boxed)), expected, "{reason}");
    }
}

#[test]
fn a_timeout_around_the_making_of_a_connection_has_sent_nothing() {
    /// A refused connection that a refusal of ours is the cause of.
    #[derive(Debug)]
    struct NoConnection(Rejected);
    impl fmt::Display for NoConnection {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("no connection")
        }
    }
    impl Error for NoConnection {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }
    for reason in Reason::ALL {
        let cause = NoConnection(Rejected::new(reason, Name::new("connection")));
        let refused = io::Error::new(io::ErrorKind::ConnectionRefused, cause);
        let boxed: BoxError = Box::new(Outer(Box::new(refused)));
        let expected = match reason {
            Reason::TimedOut => (Verdict::Failure, Again::NotSent),
            _ => (Verdict::Neutral, Again::No),
        };
        assert_eq!((verdict(&boxed), again(&boxed)), expected, "{reason}");
    }
}

#[test]
fn a_chain_that_never_ends_is_left() {
    #[derive(Debug)]
    struct Cycle;
    impl fmt::Display for Cycle {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("cycle")
        }
    }
    impl Error for Cycle {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&Self)
        }
    }
    assert_eq!(again(&Widened::Inner(Cycle)), Again::Yes);
}

#[cfg(feature = "h2")]
#[test]
fn only_the_other_side_can_promise_that_it_did_nothing() {
    // One that is made here is not remote.
    let ours = h2::Error::from(h2::Reason::REFUSED_STREAM);
    assert_eq!(again(&Widened::Inner(Outer(Box::new(ours)))), Again::Yes);
}
