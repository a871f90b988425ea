use std::task::{Context, Poll, Waker};

/// What is wrong with a [`Limit`](super::Limit).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    // Readiness.
    ClonesInCall,
    IgnoresReadiness,
    CarriesReadinessToClones,
    SwallowsTheReadinessError,
    // Waking.
    DropsTheWaker,
    KeepsTheFirstWaker,
    Spins,
    // Capacity.
    AdmitsOneMore,
    LeaksTheReservation,
    LeaksBeforeTheFirstPoll,
    LeaksWhileRunning,
    LeaksOnError,
    LeaksOnPanic,
    LeaksUnread,
    LeaksHalfRead,
    KeepsTheFuture,
    KeepsTheResponse,
    RefusesAfterAPanic,
    // The rest of the contract.
    HidesABreach,
    AnswersByItself,
    StallsWithoutItsService,
    // Promises that not every layer makes.
    ReservesWhenReady,
    ReplacesTheError,
    CatchesThePanic,
}

impl Fault {
    /// Polls with the waker that the fault lets through.
    pub(super) fn poll<T>(
        self,
        cx: &mut Context<'_>,
        first: &mut Option<Waker>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        match self {
            Self::DropsTheWaker => poll(&mut Context::from_waker(Waker::noop())),
            Self::KeepsTheFirstWaker => {
                let first = first.get_or_insert_with(|| cx.waker().clone());
                poll(&mut Context::from_waker(first))
            }
            Self::Spins => {
                cx.waker().wake_by_ref();
                poll(cx)
            }
            _ => poll(cx),
        }
    }

    pub(super) fn reserves_when_ready(self) -> bool {
        matches!(self, Self::ReservesWhenReady | Self::LeaksTheReservation)
    }
}
