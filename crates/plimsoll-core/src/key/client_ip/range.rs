//! Ranges of IP addresses, for trusted proxies.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// A range of IP addresses in CIDR notation: `10.0.0.0/8`, `2001:db8::/32`, or one address.
///
/// ```
/// use plimsoll_core::IpRange;
/// let range: IpRange = "10.0.0.0/8".parse()?;
/// assert!(range.contains("10.1.2.3".parse()?));
/// assert!("10.0.0.1/8".parse::<IpRange>().is_err()); // bits set after the prefix
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IpRange {
    /// The network address; zero after the prefix.
    network: IpAddr,
    prefix: u8,
}

/// Why a range is invalid.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidIpRange {
    /// Neither an address nor an address with a prefix length.
    Malformed(String),
    /// The prefix is longer than the address.
    Prefix(IpAddr, u8),
    /// The address has bits set after the prefix.
    HostBits {
        /// The address as given.
        given: IpAddr,
        /// The prefix as given.
        prefix: u8,
        /// The range without those bits. It contains the address, except when that is a mapped IPv4
        /// address and the prefix is shorter than 96 bits: mapped addresses belong to IPv4 ranges.
        network: IpRange,
    },
}

impl fmt::Display for InvalidIpRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(got) => write!(
                f,
                "range must be like 10.0.0.0/8 or 2001:db8::/32, got {got:?}"
            ),
            Self::Prefix(address, got) => {
                let most = bits(*address);
                write!(
                    f,
                    "prefix of a range in {address} must be at most {most}, got {got}"
                )
            }
            Self::HostBits {
                given,
                prefix,
                network,
            } => write!(
                f,
                "range must be zero after its prefix, got {given}/{prefix}; the network is {network}"
            ),
        }
    }
}

impl std::error::Error for InvalidIpRange {}

impl IpRange {
    /// Loopback, private and link-local addresses of both families: the proxies of a private
    /// network. Use it only when untrusted callers cannot reach this service from such an address.
    pub const PRIVATE: [Self; 8] = [
        Self::v4([127, 0, 0, 0], 8),
        Self::v4([10, 0, 0, 0], 8),
        Self::v4([172, 16, 0, 0], 12),
        Self::v4([192, 168, 0, 0], 16),
        Self::v4([169, 254, 0, 0], 16),
        Self::v6(1, 128),
        Self::v6(0xfc00 << 112, 7),
        Self::v6(0xfe80 << 112, 10),
    ];

    const fn v4([a, b, c, d]: [u8; 4], prefix: u8) -> Self {
        Self {
            network: IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
            prefix,
        }
    }

    const fn v6(network: u128, prefix: u8) -> Self {
        Self {
            network: IpAddr::V6(Ipv6Addr::from_bits(network)),
            prefix,
        }
    }

    /// The addresses that start with the first `prefix` bits of `network`.
    ///
    /// A range of mapped IPv4 addresses (`::ffff:10.0.0.0/104`) becomes the range of IPv4
    /// addresses.
    ///
    /// # Errors
    ///
    /// When `prefix` is longer than the address, or bits are set after it.
    pub fn new(network: IpAddr, prefix: u8) -> Result<Self, InvalidIpRange> {
        if prefix > bits(network) {
            return Err(InvalidIpRange::Prefix(network, prefix));
        }
        let range = Self {
            network: truncated(network, prefix),
            prefix,
        };
        if range.network != network {
            return Err(InvalidIpRange::HostBits {
                given: network,
                prefix,
                network: range,
            });
        }
        Ok(match (network.to_canonical(), prefix.checked_sub(96)) {
            (network @ IpAddr::V4(_), Some(prefix)) if range.network.is_ipv6() => {
                Self { network, prefix }
            }
            _ => range,
        })
    }

    /// Returns whether the address is in the range. Mapped IPv4 addresses count as IPv4.
    pub fn contains(&self, addr: IpAddr) -> bool {
        let addr = addr.to_canonical();
        addr.is_ipv4() == self.network.is_ipv4() && truncated(addr, self.prefix) == self.network
    }
}

/// Returns the number of bits of an address.
const fn bits(addr: IpAddr) -> u8 {
    match addr {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// Returns the first `prefix` bits of the address, followed by zeros.
pub(super) fn truncated(addr: IpAddr, prefix: u8) -> IpAddr {
    match addr {
        IpAddr::V4(v4) => {
            let cut = 32_u32.saturating_sub(prefix.into());
            let mask = u32::MAX.checked_shl(cut).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask))
        }
        IpAddr::V6(v6) => {
            let cut = 128_u32.saturating_sub(prefix.into());
            let mask = u128::MAX.checked_shl(cut).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask))
        }
    }
}

impl FromStr for IpRange {
    type Err = InvalidIpRange;

    fn from_str(text: &str) -> Result<Self, InvalidIpRange> {
        let malformed = || InvalidIpRange::Malformed(text.to_owned());
        let (addr, prefix) = match text.split_once('/') {
            None => (text, None),
            Some((addr, prefix)) => (addr, Some(prefix)),
        };
        let addr = addr.parse().map_err(|_| malformed())?;
        let prefix = match prefix {
            None => bits(addr),
            Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => {
                digits.parse().map_err(|_| malformed())?
            }
            Some(_) => return Err(malformed()),
        };
        Self::new(addr, prefix)
    }
}

impl From<IpAddr> for IpRange {
    /// The range of this one address.
    fn from(addr: IpAddr) -> Self {
        let network = addr.to_canonical();
        let prefix = bits(network);
        Self { network, prefix }
    }
}

impl fmt::Display for IpRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}
