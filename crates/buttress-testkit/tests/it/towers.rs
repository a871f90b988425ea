//! Layers of tower itself, as good examples.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::Duration;

use buttress_testkit::{
    Hammer, Live, ProbeError, Subject, cancel_matrix, contract, deep,
    readied_service_holds_nothing, strict_contract,
};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use tower::layer::util::Identity;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::retry::{Policy, RetryLayer};
use tower::timeout::TimeoutLayer;
use tower::util::{BoxCloneSyncServiceLayer, MapErrLayer, MapResponseLayer};

#[test]
fn identity_keeps_the_strict_contract() {
    strict_contract(|| Subject::new(Identity::new()));
    cancel_matrix(|| Subject::new(Identity::new()));
}

#[test]
fn maps_keep_the_strict_contract() {
    let fixture = || {
        let error = MapErrLayer::new(|error: ProbeError| Box::new(error));
        Subject::new((error, MapResponseLayer::new(|live: Live| (live, "more"))))
    };
    strict_contract(fixture);
    cancel_matrix(fixture);
}

#[test]
fn a_boxed_stack_keeps_the_strict_contract() {
    let fixture = || Subject::new(BoxCloneSyncServiceLayer::new(Identity::new()));
    strict_contract(fixture);
    cancel_matrix(fixture);
}

#[test]
fn timeout_keeps_the_strict_contract_inside_a_runtime() {
    let runtime = runtime();
    let _inside = runtime.enter();
    let fixture = || Subject::new(TimeoutLayer::new(Duration::from_secs(3600)));
    strict_contract(fixture);
    cancel_matrix(fixture);

    let handle = runtime.handle().clone();
    let hammer = Hammer::new(deep(5_000, 100_000)).within(move |work| {
        let _inside = handle.enter();
        work();
    });
    hammer.run(fixture());
}

#[test]
fn concurrency_limit_keeps_the_contract() {
    contract(|| limited(1));
    cancel_matrix(|| limited(1));
}

#[test]
fn concurrency_limit_reserves_when_it_is_readied() {
    let breach = readied_service_holds_nothing(|| limited(2)).expect_err("it reserves");
    assert_eq!(breach.check(), "readied_service_holds_nothing");
    assert_eq!(
        breach.to_string(),
        "readied_service_holds_nothing: slots: 2 still held"
    );
}

#[test]
fn concurrency_limit_holds_under_the_hammer() {
    let report = Hammer::new(deep(50_000, 1_000_000)).run(limited(3));
    assert_eq!(report.peak_in_flight, 3);
    assert!(report.inner_calls > report.calls() / 2, "{report}");
}

#[test]
fn retry_keeps_the_contract_and_hides_a_first_error() {
    let fixture = || Subject::new(RetryLayer::new(Again(2)));
    strict_contract(fixture);
    let report = cancel_matrix(fixture);
    assert_eq!(report.endings.failed, 0);
    assert_eq!(report.endings.answered, 36);
}

fn limited(slots: usize) -> Subject<GlobalConcurrencyLimitLayer> {
    let semaphore = Arc::new(Semaphore::new(slots));
    let layer = GlobalConcurrencyLimitLayer::with_semaphore(Arc::clone(&semaphore));
    Subject::new(layer).conserves("slots", move || slots - semaphore.available_permits())
}

fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime")
}

/// Retries errors so many times.
#[derive(Clone)]
struct Again(usize);

impl<T> Policy<(), T, ProbeError> for Again {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut (), result: &mut Result<T, ProbeError>) -> Option<Ready<()>> {
        self.0 = self.0.checked_sub(usize::from(result.is_err()))?;
        result.is_err().then(|| ready(()))
    }

    fn clone_request(&mut self, _: &()) -> Option<()> {
        Some(())
    }
}
