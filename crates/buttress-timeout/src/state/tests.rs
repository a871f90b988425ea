#[expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "only tests call it"
)]
mod histories;
mod tables;
mod threads;
