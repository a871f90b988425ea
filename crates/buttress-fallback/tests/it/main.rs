//! Fallback chains through their public face, around plain calls.

mod caches;
mod cancel;
mod exercise;
mod gates;
mod layer;
mod levels;
mod loss;
mod readiness;
mod support;
mod times;
