use buttress_core::Adopt;

use crate::{Grpc, Http, QuotaFields, UntilHeaders};

/// Gives a layer, or a tuple of layers, the protocol of HTTP or gRPC.
///
/// ```
/// use buttress_bulkhead::RefusingBulkheadLayer as BulkheadLayer;
/// use buttress_http::{ByStatus, Http, HttpExt, UntilHeaders};
///
/// let to_the_last_frame: BulkheadLayer<Http> = BulkheadLayer::new(100).http();
/// let to_the_head: BulkheadLayer<Http<ByStatus, UntilHeaders>> =
///     BulkheadLayer::new(100).http().until_headers();
/// # let _ = (to_the_last_frame, to_the_head);
/// ```
///
/// The first choice stays: `.http().grpc()` is HTTP, and [`respond`](crate::respond()) changes only layers that have no protocol.
pub trait HttpExt: Sized {
    /// Judges calls by their HTTP status, and ends them at the last frame of the answer.
    ///
    /// The side of a client: a layer that limits time tells the next service in [`TIMEOUT_HEADER`](crate::TIMEOUT_HEADER).
    #[must_use]
    fn http(self) -> Self::Adopted
    where
        Self: Adopt<Http>,
    {
        self.adopt(Http::new())
    }

    /// Judges calls by their gRPC status, and ends them at the trailers of the answer.
    ///
    /// The side of a client: a layer that limits time tells the next service in
    /// [`GRPC_TIMEOUT_HEADER`](crate::GRPC_TIMEOUT_HEADER).
    #[must_use]
    fn grpc(self) -> Self::Adopted
    where
        Self: Adopt<Grpc>,
    {
        self.adopt(Grpc::new())
    }

    /// Ends calls at the head of the answer, and leaves the type of its body as it is; before or after
    /// [`http`](Self::http) or [`grpc`](Self::grpc), and also inside of [`respond`](crate::respond()).
    #[must_use]
    fn until_headers(self) -> Self::Adopted
    where
        Self: Adopt<UntilHeaders>,
    {
        self.adopt(UntilHeaders::new())
    }

    /// Tells clients in these header fields what is left of the quota that a layer keeps; after [`http`](Self::http) or
    /// [`grpc`](Self::grpc), or on a layer inside of [`respond`](crate::respond()).
    ///
    /// For a limit of what comes in, in a flat stack on a server. A limit of what goes out says nothing unless this is called: what
    /// it wrote would look like the word of the service that has answered.
    #[must_use]
    fn quota_fields(self, fields: QuotaFields) -> Self::Adopted
    where
        Self: Adopt<QuotaFields>,
    {
        self.adopt(fields)
    }
}

impl<L> HttpExt for L {}
