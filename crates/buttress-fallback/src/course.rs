//! What a call needs wherever it is on its way down a chain.

use std::sync::Arc;

use buttress_core::{
    Annotate, Classify, Keeper, Keeping, Level, Levels, Note, Rejected, RequestContext,
    ResponseContext, ServedBy, Verdict,
};
use tokio::time::Instant;

use crate::cache::{First, Found, Shelf};
use crate::rung::{Ask, Rung};
use crate::shared::Shared;

/// Where the answer to a request is kept, by the place of each cache.
pub(crate) type Shelves<V> = Vec<(u8, Arc<dyn Shelf<V>>)>;

/// What a chain asks of a protocol: `T` is what the primary answers, `L` what the levels below it do.
pub(crate) trait Speaks<Req, T, L, E, K: Keeping>:
    RequestContext<Req>
    + Classify<T, E>
    + Classify<L, E>
    + ResponseContext<T>
    + ResponseContext<L>
    + Levels<T, L, K>
    + Annotate<<Self as Levels<T, L, K>>::Output>
{
}

impl<P, Req, T, L, E, K: Keeping> Speaks<Req, T, L, E, K> for P where
    P: RequestContext<Req>
        + Classify<T, E>
        + Classify<L, E>
        + ResponseContext<T>
        + ResponseContext<L>
        + Levels<T, L, K>
        + Annotate<<P as Levels<T, L, K>>::Output>
{
}

/// The levels, the protocol, and where answers are kept.
pub(crate) struct Env<'a, P, Req, L, E, K: Keeping> {
    pub(crate) shared: &'a Shared<Req, L, E, K>,
    pub(crate) protocol: &'a P,
    pub(crate) shelves: &'a [(u8, Arc<dyn Shelf<K::Value>>)],
    /// The refusal of ours in an error.
    pub(crate) refusal: fn(&E) -> Option<Rejected>,
    /// Whether the primary is the service below a layer.
    pub(crate) is_layered: bool,
}

/// What an answer or an error means for the chain.
pub(crate) struct Judged {
    pub(crate) verdict: Verdict,
    pub(crate) refusal: Option<Rejected>,
    pub(crate) moves_on: bool,
}

impl<P, Req, L, E, K: Keeping> Env<'_, P, Req, L, E, K> {
    pub(crate) fn rung(&self, place: u8) -> Option<&Rung<Req, L, E, K::Value>> {
        self.shared.rungs.get(usize::from(place))
    }

    pub(crate) fn shelf(&self, place: u8) -> Option<&Arc<dyn Shelf<K::Value>>> {
        let mut shelves = self.shelves.iter();
        shelves.find(|(of, _)| *of == place).map(|(_, shelf)| shelf)
    }

    /// Whether a level that has ended so is left for the next.
    pub(crate) fn judge<A>(&self, result: Result<&A, &E>, verdict: Verdict) -> Judged
    where
        P: ResponseContext<A>,
    {
        let refusal = match result {
            Ok(answer) => self.protocol.refusal(answer),
            Err(error) => (self.refusal)(error),
        };
        Judged {
            verdict,
            refusal,
            moves_on: self.shared.moves_on(verdict, refusal),
        }
    }

    /// An answer that is kept and need not be asked for.
    pub(crate) fn first(&self, now: Instant) -> Option<(u8, Found<K::Value>)> {
        self.shelves.iter().find_map(|(place, shelf)| {
            match &self.rung(*place)?.asks {
                Ask::Cache(cache) if cache.may_be_first() => {}
                _ => return None,
            }
            match shelf.first(now) {
                First::Serve(found) => Some((*place, found)),
                First::Ask => None,
            }
        })
    }

    /// Keeps a good answer of this level, where it may be.
    pub(crate) fn keep<T>(&self, level: Level, answer: P::Output) -> P::Output
    where
        P: Levels<T, L, K>,
    {
        let takes = |place: u8| match (level, self.rung(place).map(|rung| &rung.asks)) {
            (Level::Primary, Some(_)) => true,
            (Level::Replica, Some(Ask::Cache(cache))) => cache.keeps_replicas(),
            _ => false,
        };
        let shelves = self.shelves.iter().filter(|(place, _)| takes(*place));
        let shelves: Vec<_> = shelves.map(|(_, shelf)| Arc::clone(shelf)).collect();
        if shelves.is_empty() {
            return answer;
        }
        let keep = move |value: K::Value, bytes| {
            let now = Instant::now();
            for shelf in &shelves {
                shelf.keep(value.clone(), bytes, now);
            }
        };
        self.protocol.keep(answer, Keeper::new(keep))
    }

    /// Writes onto an answer where it comes from.
    pub(crate) fn note<T>(&self, mut answer: P::Output, by: ServedBy) -> P::Output
    where
        P: Levels<T, L, K> + Annotate<<P as Levels<T, L, K>>::Output>,
    {
        self.protocol.annotate(&mut answer, Note::ServedBy(by));
        answer
    }
}
