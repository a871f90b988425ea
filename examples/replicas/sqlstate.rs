//! What an error of PostgreSQL says about the server.

use buttress::{Error, Rejectable, Verdict};
use tokio_postgres::error::SqlState;

pub(crate) type Failure = Error<tokio_postgres::Error>;

/// Judges by SQLSTATE. What is the caller's fault is an answer: another server would say the same.
pub(crate) fn judge<T>(result: Result<&T, &Failure>) -> Verdict {
    match result {
        Ok(_) => Verdict::Success,
        Err(Error::Inner(error)) => error.code().map_or(Verdict::Failure, of_state),
        Err(refused) => {
            let rejection = refused.rejection();
            rejection.map_or(Verdict::Failure, |rejected| rejected.reason().verdict())
        }
    }
}

fn of_state(state: &SqlState) -> Verdict {
    let code = state.code();
    match code {
        // Statement timeout, lock not available: too much to do.
        "57014" | "55P03" => Verdict::Overloaded { retry_after: None },
        _ => match code.get(..2).unwrap_or_default() {
            // Connections, memory, disk: insufficient resources.
            "53" => Verdict::Overloaded { retry_after: None },
            // Data, constraints, syntax and rights.
            "22" | "23" | "42" => Verdict::Success,
            // Connections, shutdown, rollback, a primary that is none any more (25006), and whatever else goes wrong inside.
            _ => Verdict::Failure,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_is_judged_by_whose_fault_it_is() {
        let overloaded = Verdict::Overloaded { retry_after: None };
        for (code, verdict) in [
            ("57014", overloaded),
            ("55P03", overloaded),
            ("53300", overloaded),
            ("53200", overloaded),
            ("08006", Verdict::Failure),
            ("57P01", Verdict::Failure),
            ("57P03", Verdict::Failure),
            ("40001", Verdict::Failure),
            ("40P01", Verdict::Failure),
            ("25006", Verdict::Failure),
            ("XX000", Verdict::Failure),
            ("22012", Verdict::Success),
            ("23505", Verdict::Success),
            ("42601", Verdict::Success),
        ] {
            assert_eq!(of_state(&SqlState::from_code(code)), verdict, "{code}");
        }
    }
}
