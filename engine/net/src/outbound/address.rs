//! Which addresses an exchange may connect to.
//!
//! A URL from elsewhere must not lead into the network the engine stands in (THREATS 26): unless a rule says
//! otherwise, only addresses of the public internet are connected to. Knows nothing of names: it judges what a
//! name has been resolved to, and the connection then goes to exactly that address.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

/// A block of addresses: `10.0.0.0/8`, `2001:db8::/32`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AddressBlock {
    first: IpAddr,
    prefix_bits: u8,
}

impl AddressBlock {
    /// The block that begins with these bits of `first`; the rest of them do not count.
    const fn v4(first: [u8; 4], prefix_bits: u8) -> Self {
        let [a, b, c, d] = first;
        Self { first: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix_bits }
    }

    const fn v6(first: [u16; 8], prefix_bits: u8) -> Self {
        let [a, b, c, d, e, f, g, h] = first;
        Self { first: IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h)), prefix_bits }
    }

    /// Whether `address` lies in the block. A version never lies in the other's.
    pub fn contains(self, address: IpAddr) -> bool {
        match (self.first, address) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                let differing = first.to_bits() ^ address.to_bits();
                differing.checked_shr(32 - u32::from(self.prefix_bits)).unwrap_or(0) == 0
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                let differing = first.to_bits() ^ address.to_bits();
                differing.checked_shr(128 - u32::from(self.prefix_bits)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for AddressBlock {
    type Err = BadAddressBlock;

    fn from_str(text: &str) -> Result<Self, BadAddressBlock> {
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let first: IpAddr = address.parse().map_err(|_| BadAddressBlock)?;
        let bits_max = if first.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match bits {
            None => bits_max,
            Some(bits) => bits.parse().ok().filter(|&bits| bits <= bits_max).ok_or(BadAddressBlock)?,
        };
        Ok(Self { first, prefix_bits })
    }
}

/// A text that is no block of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadAddressBlock;

impl fmt::Display for BadAddressBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no block of addresses; write one as 10.0.0.0/8, 2001:db8::/32 or a single address")
    }
}

impl core::error::Error for BadAddressBlock {}

/// Which addresses may be connected to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AddressRule {
    /// All: the operator has named the peer.
    Any,
    /// Those of the public internet, and these blocks besides.
    PublicAnd(Vec<AddressBlock>),
}

impl AddressRule {
    /// Those of the public internet.
    pub const PUBLIC: Self = Self::PublicAnd(Vec::new());

    /// Whether `address` may be connected to.
    ///
    /// # Errors
    /// What the address is, if not.
    pub fn check(&self, address: IpAddr) -> Result<(), &'static str> {
        let Self::PublicAnd(exceptions) = self else { return Ok(()) };
        if exceptions.iter().any(|block| block.contains(address)) {
            return Ok(());
        }
        match NOT_PUBLIC.iter().find(|(block, _)| block.contains(address)) {
            Some((_, what)) => Err(what),
            None if address.is_ipv6() && !GLOBAL_UNICAST.contains(address) => {
                Err("outside IPv6's public space")
            }
            None => Ok(()),
        }
    }
}

