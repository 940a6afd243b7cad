//! Ids of admitted items: they look random, and say to their own service which store of which session made them.
//!
//! So a repeated store has the id of the first one, and a report finds its session, without a table for either. An id is
//! two words: a pseudorandom function of the place, the counter and the MAC, and the place and counter under a mask that
//! is a pseudorandom function of the former (a synthetic initial value, as in RFC 5297) and of the number: under another
//! number an id says nothing. The keys live as long as the process; an id whose session is gone says nothing any more.

use herald_core::siphash::{SipKey, prf_words};
use herald_core::{PlacementId, TelephoneNumber};

use crate::wire::{TAG_BYTES, TokenId};

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

/// What stands for the one store of a token that opens no session. Never that of a session: slots have 26 bits.
const ALONE: Origin = Origin { slot: u32::MAX, generation: 0, counter: 0 };

/// Who made an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Maker {
    /// A store of a session.
    Session(Origin),
    /// A token that opened none, by its [`ItemIds::name_of_token`].
    Token(u64),
}

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

    /// The id of a session's store under a number; none for a session that is opened without a store.
    #[inline]
    pub(crate) fn id(
        &self,
        origin: Origin,
        tag: &[u8; TAG_BYTES],
        number: Option<TelephoneNumber>,
    ) -> PlacementId {
        self.masked(self.pseudorandom(origin, *tag), origin, number)
    }

    /// The id of the one store of a token that opens no session.
    pub(crate) fn id_of_alone(&self, token: TokenId, number: Option<TelephoneNumber>) -> PlacementId {
        self.masked(self.name_of_token(token), ALONE, number)
    }

    /// What names a token in such an id.
    pub(crate) fn name_of_token(&self, token: TokenId) -> u64 {
        self.pseudorandom(ALONE, token.0)
    }

    /// Where an item under a number came from, if its id was made here for that number.
    pub(crate) fn maker(&self, id: PlacementId, number: TelephoneNumber) -> Option<Maker> {
        let id = u128::from_le_bytes(*id.as_bytes());
        let (first, second) = (id as u64, (id >> 64) as u64);
        let origin = Origin::from_word(second ^ self.mask(first, Some(number)))?;
        Some(if origin == ALONE { Maker::Token(first) } else { Maker::Session(origin) })
    }

    #[inline]
    fn pseudorandom(&self, origin: Origin, bytes: [u8; 16]) -> u64 {
        let bytes = u128::from_le_bytes(bytes);
        prf_words(self.of_store, &[origin.to_word(), bytes as u64, (bytes >> 64) as u64])
    }

    #[inline]
    fn masked(&self, first: u64, origin: Origin, number: Option<TelephoneNumber>) -> PlacementId {
        let second = origin.to_word() ^ self.mask(first, number);
        PlacementId::from_bytes((u128::from(first) | u128::from(second) << 64).to_le_bytes())
    }

    #[inline]
    fn mask(&self, first: u64, number: Option<TelephoneNumber>) -> u64 {
        prf_words(self.of_mask, &[first, number.map_or(0, TelephoneNumber::to_bits)])
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
        let number: TelephoneNumber = "12155551212".parse().expect("a number");
        let another: TelephoneNumber = "12155551213".parse().expect("a number");
        let (mut readable, mut of_another) = (0, 0);
        for origin in origins {
            let id = ours.id(origin, &[9; TAG_BYTES], Some(number));
            assert_eq!(ours.maker(id, number), Some(Maker::Session(origin)));
            assert_ne!(id, ours.id(origin, &[8; TAG_BYTES], Some(number)), "another store, another id");
            readable += usize::from(theirs.maker(id, number).is_some());
            of_another += usize::from(ours.maker(id, another).is_some());
        }
        assert!(readable < 16, "one in 4096 by chance: {readable}");
        assert!(of_another < 16, "one in 4096 by chance: {of_another}");
        let token = TokenId([7; 16]);
        let alone = ours.id_of_alone(token, Some(number));
        assert_eq!(ours.maker(alone, number), Some(Maker::Token(ours.name_of_token(token))));
    }
}
