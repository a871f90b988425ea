use super::rota::{Duty, Rota};
use super::task::{Task, Visit};
use crate::ending::Endings;
use crate::random::SplitMix64;
use crate::testable::Testable;

/// What one thread has to do.
#[derive(Clone, Copy)]
pub(super) struct Share {
    pub(super) thread: u64,
    pub(super) calls: usize,
    pub(super) tasks: usize,
}

impl Share {
    /// Plays the calls, so many at a time, each step on a task drawn at random.
    pub(super) fn play<X>(
        self,
        subject: &X,
        service: &X::Service,
        rota: &Rota,
        seed: u64,
    ) -> Result<Endings, String>
    where
        X: Testable,
        X::Service: Clone,
    {
        // Turns are numbered upwards from 0, threads downwards from the top: no two share a stream.
        let mut random = SplitMix64::split(seed, u64::MAX - self.thread);
        let duty = rota.go_on_duty();
        let mut endings = Endings::default();
        let mut tasks = Vec::with_capacity(self.tasks);
        let mut started = 0;
        while started < self.calls || !tasks.is_empty() {
            if started < self.calls && tasks.len() < self.tasks {
                tasks.push(Task::<X>::new(service.clone(), &duty, &mut random));
                started += 1;
            }
            let place = random.index(tasks.len());
            match tasks.get_mut(place).map(|task| task.visit(subject)) {
                Some(Visit::Over(end)) => {
                    endings.record(end);
                    drop(tasks.swap_remove(place));
                }
                Some(Visit::Idle) => rest(&duty, &tasks)?,
                Some(Visit::Busy) | None => {}
            }
        }
        Ok(endings)
    }
}

/// Waits for a wake when no task can go on without one.
fn rest<X: Testable>(duty: &Duty<'_>, tasks: &[Task<X>]) -> Result<(), String> {
    let all_idle = tasks.iter().all(Task::is_idle);
    if !all_idle || duty.rest(|| tasks.iter().any(Task::is_woken)) {
        return Ok(());
    }
    Err(format!(
        "{} calls wait, and nobody will ever wake them",
        tasks.len()
    ))
}
