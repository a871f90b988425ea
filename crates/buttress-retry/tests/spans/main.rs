//! What those see who look at the spans. A program of its own: whether anybody looks is remembered for all threads of one.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use buttress_core::WidenLayer;
use buttress_retry::{Backoff, Jitter, Retry};
use buttress_sync::Mutex;
use tower::{Layer, ServiceExt, service_fn};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Writes down each span of ours with its fields, and in which of them work was done.
#[derive(Clone, Default)]
struct Journal {
    ids: Arc<AtomicU64>,
    spans: Arc<Mutex<Vec<String>>>,
    inside: Arc<Mutex<Vec<u64>>>,
}

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0 += &format!(" {field}={value:?}");
    }
}

impl Subscriber for Journal {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span() && metadata.target() == "buttress::retry"
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut fields = Fields(attributes.metadata().name().to_owned());
        attributes.record(&mut fields);
        self.spans.lock().push(fields.0);
        Id::from_u64(self.ids.fetch_add(1, SeqCst) + 1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, span: &Id) {
        self.inside.lock().push(span.into_u64());
    }

    fn exit(&self, span: &Id) {
        assert_eq!(self.inside.lock().pop(), Some(span.into_u64()));
    }
}

#[tokio::test(start_paused = true)]
async fn each_attempt_has_a_span_of_its_own_that_says_why_it_is_there() {
    let journal = Journal::default();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (noted, spans) = (Arc::clone(&seen), Arc::clone(&journal.inside));
    let service = service_fn(move |_: u32| {
        let (noted, spans) = (Arc::clone(&noted), Arc::clone(&spans));
        async move {
            tokio::task::yield_now().await;
            noted.lock().push(spans.lock().clone());
            let is_third = noted.lock().len() == 3;
            is_third
                .then_some(())
                .ok_or_else(|| std::io::Error::other("flaky"))
        }
    });
    let backoff = Backoff::default().jitter(Jitter::None);
    let retry = Retry::builder("inventory").backoff(backoff).build();
    let stack = retry.layer().layer(WidenLayer.layer(service));
    let _listening = tracing::subscriber::set_default(journal.clone());
    stack.oneshot(1).await.unwrap();
    assert_eq!(
        *journal.spans.lock(),
        [
            "attempt name=inventory",
            "attempt name=inventory http.request.resend_count=1 why=Failure",
            "attempt name=inventory http.request.resend_count=2 why=Failure",
        ]
    );
    assert_eq!(*seen.lock(), [[1], [2], [3]], "polled inside of its span");
}
