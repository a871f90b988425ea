/// On which side of the wire a protocol stands: whether the requests that pass it are on their way to another service.
///
/// A value and no type: adopting a protocol decides it, and everything else about the protocol is the same on both sides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Side {
    /// What is written into headers reaches the next service.
    #[default]
    Client,
    /// The request has arrived: the handler finds what it needs in the extensions, and headers stay as they came.
    Server,
}
