//! A placement: a sealed PASSporT waiting under the called number, and where placements are kept.

use core::fmt;
use core::str::FromStr;

use crate::number::TelephoneNumber;
use crate::time::Timestamp;

/// The name of one item under a number: 128 bits that look random, real or cover alike.
///
/// Written as 32 lowercase hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlacementId([u8; 16]);

impl PlacementId {
    /// The id of these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// As it is written: 32 lowercase hexadecimal digits.
    pub fn to_hex(self) -> [u8; 32] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        core::array::from_fn(|index| {
            let byte = self.0[index / 2];
            DIGITS[usize::from(if index % 2 == 0 { byte >> 4 } else { byte & 15 })]
        })
    }
}

impl fmt::Display for PlacementId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(str::from_utf8(&self.to_hex()).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for PlacementId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PlacementId({self})")
    }
}

impl FromStr for PlacementId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let text = text.as_bytes();
        let nibble = |index: usize| match text.get(index) {
            Some(&digit @ b'0'..=b'9') => Ok(digit - b'0'),
            Some(&digit @ b'a'..=b'f') => Ok(digit - b'a' + 10),
            _ => Err(IdError { position: index }),
        };
        let mut bytes = [0; 16];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = nibble(2 * index)? * 16 + nibble(2 * index + 1)?;
        }
        if text.len() > 32 { Err(IdError { position: 32 }) } else { Ok(Self(bytes)) }
    }
}

/// A text that is not an item id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdError {
    position: usize,
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an item id is 32 lowercase hexadecimal digits; the fault is at position {}", self.position)
    }
}

impl core::error::Error for IdError {}

/// A placement to be kept.
#[derive(Clone, Copy, Debug)]
pub struct NewPlacement<'a> {
    /// The called number.
    pub number: TelephoneNumber,
    /// Its id, random and unique.
    pub id: PlacementId,
    /// From this moment on it is gone. A store may keep it as long as one that was to live longer and came before.
    pub expires_at: Timestamp,
    /// The sealed bytes: 1 to [`limits::BODY_BYTES_MAX`](crate::limits::BODY_BYTES_MAX).
    pub body: &'a [u8],
}

/// A live placement, lent for the length of a visit.
#[derive(Clone, Copy, Debug)]
pub struct PlacementRef<'a> {
    /// Its id.
    pub id: PlacementId,
    /// From this moment on it is gone.
    pub expires_at: Timestamp,
    /// The sealed bytes.
    pub body: &'a [u8],
}

/// Why a store keeps nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The number has as many live placements as the caller allows.
    NumberFull,
    /// The memory for placements is full of live ones.
    StoreFull,
}

/// Where placements are kept. One handle serves one thread at a time.
///
/// All placements of a store live equally long, so they expire in the order they came. Those of another class are in a
/// store of their own beside it.
pub trait PlacementStore {
    /// Where messages are kept, by a store that keeps calls and has them beside it. No other method looks there.
    fn messages(&mut self) -> Option<&mut dyn PlacementStore> {
        None
    }

    /// Keeps a placement; when this returns, every reader sees it.
    ///
    /// At `now`, at most `records_max` placements of one number may be live, this one included. Appends and
    /// walks of the number count the same placements: those with `expires_at > now`.
    ///
    /// # Errors
    /// [`Refusal`]; nothing was kept.
    fn append(
        &mut self,
        placement: &NewPlacement<'_>,
        records_max: u32,
        now: Timestamp,
    ) -> Result<(), Refusal>;

    /// Visits the placements of `number` that are live at `now`, newest first. O(live placements of the number
    /// and of those the store keeps beside it).
    fn for_each_live(
        &mut self,
        number: TelephoneNumber,
        now: Timestamp,
        visit: &mut dyn FnMut(PlacementRef<'_>),
    );

    /// Visits the ids of what [`for_each_live`](Self::for_each_live) visits; faster where bodies are far away.
    fn for_each_live_id(
        &mut self,
        number: TelephoneNumber,
        now: Timestamp,
        visit: &mut dyn FnMut(PlacementId),
    ) {
        self.for_each_live(number, now, &mut |placement| visit(placement.id));
    }

    /// Visits the one with this `id` of what [`for_each_live`](Self::for_each_live) visits, if it is there.
    fn find_live(
        &mut self,
        number: TelephoneNumber,
        id: PlacementId,
        now: Timestamp,
        visit: &mut dyn FnMut(PlacementRef<'_>),
    ) {
        self.for_each_live(number, now, &mut |placement| {
            if placement.id == id {
                visit(placement);
            }
        });
    }

    /// Keeps each of `placements`, or says at its place in `results` why not: as [`append`](Self::append) for one
    /// after the other, and faster where memory is the limit.
    ///
    /// # Panics
    /// If `results` has another length than `placements`.
    fn append_batch(
        &mut self,
        placements: &[NewPlacement<'_>],
        records_max: u32,
        now: Timestamp,
        results: &mut [Result<(), Refusal>],
    ) {
        assert_eq!(placements.len(), results.len(), "a result for each placement");
        for (placement, result) in placements.iter().zip(results) {
            *result = self.append(placement, records_max, now);
        }
    }

    /// Visits what [`for_each_live`](Self::for_each_live) visits, for one number after the other, each placement
    /// with the place of its number in `numbers`; faster where memory is the limit.
    fn for_each_live_batch(
        &mut self,
        numbers: &[TelephoneNumber],
        now: Timestamp,
        visit: &mut dyn FnMut(usize, PlacementRef<'_>),
    ) {
        for (index, number) in numbers.iter().enumerate() {
            self.for_each_live(*number, now, &mut |placement| visit(index, placement));
        }
    }
}
