//! Whose key bundle is verified now: strangers can make us verify signatures, so they get turns.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use herald_core::Timestamp;
use herald_stir::limits::KEY_BUNDLE_LIFETIME_MAX_S;

use crate::limits::{
    KEYS_KNOWN_SOURCES_MAX, KEYS_PUBLISHED_PER_S_MAX, KEYS_PUBLISHED_PER_SOURCE_MAX, KEYS_RENEWED_PER_S_MAX,
};

/// From where a bundle comes: what one owner has of addresses, as far as that can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    /// This machine: a Unix socket, or loopback. Behind it may be a proxy with the bundles of all.
    Here,
    /// An IPv4 network of 24 bits.
    V4([u8; 3]),
    /// An IPv6 network of 64 bits.
    V6([u8; 8]),
}

impl Source {
    /// The source of a peer, `None` on a Unix socket.
    pub(crate) fn of(address: Option<SocketAddr>) -> Self {
        match address.map(|address| address.ip().to_canonical()) {
            Some(ip) if !ip.is_loopback() => match ip {
                IpAddr::V4(ip) => {
                    let [a, b, c, _] = ip.octets();
                    Self::V4([a, b, c])
                }
                IpAddr::V6(ip) => {
                    let [a, b, c, d, e, f, g, h, ..] = ip.octets();
                    Self::V6([a, b, c, d, e, f, g, h])
                }
            },
            _ => Self::Here,
        }
    }
}

/// The turns of one second. A source that published something to be believed within the lifetime of a bundle, or is
/// here, has more turns to draw on, which strangers cannot use up: the name of an issuer can be claimed before it is
/// verified, an address cannot.
#[derive(Debug, Default)]
pub(super) struct Turns {
    second: u64,
    taken: u32,
    renewals_taken: u32,
    /// Of this second; no more than turns.
    by_source: HashMap<Source, u32>,
    /// Until which second they count as known.
    known: HashMap<Source, u64>,
}

impl Turns {
    /// Whether a bundle from `source` may be verified now.
    pub(super) fn take(&mut self, source: Source, now: Timestamp) -> bool {
        let second = now.as_millis() / 1000;
        if self.second != second {
            let known = core::mem::take(&mut self.known);
            *self = Self { second, known, ..Self::default() };
        }
        let of_source = self.by_source.get(&source).copied().unwrap_or(0);
        if source != Source::Here && of_source >= KEYS_PUBLISHED_PER_SOURCE_MAX {
            return false;
        }
        let is_known = source == Source::Here || self.known.get(&source).is_some_and(|until| *until > second);
        if self.taken < KEYS_PUBLISHED_PER_S_MAX {
            self.taken += 1;
        } else if is_known && self.renewals_taken < KEYS_RENEWED_PER_S_MAX {
            self.renewals_taken += 1;
        } else {
            return false;
        }
        self.by_source.insert(source, of_source + 1);
        true
    }

    /// A bundle from `source` was to be believed.
    pub(super) fn remember(&mut self, source: Source, now: Timestamp) {
        let second = now.as_millis() / 1000;
        if self.known.len() >= KEYS_KNOWN_SOURCES_MAX && !self.known.contains_key(&source) {
            self.known.retain(|_, until| *until > second);
            let soonest = self.known.iter().min_by_key(|(_, until)| **until).map(|(source, _)| *source);
            if let Some(soonest) = soonest.filter(|_| self.known.len() >= KEYS_KNOWN_SOURCES_MAX) {
                self.known.remove(&soonest);
            }
        }
        self.known.insert(source, second + KEY_BUNDLE_LIFETIME_MAX_S);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::of(Some(text.parse().expect("an address")))
    }

    fn at(second: u64) -> Timestamp {
        Timestamp::from_millis(second * 1000)
    }

    fn granted(turns: &mut Turns, source: Source, second: u64) -> u32 {
        (0..1000).map(|_| u32::from(turns.take(source, at(second)))).sum()
    }

    #[test]
    fn a_source_is_a_network_and_this_machine_is_one() {
        assert_eq!(source("192.0.2.1:5"), source("[::ffff:192.0.2.200]:6"));
        assert_ne!(source("192.0.2.1:5"), source("192.0.3.1:5"));
        assert_eq!(source("[2001:db8::1]:5"), source("[2001:db8::ffff:1]:5"));
        assert_ne!(source("[2001:db8::1]:5"), source("[2001:db8:0:1::1]:5"));
        for here in [source("127.0.0.1:5"), source("[::1]:5"), Source::of(None)] {
            assert_eq!(here, Source::Here);
        }
    }

    #[test]
    fn one_source_takes_its_share_and_all_together_no_more_than_the_bound() {
        let mut turns = Turns::default();
        for second in [5, 6] {
            assert_eq!(
                granted(&mut turns, source("192.0.2.1:5"), second),
                KEYS_PUBLISHED_PER_SOURCE_MAX,
                "of {KEYS_PUBLISHED_PER_S_MAX}"
            );
            let others: u32 = (1..100u8).map(|net| granted(&mut turns, Source::V4([net; 3]), second)).sum();
            assert_eq!(others, KEYS_PUBLISHED_PER_S_MAX - KEYS_PUBLISHED_PER_SOURCE_MAX);
            assert_eq!(granted(&mut turns, Source::Here, second), KEYS_RENEWED_PER_S_MAX);
        }
    }

    #[test]
    fn whoever_published_before_renews_however_many_strangers_come() {
        let mut turns = Turns::default();
        let owner = source("192.0.2.1:5");
        for (published, second, renewed) in [
            (false, 5, 0),
            (true, 6, KEYS_PUBLISHED_PER_SOURCE_MAX),
            (false, 6 + KEY_BUNDLE_LIFETIME_MAX_S, 0),
        ] {
            if published {
                turns.remember(owner, at(second));
            }
            let strangers: u32 =
                (1..100u8).map(|net| granted(&mut turns, Source::V4([net; 3]), second)).sum();
            assert_eq!(strangers, KEYS_PUBLISHED_PER_S_MAX);
            assert_eq!(granted(&mut turns, owner, second), renewed, "at {second} s");
        }
    }

    #[test]
    fn sources_are_forgotten_at_the_bound_the_longest_known_first() {
        let mut turns = Turns::default();
        let net = |index: usize| Source::V6((index as u64).to_be_bytes());
        for index in 0..=KEYS_KNOWN_SOURCES_MAX {
            turns.remember(net(index), at(index as u64));
        }
        assert_eq!(turns.known.len(), KEYS_KNOWN_SOURCES_MAX);
        assert!(!turns.known.contains_key(&net(0)) && turns.known.contains_key(&net(1)));
    }
}
