//! What a client of tonic's sees of a cut.

use tonic::Status;
use tonic::codec::{DecodeBuf, Decoder, Streaming};

use super::*;

struct Whole;

impl Decoder for Whole {
    type Item = ();
    type Error = Status;

    fn decode(&mut self, _: &mut DecodeBuf<'_>) -> Result<Option<()>, Status> {
        Ok(Some(()))
    }
}

/// Gives the head of a message of eight bytes and two of them, and then waits for ever.
struct Half {
    sent: bool,
}

impl Body for Half {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if std::mem::replace(&mut self.sent, true) {
            return Poll::Pending;
        }
        let half = Bytes::from_static(b"\0\0\0\0\x08ab");
        Poll::Ready(Some(Ok(Frame::data(half))))
    }
}

struct Over(Rejected);

impl Watch for Over {
    fn poll_overdue(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Rejected> {
        Poll::Ready(self.0)
    }

    fn progressed(self: Pin<&mut Self>) -> Result<(), Rejected> {
        Ok(())
    }

    fn spare_stream(&mut self) {}

    fn deadline(&self) -> Option<Deadline> {
        None
    }
}

#[tokio::test]
async fn a_message_that_is_cut_in_half_ends_with_the_status_of_the_cut() {
    for sent in [false, true] {
        for rejected in [TIMED_OUT, DEADLINE] {
            let answer = Grpc::new().watch(Response::new(Half { sent }), || Over(rejected));
            let body = answer.into_body();
            let mut messages = Streaming::new_response(Whole, body, StatusCode::OK, None, None);
            let status = messages.message().await.unwrap_err();
            assert_eq!(status.code(), tonic::Code::DeadlineExceeded);
        }
    }
}
