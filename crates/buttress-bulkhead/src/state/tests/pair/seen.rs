//! Everything that can be seen of both.

use buttress_core::Priority;

use super::super::super::Tally;
use super::super::super::queue::Standing;
use super::super::model::Place;
use super::{Pair, narrow};

impl Pair {
    pub(in super::super) fn compare(&self) {
        let (model, occupancy) = (&self.model, self.state.slots.occupancy());
        assert_eq!(occupancy.in_flight(), narrow(model.in_flight()), "inside");
        assert_eq!(occupancy.is_closed(), model.closed);
        if !model.closed {
            assert_eq!(occupancy.limit(), narrow(model.terms.limit));
        }
        let waits = model.somebody_waits(0);
        assert!(occupancy.is_waited_for() || !waits, "newcomers overtake");
        if !self.asked {
            assert_eq!(occupancy.is_waited_for(), waits, "nobody waits");
            assert_eq!(model.turn(), None, "a slot is lost");
        }
        let classes = self.state.classes();
        for (class, priority) in Priority::ALL.into_iter().enumerate() {
            let (queued, tally) = *classes.get(priority);
            assert_eq!(
                queued,
                narrow(model.queued(class)),
                "queued of class {class}"
            );
            assert_eq!(tally, self.tally(class), "class {class}");
            let claim = self.state.claim(priority);
            let has_room = self.state.slots.has_room_for(claim);
            assert_eq!(has_room, model.has_room(class), "room for class {class}");
        }
        self.compare_standings();
    }

    fn tally(&self, class: usize) -> Tally {
        let count = self.model.counts[class];
        Tally {
            granted: count.granted,
            displaced: count.displaced,
            expired: count.expired,
            revoked: count.revoked,
        }
    }

    fn compare_standings(&self) {
        let queue = self.state.queue.lock();
        for (key, who) in &self.calls {
            let place = self.model.find(who.id).map(|call| call.place);
            let expected = match place {
                None => Standing::Gone,
                Some(Place::Waits) => Standing::Waits,
                Some(Place::PassedOver) => Standing::PassedOver,
                Some(Place::Granted { since, .. }) => Standing::Granted(self.at(since)),
            };
            assert_eq!(queue.standing(*key), expected, "call {}", who.id);
        }
        for (key, who) in &self.gone {
            assert_eq!(queue.standing(*key), Standing::Gone, "call {}", who.id);
        }
    }
}
