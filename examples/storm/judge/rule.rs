//! What the bounds demand, and how people call it.

use serde::Serialize;

/// What a bound demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    Share,
    Latency,
    Recovery,
    Control,
    CheckoutShare,
    CheckoutLatency,
    BrowseShare,
    Overrun,
    InventoryLoad,
    PaymentsLoad,
    LoadControl,
    OthersLimited,
    GreedyLetIn,
    FailOver,
    Unanswered,
}

impl Rule {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Share => "inventory served",
            Self::Latency => "inventory p99",
            Self::Recovery => "payments served again",
            Self::Control => "control: bare inventory",
            Self::CheckoutShare => "checkout served",
            Self::CheckoutLatency => "checkout p99",
            Self::BrowseShare => "browse, of all served",
            Self::Overrun => "control: all served",
            Self::InventoryLoad => "load on inventory",
            Self::PaymentsLoad => "load on payments",
            Self::LoadControl => "control: bare load on payments",
            Self::OthersLimited => "others limited",
            Self::GreedyLetIn => "greedy client let in",
            Self::FailOver => "first degraded answer",
            Self::Unanswered => "without any answer",
        }
    }
}
