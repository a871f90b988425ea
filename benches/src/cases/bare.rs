//! What the others are measured over: a service with nothing around it.

use std::hint::black_box;
use std::time::Duration;

use tower_layer::Identity;

use super::{BARE, Base, Case};
use crate::subject::{
    attempts, clones, fails, fiftieth_fails, overlapping, pending_once, repeated, served,
};

/// The service that nothing stands around, and every call succeeds.
pub const SUCCEEDS: Base = Base {
    who: BARE,
    path: "every call succeeds",
};
/// Every fiftieth call fails.
pub(super) const FIFTIETH_FAILS: Base = Base {
    who: BARE,
    path: "every fiftieth call fails",
};
/// Every call fails.
pub(super) const FAILS: Base = Base {
    who: BARE,
    path: "every call fails",
};
/// Every first attempt fails and every second succeeds; a call is one attempt.
pub(super) const FALTERS: Base = Base {
    who: BARE,
    path: "every second attempt succeeds",
};
/// The next call comes before the one before has ended.
pub(super) const OVERLAP: Base = Base {
    who: BARE,
    path: "calls overlap",
};
/// Every call is pending once.
pub(super) const WAITS: Base = Base {
    who: BARE,
    path: "every call is pending once",
};
/// The service is cloned and dropped.
pub(super) const CLONED: Base = Base {
    who: BARE,
    path: "clone",
};
/// Every call is a request over HTTP.
#[cfg(feature = "peers")]
pub(super) const OVER_HTTP: Base = Base {
    who: BARE,
    path: "every call is a request over HTTP",
};
/// Somebody is told how long something took.
pub(super) const TOLD: Base = Base {
    who: BARE,
    path: "a duration is told",
};
/// How long that was.
pub(super) const TOOK: Duration = Duration::from_millis(20);

pub(super) const CASES: &[Case] = &[
    bare(Case::serving(BARE, SUCCEEDS.path, |inner| {
        served(inner, Identity::new())
    })),
    bare(Case::special(BARE, FIFTIETH_FAILS.path, || {
        fiftieth_fails(Identity::new())
    })),
    bare(Case::special(BARE, FAILS.path, fails)),
    bare(Case::special(BARE, FALTERS.path, attempts)),
    bare(Case::special(BARE, OVERLAP.path, || {
        overlapping(Identity::new())
    })),
    bare(Case::special(BARE, WAITS.path, || {
        pending_once(Identity::new())
    })),
    bare(Case::special(BARE, CLONED.path, || clones(Identity::new()))),
    #[cfg(feature = "peers")]
    bare(Case::special(
        BARE,
        OVER_HTTP.path,
        super::tower_governor::bare,
    )),
    bare(Case::special(BARE, TOLD.path, || {
        repeated(TOOK, |took| {
            black_box(took);
        })
    })),
];

const fn bare(case: Case) -> Case {
    Case { base: None, ..case }
}
