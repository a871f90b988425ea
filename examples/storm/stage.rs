//! Who takes part: two gateways side by side, two upstreams behind each, three classes of calls.

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
    /// As well as ever while payments is in trouble, but for a 503 now and then: whatever more it loses
    /// then, somebody else's trouble took it.
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

    /// The name of a second process of the same kind, which the protected gateway falls back to.
    pub const fn replica(self) -> &'static str {
        match self {
            Self::Inventory => "inventory-replica",
            Self::Payments => "payments-replica",
        }
    }

    /// The end of the path, by which a gateway knows which upstream a call is for.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Inventory => "/inventory",
            Self::Payments => "/payments",
        }
    }
}

/// What a call is about, and so how much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Somebody pays: what the shop lives on.
    Checkout,
    /// Everything that is neither.
    Rest,
    /// Somebody looks around.
    Browse,
}

impl Class {
    pub const ALL: [Self; 3] = [Self::Checkout, Self::Rest, Self::Browse];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Checkout => "checkout",
            Self::Rest => "rest",
            Self::Browse => "browse",
        }
    }

    /// The path of its calls to an upstream.
    pub const fn path(self, upstream: Upstream) -> &'static str {
        match (self, upstream) {
            (Self::Checkout, Upstream::Inventory) => "/checkout/inventory",
            (Self::Checkout, Upstream::Payments) => "/checkout/payments",
            (Self::Rest, _) => upstream.path(),
            (Self::Browse, Upstream::Inventory) => "/browse/inventory",
            (Self::Browse, Upstream::Payments) => "/browse/payments",
        }
    }

    /// The class of the calls to `path`.
    pub fn of(path: &str) -> Self {
        match path.split('/').nth(1) {
            Some("checkout") => Self::Checkout,
            Some("browse") => Self::Browse,
            _ => Self::Rest,
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

/// One value for each class of calls, looked up by its name.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct PerClass<T> {
    pub checkout: T,
    pub rest: T,
    pub browse: T,
}

impl<T> PerClass<T> {
    pub fn from_fn(mut make: impl FnMut(Class) -> T) -> Self {
        Self {
            checkout: make(Class::Checkout),
            rest: make(Class::Rest),
            browse: make(Class::Browse),
        }
    }

    pub const fn of(&self, class: Class) -> &T {
        match class {
            Class::Checkout => &self.checkout,
            Class::Rest => &self.rest,
            Class::Browse => &self.browse,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_known_by_its_paths() {
        for class in Class::ALL {
            for upstream in Upstream::ALL {
                assert_eq!(Class::of(class.path(upstream)), class);
                assert!(class.path(upstream).ends_with(upstream.path()));
            }
        }
        assert_eq!(Class::of("/inventory/checkout"), Class::Rest);
        assert_eq!(Class::of(""), Class::Rest);
    }
}
