//! The end of a call that no level has answered.

use buttress_core::{Keeping, Reason, Rejectable, Rejected};

use crate::course::{Env, Speaks};
use crate::descent::Descent;

/// What the caller gets where no level has answered: what the primary said, or what the protocol makes of it.
#[cold]
pub(super) fn exhausted<P, Req, A, L, E, K>(
    env: &Env<'_, P, Req, L, E, K>,
    descent: &mut Descent<A, E>,
) -> Result<P::Output, E>
where
    E: Rejectable,
    K: Keeping,
    P: Speaks<Req, A, L, E, K>,
{
    let refused = descent.refused(env.shared.name);
    env.shared.tell_exhausted(&descent.trail, refused);
    // Nobody has answered, so it does not say who.
    if let Some(answer) = env.protocol.exhausted(&descent.trail, refused) {
        return Ok(answer);
    }
    let by = descent.by_primary();
    match descent.first.take() {
        Some(Ok(answer)) => Ok(env.note::<A>(env.protocol.first(answer), by)),
        Some(Err(error)) => Err(error),
        None => {
            let late = || Rejected::new(Reason::TimedOut, env.shared.name);
            Err(E::reject(descent.cut.unwrap_or_else(late)))
        }
    }
}
