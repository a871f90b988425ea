//! The part of a run that a bound is about.

use serde::Serialize;

use crate::schedule::Phase;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Span {
    /// All phases in which payments is in trouble, one after the other.
    Failing,
    /// All phases before the rush.
    Outage,
    /// Every phase.
    Run,
    #[serde(untagged)]
    Phase(Phase),
}

impl Span {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Failing => "slow to dead",
            Self::Outage => "until the rush",
            Self::Run => "whole run",
            Self::Phase(phase) => phase.name(),
        }
    }

    pub fn holds(self, phase: Phase) -> bool {
        use Phase::{Dead, HalfFailing, Hanging, Slow};
        match self {
            Self::Failing => matches!(phase, Slow | HalfFailing | Hanging | Dead),
            Self::Outage => phase != Phase::Rush,
            Self::Run => true,
            Self::Phase(only) => phase == only,
        }
    }
}

impl From<Phase> for Span {
    fn from(phase: Phase) -> Self {
        Self::Phase(phase)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_read_a_phase_by_its_name_alone() {
        let half = Phase::HalfFailing.into();
        let spans = [Span::Failing, Span::Outage, Span::Run, half];
        let json = serde_json::to_string(&spans).unwrap();
        assert_eq!(json, r#"["failing","outage","run","half_failing"]"#);
    }
}
