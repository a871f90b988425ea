//! The shortest way down: from a primary that has failed to a value.

use std::time::Duration;

use buttress_core::{Keeping, Level, Rejectable, ServedBy, Trail, Verdict};
use tower_service::Service;

use super::Call;
use super::call::env;
use crate::course::Speaks;
use crate::descent::outcome;
use crate::mark::MarkServed;

impl<S, Req, L, A, E, K, P, M, Kept> Call<S, Req, L, A, E, K, P, M, Kept>
where
    S: Service<Req, Response = A, Error = E>,
    E: Rejectable,
    K: Keeping,
    P: Speaks<Req, A, L, E, K>,
{
    /// Answers with a value, where the primary has failed before anybody had to wait, and a value is what comes next. Otherwise
    /// gives the result back.
    #[inline]
    pub(super) fn at_once(
        &self,
        result: Result<A, E>,
        verdict: Verdict,
    ) -> Result<Result<P::Output, E>, Result<A, E>>
    where
        M: MarkServed<P::Output>,
    {
        let shared = &*self.template.chain.0;
        let (Err(error), None) = (&result, &self.under) else {
            return Err(result);
        };
        let Some((level, make)) = shared.value_next() else {
            return Err(result);
        };
        let env = env(&self.template, None);
        let judged = env.judge::<A>(Err(error), verdict);
        if !judged.moves_on {
            return Err(result);
        }
        let tried = shared.failed(0, outcome(&judged), Duration::ZERO);
        shared.show(Level::Primary, error);
        let by = || {
            let mut errors = Trail::new();
            tried.into_iter().for_each(|tried| errors.push(tried));
            ServedBy {
                level,
                place: 1,
                degraded: true,
                age: None,
                errors,
            }
        };
        let answer = make();
        shared.served(1, None, by);
        let answer = env.note::<A>(env.protocol.lower(answer), by());
        Ok(Ok(self.template.mark.mark(answer, &by())))
    }
}
