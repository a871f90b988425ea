use buttress_timer::Moment;

use super::{Bucket, Level, Terms, Wait, Word};

mod histories;
mod model;
mod oracle;
mod tables;
mod threads;

fn at(nanos: u64) -> Moment {
    Moment::from_nanos(nanos)
}

fn terms(interval: u64, burst: u32) -> Terms {
    Terms::new(interval, burst).unwrap()
}
