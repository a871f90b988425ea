use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use buttress_core::ConfigError;

/// A network of IP addresses, for [`ClientIp::trusting`](crate::ClientIp::trusting): `10.0.0.0/8`, `2001:db8::/32`, or an address
/// alone.
///
/// IPv4 written as IPv6 (`::ffff:10.0.0.0/104`) is IPv4, and no network holds addresses of both kinds.
///
/// ```
/// use buttress_http::Cidr;
///
/// let network: Cidr = "10.0.0.0/8".parse()?;
/// assert!(network.contains("10.1.2.3".parse().unwrap()));
/// assert!(network.contains("::ffff:10.1.2.3".parse().unwrap()));
/// assert!(!network.contains("11.1.2.3".parse().unwrap()));
/// assert_eq!("192.0.2.1".parse::<Cidr>()?.to_string(), "192.0.2.1/32");
/// assert!("10.1.0.0/8".parse::<Cidr>().is_err(), "one address, or all of 10?");
/// # Ok::<(), buttress_core::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cidr {
    address: IpAddr,
    prefix: u8,
}

const SETTING: &str = "trusting";
/// IPv4 stands at the end of IPv6.
const BITS_BEFORE_IPV4: u8 = 96;

impl Cidr {
    /// The network that has the first `prefix` bits of `address`.
    ///
    /// # Errors
    /// When the address has no so many bits, or has others than zeros after them.
    pub fn new(address: IpAddr, prefix: u8) -> Result<Self, ConfigError> {
        let bits = width(address);
        if prefix > bits {
            let problem = format!("has a prefix of at most {bits} bits, not {prefix}: {address}");
            return Err(ConfigError::new(SETTING, problem));
        }
        let network = match (address, address.to_canonical()) {
            (IpAddr::V6(_), canonical @ IpAddr::V4(_)) if prefix >= BITS_BEFORE_IPV4 => Self {
                address: canonical,
                prefix: prefix - BITS_BEFORE_IPV4,
            },
            _ => Self { address, prefix },
        };
        if network.first() != number(network.address) {
            let problem = format!("has bits beyond its prefix: {address}/{prefix}");
            return Err(ConfigError::new(SETTING, problem));
        }
        Ok(network)
    }

    /// Whether the address belongs to this network.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4()
            && number(address) & self.mask() == number(self.address)
    }

    fn first(self) -> u128 {
        number(self.address) & self.mask()
    }

    fn mask(self) -> u128 {
        mask(width(self.address) - self.prefix)
    }
}

/// All bits but the last so many.
pub(crate) const fn mask(loose: u8) -> u128 {
    match u128::MAX.checked_shl(loose as u32) {
        Some(mask) => mask,
        None => 0,
    }
}

const fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

impl FromStr for Cidr {
    type Err = ConfigError;

    /// Reads an address, and perhaps a slash and the number of its first bits that count.
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let unreadable = || {
            // Of what may be anything, no more than a glance.
            let glance: String = text.chars().take(64).collect();
            let problem = format!("must be networks like `10.0.0.0/8`, not {glance:?}");
            ConfigError::new(SETTING, problem)
        };
        let (address, prefix) = text
            .split_once('/')
            .map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| unreadable())?;
        let prefix = match prefix {
            None => width(address),
            // `parse` alone would take a sign.
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_| unreadable())?
            }
            Some(_) => return Err(unreadable()),
        };
        Self::new(address, prefix)
    }
}

impl TryFrom<&str> for Cidr {
    type Error = ConfigError;

    fn try_from(text: &str) -> Result<Self, ConfigError> {
        text.parse()
    }
}

/// The network of this one address.
impl From<IpAddr> for Cidr {
    fn from(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self {
            address,
            prefix: width(address),
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests;
