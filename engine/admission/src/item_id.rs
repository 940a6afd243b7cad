//! Ids of admitted items: they look random, and say to their own service which store of which session made them.
//!
//! So a repeated store has the id of the first one, and a report finds its session, without a table for either. An id is
//! two words: a pseudorandom function of the place, the counter and the MAC, and the place and counter under a mask that
//! is a pseudorandom function of the former (a synthetic initial value, as in RFC 5297). The keys live as long as the
//! process; an id whose session is gone says nothing any more.

use herald_core::PlacementId;
use herald_core::siphash::{SipKey, prf_words};

use crate::wire::TAG_BYTES;

/// Which store of which session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The slot in the table of sessions.
    pub(crate) slot: u32,
    /// The slot's generation: 10 bits.
    pub(crate) generation: u16,
    /// The store's counter: 10 bits.
    pub(crate) counter: u16,
}

/// Bits above slot, generation and counter. They are zero, which shows ids that were made otherwise.
const CHECK_SHIFT: u32 = 52;

impl Origin {
    fn to_word(self) -> u64 {
        u64::from(self.slot) | u64::from(self.generation) << 32 | u64::from(self.counter) << 42
    }

    fn from_word(word: u64) -> Option<Self> {
        let bits = |shift: u32, mask: u64| (word >> shift) & mask;
        if word >> CHECK_SHIFT != 0 {
            return None;
        }
        Some(Self {
            slot: u32::try_from(bits(0, 0xffff_ffff)).ok()?,
            generation: u16::try_from(bits(32, 0x3ff)).ok()?,
            counter: u16::try_from(bits(42, 0x3ff)).ok()?,
        })
    }
}

/// Makes and reads ids.
#[derive(Clone, Copy)]
pub(crate) struct ItemIds {
    of_store: SipKey,
    of_mask: SipKey,
}

impl ItemIds {
    pub(crate) fn new(store_secret: &[u8; 32], mask_secret: &[u8; 32]) -> Self {
        Self { of_store: SipKey::from_secret(store_secret), of_mask: SipKey::from_secret(mask_secret) }
    }

    pub(crate) fn id(&self, origin: Origin, tag: &[u8; TAG_BYTES]) -> PlacementId {
        let tag = u128::from_le_bytes(*tag);
        let (low, high) = (tag as u64, (tag >> 64) as u64);
        let first = prf_words(self.of_store, &[origin.to_word(), low, high]);
        let second = origin.to_word() ^ prf_words(self.of_mask, &[first]);
        PlacementId::from_bytes((u128::from(first) | u128::from(second) << 64).to_le_bytes())
    }

    /// Where an item came from, if its id was made here.
    pub(crate) fn origin(&self, id: PlacementId) -> Option<Origin> {
        let id = u128::from_le_bytes(*id.as_bytes());
        let (first, second) = (id as u64, (id >> 64) as u64);
        Origin::from_word(second ^ prf_words(self.of_mask, &[first]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_says_its_origin_to_who_has_the_keys_and_to_nobody_else() {
        let (ours, theirs) = (ItemIds::new(&[1; 32], &[2; 32]), ItemIds::new(&[1; 32], &[3; 32]));
        let origins = (0..4096u16).map(|step| Origin {
            slot: u32::from(step) * 1_000_003,
            generation: step & 0x3ff,
            counter: (step * 7) & 0x3ff,
        });
        let mut readable = 0;
        for origin in origins {
            let id = ours.id(origin, &[9; TAG_BYTES]);
            assert_eq!(ours.origin(id), Some(origin));
            assert_ne!(id, ours.id(origin, &[8; TAG_BYTES]), "another store, another id");
            readable += usize::from(theirs.origin(id).is_some());
        }
        assert!(readable < 16, "one in 4096 by chance: {readable}");
    }
}
