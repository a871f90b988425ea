//! One case: a scripted call, cut off after some steps, and what must hold then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::breach::{Finding, attempt, ensure};
use crate::ending::End;
use crate::life::{Halt, Life, MOST_STEPS};
use crate::script::Script;
use crate::testable::Testable;

pub(crate) struct Case {
    pub(crate) halt: Halt,
    pub(crate) end: End,
    pub(crate) finding: Finding,
}

impl Case {
    /// Plays `script` in the first turn and good calls from then on.
    pub(crate) fn play<X: Testable>(subject: X, script: Script, steps: usize) -> Self {
        let calm = Arc::<AtomicBool>::default();
        let subject = subject.playing(first_turn(script, Arc::clone(&calm)));
        let mut life = Life::new(subject.service());
        let halt = life.run(&subject, steps);
        let end = life.end();
        let finding = ensure(halt != Halt::Stalled || life.hangs(), || {
            "the call is pending and nobody will wake it".into()
        });
        let survivor = life.cut();
        calm.store(true, Relaxed);
        let finding = finding.and_then(|()| aftermath(&subject, survivor));
        Self { halt, end, finding }
    }
}

/// Plays the script in the first turn, unless the call was cut off before that began.
fn first_turn(script: Script, calm: Arc<AtomicBool>) -> impl Fn(u64) -> Script {
    move |turn| match turn {
        0 if !calm.load(Relaxed) => script,
        _ => Script::default(),
    }
}

/// Plays `script` once for each step that its call can be cut off after, and hands over each case.
pub(crate) fn each_cut<X: Testable>(
    fixture: impl Fn() -> X,
    script: Script,
    mut judge: impl FnMut(End, Finding) -> Finding,
) -> Finding {
    for steps in 0..MOST_STEPS {
        let Case { halt, end, finding } = attempt(|| Ok(Case::play(fixture(), script, steps)))
            .map_err(|seen| format!("{script}; cut after {steps} steps: {seen}"))?;
        judge(end, finding).map_err(|seen| format!("{script}; {end}: {seen}"))?;
        if halt != Halt::Cut {
            return Ok(());
        }
    }
    Err(format!("{script}: {ENDLESS}"))
}

/// Nothing of the call is left, and the next one works: on the same service, and on a new one.
fn aftermath<X: Testable>(subject: &X, survivor: Option<X::Service>) -> Finding {
    at_rest(subject)?;
    subject.restore();
    if let Some(service) = survivor {
        call_once(subject, service)?;
        at_rest(subject)?;
    }
    call_once(subject, subject.service())?;
    at_rest(subject)
}

/// Nothing is held, nothing of the inner service is left, and no breach was swallowed.
pub(crate) fn at_rest<X: Testable>(subject: &X) -> Finding {
    let counts = subject.controls().counts();
    ensure(counts.breaches == 0, || {
        "a breach of the inner service's contract was swallowed".into()
    })?;
    ensure(counts.live_futures == 0, || {
        format!("inner futures: {} still alive", counts.live_futures)
    })?;
    ensure(counts.live_values == 0, || {
        format!("inner responses: {} still alive", counts.live_values)
    })?;
    holds_nothing(subject)
}

pub(crate) fn holds_nothing<X: Testable>(subject: &X) -> Finding {
    subject
        .held()
        .try_for_each(|(name, held)| ensure(held == 0, || format!("{name}: {held} still held")))
}

/// Makes one call that is answered by the inner service, and returns the service.
pub(crate) fn call_once<X: Testable>(
    subject: &X,
    service: X::Service,
) -> Result<X::Service, String> {
    let before = subject.controls().counts().calls;
    let mut life = Life::new(service);
    let halt = life.run(subject, MOST_STEPS);
    ensure(halt != Halt::Cut, || format!("a good call: {ENDLESS}"))?;
    ensure(halt == Halt::Over && life.end() == End::Answered, || {
        format!("a good call was not answered: {}", life.story())
    })?;
    let after = subject.controls().counts().calls;
    ensure(after > before, || {
        "a good call never reached the inner service".into()
    })?;
    Ok(life.into_service())
}

const ENDLESS: &str = "no end after 1000 steps: it wakes itself for ever";
