//! Looks at the events of a stream as they come.

use super::{Commit, Held};

/// A predicate for [`commit_at`](crate::commit_at()) over `text/event-stream`: looks at each event once it is whole, in their order, and
/// the first that is not held decides.
///
/// Comments, such as pings, are no events. What comes after the event that decides is not looked at, however it came.
///
/// ```
/// use buttress_http::{Commit, by_event, commit_at};
///
/// let layer = commit_at(by_event(|event| match event.name() {
///     b"error" => Commit::Fail,
///     b"content_block_delta" => Commit::Pass,
///     _ => Commit::Hold,
/// }));
/// # let _ = layer;
/// ```
pub const fn by_event<F>(judge: F) -> impl Fn(Held<'_>) -> Commit + Clone
where
    F: Fn(ServerSentEvent<'_>) -> Commit + Clone,
{
    move |held| {
        let whole = Events::whole(held);
        let decided = whole.map(&judge).find(|commit| *commit != Commit::Hold);
        decided.unwrap_or(Commit::Hold)
    }
}

/// An event of a `text/event-stream`, as the HTML standard has it.
#[derive(Clone, Copy, Debug)]
pub struct ServerSentEvent<'a> {
    lines: &'a [u8],
}

impl<'a> ServerSentEvent<'a> {
    /// Its name: `message` where it has none.
    #[must_use]
    pub fn name(&self) -> &'a [u8] {
        self.fields(b"event").last().unwrap_or(b"message")
    }

    /// Its data, line by line.
    pub fn data(&self) -> impl Iterator<Item = &'a [u8]> {
        self.fields(b"data")
    }

    fn fields(self, name: &'static [u8]) -> impl Iterator<Item = &'a [u8]> {
        let lines = self.lines.split(|byte| matches!(byte, b'\n' | b'\r'));
        lines.filter_map(|line| {
            let value = line.strip_prefix(name)?;
            match value.split_first() {
                None => Some(value),
                Some((b':', value)) => Some(value.strip_prefix(b" ").unwrap_or(value)),
                Some(_) => None,
            }
        })
    }

    fn is_one(self) -> bool {
        self.fields(b"event")
            .chain(self.fields(b"data"))
            .next()
            .is_some()
    }
}

/// The events that have become whole with the last frame.
struct Events<'a> {
    left: &'a [u8],
}

impl<'a> Events<'a> {
    fn whole(held: Held<'a>) -> Self {
        let bytes = held.bytes();
        let old = bytes.len() - held.frame().len();
        let before = bytes.get(..old).unwrap_or_default();
        let looked_at = before.windows(2).rposition(is_end).map_or(0, |at| at + 2);
        Self {
            left: bytes.get(looked_at..).unwrap_or_default(),
        }
    }
}

/// An empty line after another: lines end with `\n`, `\r` or both.
fn is_end(pair: &[u8]) -> bool {
    matches!(pair, b"\n\n" | b"\r\r" | b"\n\r")
}

impl<'a> Iterator for Events<'a> {
    type Item = ServerSentEvent<'a>;

    fn next(&mut self) -> Option<ServerSentEvent<'a>> {
        loop {
            let end = self.left.windows(2).position(is_end)?;
            let (lines, left) = self.left.split_at(end + 2);
            self.left = left;
            let event = ServerSentEvent { lines };
            if event.is_one() {
                return Some(event);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first_content(event: ServerSentEvent<'_>) -> Commit {
        match event.name() {
            b"error" => Commit::Fail,
            b"content" => Commit::Pass,
            b"message" if event.data().any(|line| line == b"[DONE]") => Commit::Pass,
            _ => Commit::Hold,
        }
    }

    /// What is decided of a stream that comes in frames of so many bytes.
    fn decided(stream: &str, size: usize) -> Commit {
        let predicate = by_event(first_content);
        let bytes = stream.as_bytes();
        let mut seen = 0;
        for frame in bytes.chunks(size) {
            seen += frame.len();
            let held = Held {
                bytes: &bytes[..seen],
                new: frame.len(),
            };
            let commit = predicate(held);
            if commit != Commit::Hold {
                return commit;
            }
        }
        Commit::Hold
    }

    #[test]
    fn the_first_event_that_is_not_held_decides_however_it_is_cut() {
        for (stream, commit) in [
            (": ping\n\n", Commit::Hold),
            ("event: content\ndata: a", Commit::Hold),
            ("event: content\ndata: a\n\n", Commit::Pass),
            ("event:content\r\ndata: a\r\n\r\n", Commit::Pass),
            ("event: content\rdata: a\r\r", Commit::Pass),
            (
                "event: start\ndata: event: error\n\nevent: content\n\n",
                Commit::Pass,
            ),
            ("event: content\ndata: a\n\nevent: error\n\n", Commit::Pass),
            (
                ": ping\n\nevent: error\ndata: {}\n\nevent: content\n\n",
                Commit::Fail,
            ),
            ("data: [DONE]\n\n", Commit::Pass),
            ("data: event: error\n\n", Commit::Hold),
            ("eventual: error\ndata: a\n\n", Commit::Hold),
            ("event: start\nevent: error\ndata\n\n", Commit::Fail),
        ] {
            for size in 1..=stream.len() {
                assert_eq!(decided(stream, size), commit, "{stream:?} by {size}");
            }
        }
    }
}
