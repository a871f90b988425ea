//! What a pointer finds over a slice of the run: its figures in words.

use std::fmt::Write;

use super::Slice;
use crate::stage::{Class, Side, Upstream};
use crate::text::{duration_or_none, percent, share};

pub fn of(slice: &Slice) -> String {
    let (from, to) = (slice.from.as_secs_f64(), slice.to.as_secs_f64());
    let mut text = format!("{from:.2} to {to:.2} s");
    for side in Side::ALL {
        write_calls(&mut text, slice, side);
    }
    for upstream in Upstream::ALL {
        let timed = slice.timeouts.of(upstream);
        let _ = write!(
            text,
            "\nprotected, attempts to {}: p95 {}, timeout {}, {} of {} cut",
            upstream.name(),
            duration_or_none(timed.p95),
            duration_or_none(timed.timeout),
            percent(timed.cut, timed.all()),
            timed.all(),
        );
    }
    text
}

fn write_calls(text: &mut String, slice: &Slice, side: Side) {
    let upstreams = Upstream::ALL.map(|upstream| {
        let figures = slice.sides.of(side).of(upstream);
        (upstream.name(), figures)
    });
    let classes = Class::ALL.map(|class| (class.name(), slice.classes.of(side).of(class)));
    for (what, figures) in upstreams.into_iter().chain(classes) {
        let (share, p99) = (share(figures), duration_or_none(figures.p99));
        let (gateway, calls) = (side.name(), figures.calls);
        let degraded = match side {
            Side::Protected => format!(
                ", {} degraded",
                percent(figures.degraded.total(), figures.calls)
            ),
            Side::Bare => String::new(),
        };
        let _ = write!(
            text,
            "\n{gateway}, {what}: {share} of {calls} served{degraded}, p99 {p99}"
        );
    }
}
