use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body as AxumBody;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::any;
use bytes::Bytes;
use http::StatusCode;
use http_body::{Body, Frame};

/// Large enough that no buffer on the way takes it whole.
pub(crate) const LARGE: usize = 4 << 20;

/// A server with every kind of body at every status: `/200/full`, `/500/endless`.
///
/// | kind | the body |
/// |---|---|
/// | `full` | `LARGE` bytes in one frame, its length known |
/// | `chunked` | four frames of unknown length |
/// | `counted` | the same, with a `Content-Length` that the handler wrote |
/// | `empty` | none |
/// | `cut` | one frame, then an error |
/// | `panicking` | one frame, then a panic |
/// | `endless` | one frame, then silence |
/// | `flowing` | one frame after the other for ever |
/// | `silent` | not even a head |
pub(crate) fn bodies() -> Router {
    Router::new().route("/{status}/{kind}", any(answer))
}

async fn answer(Path((status, kind)): Path<(u16, String)>) -> Response {
    let response = Response::builder().status(StatusCode::from_u16(status).unwrap());
    let quarter = LARGE / 4;
    let response = match kind.as_str() {
        "full" => response.body(AxumBody::from(vec![b'.'; LARGE])),
        "chunked" => response.body(Parts::of(4, quarter, Then::End)),
        "counted" => {
            response
                .header("content-length", LARGE)
                .body(Parts::of(4, quarter, Then::End))
        }
        "empty" => response.body(AxumBody::empty()),
        "cut" => response.body(Parts::of(1, 8, Then::Fail)),
        "panicking" => response.body(Parts::of(1, 8, Then::Panic)),
        "endless" => response.body(Parts::of(1, 8, Then::Silence)),
        "flowing" => response.body(Parts::of(usize::MAX, quarter, Then::End)),
        "silent" => std::future::pending().await,
        kind => panic!("no body is called {kind}"),
    };
    response.unwrap()
}

/// A body of so many frames of unknown length in all, and what comes after them.
struct Parts {
    left: usize,
    size: usize,
    then: Then,
    paused: bool,
}

#[derive(Clone, Copy)]
enum Then {
    End,
    Fail,
    Panic,
    Silence,
}

impl Parts {
    fn of(left: usize, size: usize, then: Then) -> AxumBody {
        AxumBody::new(Self {
            left,
            size,
            then,
            paused: false,
        })
    }
}

impl Body for Parts {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            return Poll::Ready(Some(Ok(Frame::data(vec![b'.'; self.size].into()))));
        }
        // The server sends what it has in a pause, and only then. What breaks at once is never seen by anybody.
        if !std::mem::replace(&mut self.paused, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        match self.then {
            Then::End => Poll::Ready(None),
            Then::Fail => Poll::Ready(Some(Err(std::io::Error::other("the disk is on fire")))),
            Then::Panic => panic!("a body that panics"),
            Then::Silence => Poll::Pending,
        }
    }
}
