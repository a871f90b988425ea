use std::fmt;
use std::sync::Arc;

use buttress_core::{QuotaPolicy, QuotaSource, QuotaSources, Reason, Rejected};
use http::HeaderMap;

use crate::QuotaFields;

/// What an edge knows of the quotas below it: how to tell them, and the policies behind the refusals.
#[derive(Clone)]
pub(crate) struct Quotas {
    pub(crate) fields: QuotaFields,
    /// None where there are no sources: then a clone counts no reference.
    sources: Option<Arc<QuotaSources>>,
}

impl Quotas {
    pub(crate) fn new(fields: QuotaFields, sources: QuotaSources) -> Self {
        let sources = (!sources.is_empty()).then(|| Arc::new(sources));
        Self { fields, sources }
    }

    pub(crate) const fn without_sources(fields: QuotaFields) -> Self {
        Self {
            fields,
            sources: None,
        }
    }

    pub(crate) fn told_in(self, fields: QuotaFields) -> Self {
        Self { fields, ..self }
    }

    pub(crate) fn add(&mut self, sources: impl IntoIterator<Item = Arc<dyn QuotaSource>>) {
        let mut sources = sources.into_iter().peekable();
        if sources.peek().is_some() {
            Arc::make_mut(self.sources.get_or_insert_default()).extend(sources);
        }
    }

    /// Writes the quota of the limit that has refused into the answer.
    pub(crate) fn tell(&self, rejected: &Rejected, headers: &mut HeaderMap) {
        if rejected.reason() != Reason::Throttled || self.fields == QuotaFields::None {
            return;
        }
        if let Some(policy) = self.policy_of(rejected) {
            self.fields.refuse(headers, policy, rejected.retry_after());
        }
    }

    /// The policy behind a refusal. It carries no more than the name of its component; so when limits of one name differ, nobody
    /// knows which of them has refused.
    fn policy_of(&self, rejected: &Rejected) -> Option<QuotaPolicy> {
        let sources = self.sources.iter().flat_map(|sources| sources.iter());
        let mut policies = sources
            .filter(|source| source.name() == rejected.component())
            .map(|source| source.policy());
        let policy = policies.next()?;
        policies.all(|other| other == policy).then_some(policy)
    }
}

impl fmt::Debug for Quotas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sources = self.sources.iter().flat_map(|sources| sources.iter());
        let names: Vec<_> = sources.map(|source| source.name()).collect();
        f.debug_struct("Quotas")
            .field("fields", &self.fields)
            .field("sources", &names)
            .finish()
    }
}
