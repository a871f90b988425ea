//! Who takes part: two gateways side by side, two upstreams behind each.

use serde::Serialize;

/// One of the two gateways that stand side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Protected by buttress.
    Protected,
    /// What people write first.
    Bare,
}

impl Side {
    pub const ALL: [Self; 2] = [Self::Protected, Self::Bare];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Protected => "protected",
            Self::Bare => "bare",
        }
    }
}

/// One of the two services that each gateway calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Upstream {
    /// Always calm: whatever it loses, somebody else's trouble took it.
    Inventory,
    /// Follows the script of the storm.
    Payments,
}

impl Upstream {
    pub const ALL: [Self; 2] = [Self::Inventory, Self::Payments];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Inventory => "inventory",
            Self::Payments => "payments",
        }
    }

    /// The path by which a gateway knows which upstream a call is for.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Inventory => "/inventory",
            Self::Payments => "/payments",
        }
    }
}

/// One value for each gateway, looked up by its side.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct PerSide<T> {
    pub protected: T,
    pub bare: T,
}

impl<T> PerSide<T> {
    pub fn from_fn(mut make: impl FnMut(Side) -> T) -> Self {
        Self {
            protected: make(Side::Protected),
            bare: make(Side::Bare),
        }
    }

    pub const fn of(&self, side: Side) -> &T {
        match side {
            Side::Protected => &self.protected,
            Side::Bare => &self.bare,
        }
    }
}

/// One value for each upstream, looked up by its name.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct PerUpstream<T> {
    pub inventory: T,
    pub payments: T,
}

impl<T> PerUpstream<T> {
    pub fn from_fn(mut make: impl FnMut(Upstream) -> T) -> Self {
        Self {
            inventory: make(Upstream::Inventory),
            payments: make(Upstream::Payments),
        }
    }

    pub const fn of(&self, upstream: Upstream) -> &T {
        match upstream {
            Upstream::Inventory => &self.inventory,
            Upstream::Payments => &self.payments,
        }
    }
}