/// What IANA has given out of IPv6 to be reached from everywhere (RFC 4291 §2.4, the IPv6 address space registry).
const GLOBAL_UNICAST: AddressBlock = AddressBlock::v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// Blocks that are not the public internet, from IANA's special-purpose registries (RFC 6890), and what each is.
/// IPv4 wrapped into IPv6 is refused whole: who wants such an address can write the IPv4 one.
const NOT_PUBLIC: &[(AddressBlock, &str)] = &[
    (AddressBlock::v4([0, 0, 0, 0], 8), "this network itself (RFC 791)"),
    (AddressBlock::v4([10, 0, 0, 0], 8), "a private address (RFC 1918)"),
    (AddressBlock::v4([100, 64, 0, 0], 10), "a carrier's shared address (RFC 6598)"),
    (AddressBlock::v4([127, 0, 0, 0], 8), "loopback"),
    (AddressBlock::v4([169, 254, 0, 0], 16), "link-local, where clouds serve metadata (RFC 3927)"),
    (AddressBlock::v4([172, 16, 0, 0], 12), "a private address (RFC 1918)"),
    (AddressBlock::v4([192, 0, 0, 0], 24), "kept for protocols (RFC 6890)"),
    (AddressBlock::v4([192, 0, 2, 0], 24), "kept for documentation (RFC 5737)"),
    (AddressBlock::v4([192, 88, 99, 0], 24), "a relay of 6to4 (RFC 7526)"),
    (AddressBlock::v4([192, 168, 0, 0], 16), "a private address (RFC 1918)"),
    (AddressBlock::v4([198, 18, 0, 0], 15), "kept for measurements (RFC 2544)"),
    (AddressBlock::v4([198, 51, 100, 0], 24), "kept for documentation (RFC 5737)"),
    (AddressBlock::v4([203, 0, 113, 0], 24), "kept for documentation (RFC 5737)"),
    (AddressBlock::v4([224, 0, 0, 0], 4), "multicast"),
    (AddressBlock::v4([240, 0, 0, 0], 4), "reserved or broadcast (RFC 1112)"),
    (AddressBlock::v6([0, 0, 0, 0, 0, 0, 0, 0], 128), "the unspecified address"),
    (AddressBlock::v6([0, 0, 0, 0, 0, 0, 0, 1], 128), "loopback"),
    (AddressBlock::v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96), "IPv4 in IPv6's clothes (RFC 4291)"),
    (AddressBlock::v6([0, 0, 0, 0, 0, 0, 0, 0], 96), "IPv4 in IPv6's clothes (RFC 4291)"),
    (AddressBlock::v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96), "IPv4 behind NAT64 (RFC 6052)"),
    (AddressBlock::v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48), "IPv4 behind NAT64 (RFC 8215)"),
    (AddressBlock::v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), "kept for protocols, Teredo among them (RFC 2928)"),
    (AddressBlock::v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), "kept for documentation (RFC 3849)"),
    (AddressBlock::v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), "IPv4 behind 6to4 (RFC 3056)"),
    (AddressBlock::v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), "kept for documentation (RFC 9637)"),
    (AddressBlock::v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), "a private address (RFC 4193)"),
    (AddressBlock::v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), "link-local (RFC 4291)"),
    (AddressBlock::v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), "multicast"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rule: &AddressRule, cases: &[(&str, Option<&str>)]) {
        for (address, expected) in cases {
            let what = rule.check(address.parse().unwrap()).err();
            match expected {
                None => assert_eq!(what, None, "{address}"),
                Some(word) => assert!(what.is_some_and(|what| what.contains(word)), "{address}: {what:?}"),
            }
        }
    }

    #[test]
    fn only_the_public_internet_may_be_connected_to() {
        let cases = [
            ("1.1.1.1", None),
            ("9.255.255.255", None),
            ("11.0.0.0", None),
            ("172.15.255.255", None),
            ("172.32.0.0", None),
            ("223.255.255.255", None),
            ("2606:4700::1111", None),
            ("2001:200::1", None),
            ("0.0.0.0", Some("this network")),
            ("10.255.255.255", Some("private")),
            ("100.64.0.1", Some("shared")),
            ("127.0.0.1", Some("loopback")),
            ("127.255.255.254", Some("loopback")),
            ("169.254.169.254", Some("metadata")),
            ("172.16.0.1", Some("private")),
            ("172.31.255.255", Some("private")),
            ("192.168.1.1", Some("private")),
            ("198.19.0.1", Some("measurements")),
            ("203.0.113.9", Some("documentation")),
            ("239.1.2.3", Some("multicast")),
            ("255.255.255.255", Some("broadcast")),
            ("::", Some("unspecified")),
            ("::1", Some("loopback")),
            ("::ffff:127.0.0.1", Some("clothes")),
            ("::ffff:1.1.1.1", Some("clothes")),
            ("::127.0.0.1", Some("clothes")),
            ("64:ff9b::7f00:1", Some("NAT64")),
            ("64:ff9b:1::1", Some("NAT64")),
            ("2001::1", Some("Teredo")),
            ("2001:db8::1", Some("documentation")),
            ("2002:7f00:1::", Some("6to4")),
            ("3fff::1", Some("documentation")),
            ("4000::1", Some("public space")),
            ("fd00:ec2::254", Some("private")),
            ("fe80::1", Some("link-local")),
            ("fec0::1", Some("public space")),
            ("ff02::1", Some("multicast")),
        ];
        check(&AddressRule::PUBLIC, &cases);
    }

    #[test]
    fn an_exception_admits_its_block_and_nothing_beside_it() {
        let blocks = ["10.1.0.0/16", "fd00:1::/32", "127.0.0.2"];
        let rule = AddressRule::PublicAnd(blocks.map(|block| block.parse().unwrap()).to_vec());
        let cases = [
            ("10.1.255.1", None),
            ("fd00:1:9::1", None),
            ("127.0.0.2", None),
            ("1.1.1.1", None),
            ("10.2.0.1", Some("private")),
            ("fd00:2::1", Some("private")),
            ("127.0.0.1", Some("loopback")),
            ("::ffff:10.1.0.1", Some("clothes")),
        ];
        check(&rule, &cases);
        check(&AddressRule::Any, &[("127.0.0.1", None), ("::1", None)]);
    }

    #[test]
    fn a_block_is_written_as_everybody_writes_it() {
        for bad in ["", "/8", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/-1", "host/8"] {
            assert_eq!(bad.parse::<AddressBlock>(), Err(BadAddressBlock), "{bad:?}");
        }
        let all: AddressBlock = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains([255, 1, 2, 3].into()) && !all.contains(Ipv6Addr::LOCALHOST.into()));
    }
}
