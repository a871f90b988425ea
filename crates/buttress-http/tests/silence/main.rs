//! What the log says of requests without a peer. A program of its own: once a second counts for a whole process.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use std::fmt::{Debug, Write};
use std::sync::Arc;
use std::time::Duration;

use buttress_core::Key;
use buttress_http::ClientIp;
use buttress_sync::Mutex;
use http::Request;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Writes down each event with its fields.
#[derive(Clone, Default)]
struct Journal(Arc<Mutex<Vec<String>>>);

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Subscriber for Journal {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "buttress::http"
    }

    fn event(&self, event: &Event<'_>) {
        assert_eq!(*event.metadata().level(), Level::WARN);
        let mut fields = Fields(String::new());
        event.record(&mut fields);
        self.0.lock().push(fields.0);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test(start_paused = true)]
async fn a_line_a_second_names_the_commonest_cause() {
    let journal = Journal::default();
    let _listening = tracing::subscriber::set_default(journal.clone());
    let ask = || assert_eq!(ClientIp::peer().hops(1).key(&Request::new(())), None);
    ask();
    ask();
    ask();
    tokio::time::advance(Duration::from_millis(999)).await;
    ask();
    tokio::time::advance(Duration::from_millis(1)).await;
    ask();
    let lines = journal.0.lock().clone();
    assert_eq!(lines.len(), 2, "{lines:?}");
    for (line, requests) in lines.iter().zip([1, 4]) {
        assert!(line.contains(&format!("requests={requests}")), "{line}");
        assert!(
            line.contains("into_make_service_with_connect_info::<SocketAddr>()"),
            "{line}"
        );
    }
}
