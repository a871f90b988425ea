//! Tests that need more than one crate, or real sockets. They stand in `it/`.
//!
//! Here are only texts that must stay true, as doctests: the README, and the commonest mistakes with their cures. On every
//! toolchain the mistake must not compile, and the cure, which differs from it in one place, must. What the compiler says of a
//! mistake is compared in `it/trybuild.rs`.

macro_rules! mistake_and_cure {
    ($(#[$doc:meta])* $case:ident, $code:literal) => {
        $(#[$doc])*
        #[doc = concat!("\n```compile_fail,", $code, "\n", include_str!(concat!("../ui/", stringify!($case), ".rs")), "```")]
        #[doc = concat!("\n```\n", include_str!(concat!("../ui/cures/", stringify!($case), ".rs")), "```")]
        pub mod $case {}
    };
}

mistake_and_cure! {
    /// A layer around a client whose error has no room for a refusal.
    foreign_error, "E0277"
}

mistake_and_cure! {
    /// The same, met in a call of a method.
    foreign_error_in_a_method_call, "E0599"
}

mistake_and_cure! {
    /// A layer on an axum router, which knows no errors.
    router_without_respond, "E0277"
}

mistake_and_cure! {
    /// A layer that found room for its refusals on an axum router, where nobody answers them.
    widened_router_without_respond, "E0277"
}

mistake_and_cure! {
    /// The upper half of `respond` without the lower one.
    respond_layer_without_widen, "E0277"
}

mistake_and_cure! {
    /// A closure as a classifier, of which the compiler does not know that it works for every lifetime.
    bare_closure, "E0277"
}

#[doc = include_str!("../../README.md")]
pub mod readme {}
