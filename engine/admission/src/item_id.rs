//! Ids of admitted items: they look random, and say to their own service which store of which session made them, and of
//! which class it is.
//!
//! So a repeated store has the id of the first one, a report finds its session, and what lives under a number can be counted
//! by class and by token, without a table for any of this. An id is
//! two words: a pseudorandom function of the place, the counter and the MAC, and the place and counter under a mask that
//! is a pseudorandom function of the former (a synthetic initial value, as in RFC 5297) and of the number: under another
//! number an id says nothing. The keys live as long as the process; an id whose session is gone says nothing any more.

use herald_core::siphash::{SipKey, prf_words};
use herald_core::{PlacementId, TelephoneNumber};

use crate::policy::Class;
use crate::wire::{TAG_BYTES, TokenId};

/// Which store of which session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Of the session.
    pub(crate) class: Class,
    /// The slot in the table of sessions: 27 bits.
    pub(crate) slot: u32,
    /// The slot's generation: 10 bits.
    pub(crate) generation: u16,
    /// The store's counter: 10 bits.
    pub(crate) counter: u16,
}

/// The word of an id: slot (27 bits), generation (10), counter (10), class (2), and one for tokens that open no session,
/// whose other bits but the class are zero. Those above are zero, which shows ids that were made otherwise.
const GENERATION_SHIFT: u32 = 27;
const COUNTER_SHIFT: u32 = 37;
const CLASS_SHIFT: u32 = 47;
const ALONE: u64 = 1 << 49;
const CHECK_SHIFT: u32 = 50;
const CLASS_BITS: u64 = 0b11 << CLASS_SHIFT;

/// Who made an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Maker {
    /// A store of a session.
    Session(Origin),
    /// A token of a class that opened none, by its [`ItemIds::name_of_token`].
    Token(Class, u64),
}

impl Maker {
    pub(crate) fn class(self) -> Class {
        match self {
            Self::Session(origin) => origin.class,
            Self::Token(class, _) => class,
        }
    }

    /// Whether both are of one token.
    pub(crate) fn is_of_token_of(self, other: Self) -> bool {
        match (self, other) {
            (Self::Session(one), Self::Session(other)) => {
                (one.slot, one.generation) == (other.slot, other.generation)
            }
            (one, other) => one == other,
        }
    }
}

impl Origin {
    fn to_word(self) -> u64 {
        u64::from(self.slot)
            | u64::from(self.generation) << GENERATION_SHIFT
            | u64::from(self.counter) << COUNTER_SHIFT
            | class_bits(self.class)
    }
}

impl Maker {
    /// `first` is what names the token of an id without a session.
    fn from_words(word: u64, first: u64) -> Option<Self> {
        let bits = |shift: u32, mask: u64| (word >> shift) & mask;
        if word >> CHECK_SHIFT != 0 {
            return None;
        }
        let class = Class(u8::try_from(bits(CLASS_SHIFT, 0b11)).ok()?);
        if word & ALONE != 0 {
            return (word & !CLASS_BITS == ALONE).then_some(Self::Token(class, first));
        }
        Some(Self::Session(Origin {
            class,
            slot: u32::try_from(bits(0, (1 << GENERATION_SHIFT) - 1)).ok()?,
            generation: u16::try_from(bits(GENERATION_SHIFT, 0x3ff)).ok()?,
            counter: u16::try_from(bits(COUNTER_SHIFT, 0x3ff)).ok()?,
        }))
    }
}

/// Classes are fewer than four.
fn class_bits(class: Class) -> u64 {
    u64::from(class.0 & 0b11) << CLASS_SHIFT
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
        let word = origin.to_word();
        self.masked(self.pseudorandom(word, *tag), word, number)
    }

    /// The id of the one store of a token that opens no session.
    pub(crate) fn id_of_alone(
        &self,
        class: Class,
        token: TokenId,
        number: Option<TelephoneNumber>,
    ) -> PlacementId {
        self.masked(self.name_of_token(token), ALONE | class_bits(class), number)
    }

    /// What names a token in such an id.
    pub(crate) fn name_of_token(&self, token: TokenId) -> u64 {
        self.pseudorandom(ALONE, token.0)
    }

    /// Where an item under a number came from, if its id was made here for that number.
    pub(crate) fn maker(&self, id: PlacementId, number: TelephoneNumber) -> Option<Maker> {
        let id = u128::from_le_bytes(*id.as_bytes());
        let (first, second) = (id as u64, (id >> 64) as u64);
        Maker::from_words(second ^ self.mask(first, Some(number)), first)
    }

    #[inline]
    fn pseudorandom(&self, word: u64, bytes: [u8; 16]) -> u64 {
        let bytes = u128::from_le_bytes(bytes);
        prf_words(self.of_store, &[word, bytes as u64, (bytes >> 64) as u64])
    }

    #[inline]
    fn masked(&self, first: u64, word: u64, number: Option<TelephoneNumber>) -> PlacementId {
        let second = word ^ self.mask(first, number);
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
            class: Class((step % 3) as u8),
            slot: u32::from(step) * 30_011,
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
        assert!(readable < 16, "one in 16,384 by chance: {readable}");
        assert!(of_another < 16, "one in 16,384 by chance: {of_another}");
        let token = TokenId([7; 16]);
        let alone = ours.id_of_alone(Class(2), token, Some(number));
        assert_eq!(ours.maker(alone, number), Some(Maker::Token(Class(2), ours.name_of_token(token))));
    }
}
