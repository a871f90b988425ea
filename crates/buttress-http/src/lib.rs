#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod answer;
mod answerable;
mod arrival;
mod by_grpc_status;
mod by_status;
mod caching;
mod cidr;
mod client_ip;
mod client_key;
mod code;
mod commit_at;
mod context;
mod degraded;
mod discard;
mod ext;
mod fallback_body;
mod forwarded;
mod grpc;
mod hashed;
mod head;
mod http;
mod inherit;
mod judge;
mod kept_answer;
mod level_body;
mod levels;
mod peer;
mod quota_fields;
mod quotas;
mod refused;
mod render;
mod replayed;
#[cfg(feature = "reqwest")]
mod reqwest_service;
mod respond;
mod respond_layer;
mod retry_after;
mod retry_info;
mod ridden;
mod send_as;
mod service;
mod side;
mod tee;
mod timed;
mod timeout_header;
mod tracked;
mod transport;
mod until;

// What a call means, and when it is over.
pub use crate::ext::HttpExt;
pub use crate::grpc::Grpc;
pub use crate::http::Http;
pub use crate::judge::{HeadDecides, Judge, TrailersDecide};
pub use crate::tracked::Tracked;
pub use crate::until::{Protocol, ToLastFrame, Until, UntilHeaders};

// How long a call may take.
pub use crate::timed::{Cut, CutByError, CutByTrailers, Timed};
pub use crate::timeout_header::{
    GRPC_TIMEOUT_HEADER, TIMEOUT_HEADER, grpc_timeout, request_timeout,
};

// What a request hands on to the next.
pub use crate::inherit::{RequestHead, inherit};

// How a request is sent again.
pub use crate::context::ATTEMPT_HEADER;
pub use crate::discard::Discard;
pub use crate::replayed::{KeptRequest, Replayed, Superseded};
#[cfg(feature = "reqwest")]
#[cfg_attr(docsrs, doc(cfg(feature = "reqwest")))]
pub use crate::reqwest_service::{ReqwestFuture, ReqwestService};
pub use crate::send_as::{BodyFrom, SendAs, SendAsLayer};

// Whence an answer comes, and from where it can.
pub use crate::commit_at::{
    Commit, CommitAt, CommitAtLayer, CommitFuture, Committed, Held, ServerSentEvent, by_event,
    commit_at,
};
pub use crate::degraded::{DEGRADED_LEVEL_HEADER, DEGRADED_MODE_HEADER};
pub use crate::fallback_body::FallbackBody;
pub use crate::kept_answer::KeptAnswer;
pub use crate::level_body::{LevelBody, LevelFuture, LevelService, level};

// What an answer says.
pub use crate::by_grpc_status::{ByCode, ByGrpcStatus, by_code};
pub use crate::by_status::ByStatus;
pub use crate::code::Code;
pub use crate::head::{ByHead, ByResponse, Head, by_head, by_response};
pub use crate::retry_after::{retry_after, should_retry};

// Whose call it is.
pub use crate::cidr::Cidr;
pub use crate::client_ip::ClientIp;
pub use crate::client_key::ClientKey;
pub use crate::hashed::{ByHeader, ByPath, ByUri, HashedKey, by_header, by_path, by_uri};
pub use crate::peer::Peer;

// What a client hears of its quota.
pub use crate::quota_fields::QuotaFields;

// How a refusal is answered.
pub use crate::answer::Answer;
pub use crate::answerable::Answerable;
pub use crate::refused::Refused;
pub use crate::render::{GrpcStatus, Problem, Render, status, whole_seconds};
pub use crate::respond::{AsIs, Respond, as_is, respond, respond_grpc};
pub use crate::respond_layer::RespondLayer;
pub use crate::service::{RespondFuture, RespondService};
