//! Whether there is a place for a newcomer.

use buttress_timer::Moment;

use super::call::{Call, Fate};
use super::queue::{IN_TURN, PASSED_OVER, Queue};
use super::{Supply, Waiter};

/// When the turn of a newcomer comes, as far as anybody can tell, and who had to make room for it.
pub(super) type Room<W> = (Option<Moment>, Option<(W, Fate)>);

impl<W: Waiter> Queue<W> {
    /// Makes sure that there is a place for a newcomer, and that its turn comes in time.
    pub(super) fn make_room<S: Supply>(&mut self, call: Call, supply: &S) -> Result<Room<W>, Fate> {
        let now = call.joined;
        let turn = self.turn_of_newcomer(call.units, now, supply);
        if turn.map_or(call.limit <= now, |turn| call.cannot_wait_until(turn)) {
            return Err(call.fate_at_limit(turn));
        }
        if self.waiting() < self.capacity {
            return Ok((turn, None));
        }
        let turned_out = self.turn_out_overdue(now, supply);
        let had_to_go = turned_out.ok_or(Fate::Full { turn })?;
        Ok((turn, Some(had_to_go)))
    }

    /// Turns out a call whose wait is over, if it is the first in a row: nobody polls it, so nobody else notices.
    fn turn_out_overdue<S: Supply>(&mut self, now: Moment, supply: &S) -> Option<(W, Fate)> {
        let rows = [PASSED_OVER, IN_TURN];
        let (key, call) = rows.into_iter().find_map(|row| {
            let key = self.rows.first(row)?;
            let call = self.call(key)?;
            (call.limit <= now).then_some((key, call))
        })?;
        let fate = self.fate_at_limit(call, now, supply);
        Some((self.turn_out(key, fate)?, fate))
    }
}
