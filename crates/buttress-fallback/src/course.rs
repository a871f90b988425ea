//! What a call needs wherever it is on its way down a chain.

use std::sync::Arc;
use std::time::Duration;

use buttress_core::{
    Again, Annotate, Asking, Classify, Keep, Keeper, Keeping, Level, Levels, Note, Rejected,
    RequestContext, ResponseContext, ServedBy, Verdict,
};
use tokio::time::Instant;

use crate::cache::{First, Found, Shelf};
use crate::rung::{Ask, Rung};
use crate::shared::Shared;

/// Where the answer to a request is kept, in the cache of this place.
pub(crate) type Placed<V> = (u8, Arc<dyn Shelf<V>>);

/// Where the answer to a request is kept, by the place of each cache, and what the request says of that.
#[derive(Clone)]
pub(crate) struct Shelves<V> {
    pub(crate) placed: Vec<Placed<V>>,
    pub(crate) asking: Asking,
}

impl<V> Shelves<V> {
    /// These, if there are any.
    pub(crate) fn if_any(&self) -> Option<&Self> {
        (!self.placed.is_empty()).then_some(self)
    }

    /// Whoever was sent for another answer has heard of it.
    pub(crate) fn come_back(&self) {
        for (_, shelf) in &self.placed {
            shelf.come_back();
        }
    }
}

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
    pub(crate) shelves: Option<&'a Shelves<K::Value>>,
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

    /// Where an answer to this request may be found. One that changes things is answered by nothing that was kept.
    pub(crate) fn shelf(&self, place: u8) -> Option<&Arc<dyn Shelf<K::Value>>> {
        let shelves = self.shelves.filter(|shelves| !shelves.asking.changes)?;
        let mut shelves = shelves.placed.iter();
        shelves.find(|(of, _)| *of == place).map(|(_, shelf)| shelf)
    }

    /// Whether this place may be asked before its turn: a cache only where it has something to look for, and the request
    /// takes what was kept.
    pub(crate) fn may_exercise(&self, place: u8, has_request: bool) -> bool {
        match self.rung(place).map(|rung| &rung.asks) {
            Some(Ask::Cache(_)) => {
                let takes_kept = |shelves: &Shelves<_>| shelves.asking.takes_kept;
                self.shelves.is_some_and(takes_kept) && self.shelf(place).is_some()
            }
            Some(_) => has_request,
            None => false,
        }
    }

    /// Whether an answer that was kept is one to this request.
    pub(crate) fn fits<T>(&self, found: &Found<K::Value>) -> bool
    where
        P: Levels<T, L, K>,
    {
        let fits = |shelves: &Shelves<_>| self.protocol.fits(&found.value, &shelves.asking);
        self.shelves.is_none_or(fits)
    }

    /// Whoever was sent for another answer has heard of it.
    pub(crate) fn come_back(&self) {
        if let Some(shelves) = self.shelves {
            shelves.come_back();
        }
    }

    /// Whether a level that has ended so is left for the next.
    pub(crate) fn judge<A>(&self, result: Result<&A, &E>, verdict: Verdict) -> Judged
    where
        P: ResponseContext<A> + RequestContext<Req>,
    {
        let refusal = match result {
            Ok(answer) => self.protocol.refusal(answer),
            Err(error) => (self.refusal)(error),
        };
        Judged {
            verdict,
            refusal,
            moves_on: self
                .shared
                .moves_on(verdict, refusal, self.protocol.carries_deadline()),
        }
    }

    /// When a level that is left may be asked again, where that was said.
    pub(crate) fn retry_after<A>(&self, result: Result<&A, &E>, judged: &Judged) -> Option<Duration>
    where
        P: Classify<A, E>,
    {
        match (judged.refusal, self.protocol.again(result)) {
            (Some(rejected), _) => rejected.retry_after(),
            (None, Again::Later(wait)) => wait,
            (None, _) => None,
        }
    }

    /// An answer that is kept and need not be asked for.
    pub(crate) fn first<T>(&self, now: Instant) -> Option<(u8, Found<K::Value>)>
    where
        P: Levels<T, L, K>,
    {
        let shelves = self.shelves.filter(|shelves| shelves.asking.takes_kept)?;
        shelves.placed.iter().find_map(|(place, shelf)| {
            match &self.rung(*place)?.asks {
                Ask::Cache(cache) if cache.may_be_first() => {}
                _ => return None,
            }
            match shelf.first(now) {
                First::Serve(found) => self.fits::<T>(&found).then_some((*place, found)),
                First::Ask => None,
            }
        })
    }

    /// Keeps a good answer of this level, which was asked for then, where it may be. One to a request that changes things outdates what
    /// was kept until now, whichever level has done it.
    pub(crate) fn keep<T>(&self, level: Level, asked: Instant, answer: P::Output) -> P::Output
    where
        P: Levels<T, L, K>,
    {
        let is_of_use = |shelves: &&Shelves<_>| shelves.asking.keeps || shelves.asking.changes;
        let Some(shelves) = self.shelves.filter(is_of_use) else {
            return answer;
        };
        let changes = shelves.asking.changes;
        let asked = if changes { Instant::now() } else { asked };
        let takes = |place: u8| match (level, self.rung(place).map(|rung| &rung.asks)) {
            (_, Some(_)) if changes => true,
            (Level::Primary, Some(_)) => true,
            (Level::Replica, Some(Ask::Cache(cache))) => cache.keeps_replicas(),
            _ => false,
        };
        let placed = shelves.placed.iter().filter(|(place, _)| takes(*place));
        let placed: Vec<_> = placed.map(|(_, shelf)| Arc::clone(shelf)).collect();
        if placed.is_empty() {
            return answer;
        }
        let (asking, copies) = (shelves.asking.clone(), self.shared.copies.clone());
        let hand = move |kept: Option<_>| hand_out(&placed, asked, kept.as_ref(), changes);
        let keeper = Keeper::new(asking, copies, hand);
        self.protocol.keep(answer, keeper)
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

/// Keeps an answer on each of these shelves, or forgets the one that is there.
fn hand_out<V: Clone>(
    shelves: &[Arc<dyn Shelf<V>>],
    asked: Instant,
    kept: Option<&(V, Keep)>,
    is_change: bool,
) {
    let now = Instant::now();
    for shelf in shelves {
        match kept {
            Some((value, keep)) => shelf.keep(value.clone(), *keep, asked, now),
            None => shelf.forget(asked, now, is_change),
        }
    }
}
