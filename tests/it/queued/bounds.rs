//! Where queued services and their futures fit, and what they say of themselves.

use std::rc::Rc;

use buttress_core::Plain;
use buttress_testkit::Probe;
use tower::util::BoxCloneSyncService;
use tower::{ServiceExt, service_fn};

use super::*;
use crate::support::soon;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

fn door() -> Door {
    let manner = Manner {
        slots: 1,
        never_at_once: true,
        hesitation: 1,
        ..Manner::default()
    };
    Door::new(manner, Journal::default())
}

#[tokio::test(start_paused = true)]
async fn services_and_futures_are_send_sync_and_static_where_their_parts_are() {
    fn anywhere<T: Send + Sync + 'static>(thing: T) -> T {
        thing
    }
    let probe: Probe<Live, BoxError> = Probe::new(Script::default()).failing(Into::into);
    let mut service = anywhere(Queued::new(probe, door(), Plain::new()));
    let call = anywhere(service.ready().await.unwrap().call(0));
    let call = soon("a call on another task", tokio::spawn(call));
    assert!(call.await.unwrap().is_ok());
    let call = tokio::spawn(service.clone().oneshot(0));
    assert!(soon("all of it there", call).await.unwrap().is_ok());
    let boxed = BoxCloneSyncService::new(service);
    assert!(soon("a boxed service", boxed.oneshot(0)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_service_that_cannot_leave_its_thread_is_queued_too() {
    let here = Rc::new(20);
    let service = service_fn(move |marks: u32| {
        let here = Rc::clone(&here);
        async move { Ok::<_, BoxError>(*here + marks) }
    });
    let service = Queued::new(service, door(), Plain::new());
    let call = soon("a call on this thread", service.oneshot(0));
    assert_eq!(call.await.unwrap(), 21);
}

#[test]
fn a_future_says_where_it_stands() {
    let says = |call: &Call, words: &str| {
        let text = format!("{call:?}");
        assert!(
            text.starts_with("QueuedFuture") && text.contains(words),
            "{text}"
        );
    };
    let mut scene = Scene::playing(Manner::default(), Script::default().suspensions(1));
    let mut call = scene.waiting_call();
    says(&call, "waiting");
    scene.moods.then([Mood::Pending]);
    scene.door.free_a_slot();
    assert!(poll(&mut call).is_pending());
    says(&call, "readying");
    assert!(poll(&mut call).is_pending());
    says(&call, "calling");
    let mut full = Scene::new(Manner {
        refuses: true,
        ..Manner::default()
    });
    says(&full.call(), "Overloaded");
    assert!(format!("{:?}", scene.service).contains("Queued"));
}
