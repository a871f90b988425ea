use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use crate::cidr::mask;

/// Names a client by its address; made by [`ClientIp`](crate::ClientIp).
///
/// 16 bytes, `Copy`, and cheap to hash. Of an IPv6 address only the network counts, by whose first address it goes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientKey {
    // IPv4 as `::ffff:a.b.c.d`: no other address has this form, so the two kinds never meet. Two words, since 128 bits would want
    // to be aligned as such.
    high: u64,
    low: u64,
}

impl ClientKey {
    /// The key of an address, of which the first `ipv6_prefix` bits count if it is IPv6.
    pub(crate) fn new(address: IpAddr, ipv6_prefix: u8) -> Self {
        Self::of_bits(match address.to_canonical() {
            IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
            IpAddr::V6(address) => address.to_bits() & mask(128_u8.saturating_sub(ipv6_prefix)),
        })
    }

    #[expect(clippy::cast_possible_truncation, reason = "a half at a time")]
    const fn of_bits(bits: u128) -> Self {
        Self {
            high: (bits >> 64) as u64,
            low: bits as u64,
        }
    }

    /// The address of the client, or the first of its network.
    #[must_use]
    pub fn address(self) -> IpAddr {
        let bits = u128::from(self.high) << 64 | u128::from(self.low);
        IpAddr::from(Ipv6Addr::from_bits(bits)).to_canonical()
    }
}

impl fmt::Display for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.address(), f)
    }
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientKey({})", self.address())
    }
}
