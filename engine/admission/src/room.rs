//! Who finds room under a number.
//!
//! A number has room for so many placements. Of these each class leaves some to the others, and a token may have a few. Both
//! are counted when it matters among what lives there, whose ids say which token and class they are of: no table has to be
//! kept in step with the store, and nothing is counted where few are. It knows no store.

use core::sync::atomic::Ordering;

use herald_core::limits::RECORDS_PER_NUMBER_LEAST;
use herald_core::siphash::{SipKey, prf_words};
use herald_core::{PlacementId, Room, TelephoneNumber, Timestamp};

use crate::admission::Admission;
use crate::item_id::Maker;
use crate::limits::{FULL_ROOMS, FULL_TICK_MS, room_of_class};
use crate::policy::Class;
use crate::sync::AtomicU64;

impl Admission {
    /// How many placements a number may hold before [`room`](Self::room) is to be asked for each: with so many no class can
    /// have taken what is another's.
    pub fn uncontested(&self) -> u32 {
        RECORDS_PER_NUMBER_LEAST - self.left_to_others()
    }

    /// Whether a store that was accepted under this id finds room under its number, which has room for `room` and holds
    /// what `live` gives, if it is asked: its token may have [`crate::ClassPolicy::stores_per_number`] there, and its class
    /// what it need not leave to the others ([`room_of_class`]). Items that were not admitted here, as those from before a
    /// restart, are nobody's. Threads that ask at once may each find the last place.
    ///
    /// O(what lives there); O(1) for a class that was lately found without room there.
    pub fn room(
        &self,
        (id, number): (PlacementId, TelephoneNumber),
        live: &mut dyn FnMut() -> Vec<PlacementId>,
        room: u32,
        now: Timestamp,
    ) -> Room {
        let Some(maker) = self.ids.maker(id, number) else { return Room::Free };
        let class = maker.class();
        if self.full.is_full(number, class, now) {
            return Room::UsedByOthers;
        }
        let (of_class, of_token) = self.count(&live(), number, maker);
        if of_token >= self.policy(class).map_or(0, |policy| policy.stores_per_number) {
            return Room::UsedByToken;
        }
        if of_class >= room.saturating_sub(self.left_to_others()) {
            self.full.note(number, class, now);
            return Room::UsedByOthers;
        }
        Room::Free
    }

    /// How many of `live` are of the class of `maker`, and how many of its token.
    fn count(&self, live: &[PlacementId], number: TelephoneNumber, maker: Maker) -> (u32, u32) {
        let makers = live.iter().filter_map(|id| self.ids.maker(*id, number));
        makers.fold((0, 0), |(of_class, of_token), other| {
            let (is_of_class, is_of_token) = (other.class() == maker.class(), other.is_of_token_of(maker));
            (of_class + u32::from(is_of_class), of_token + u32::from(is_of_token))
        })
    }

    /// What each class leaves to the others under a number.
    fn left_to_others(&self) -> u32 {
        let classes = u32::try_from(self.settings().classes.len()).unwrap_or(1);
        (classes - 1) * room_of_class(classes)
    }
}

/// Numbers under which a class was lately found without room, so that who goes on trying costs no look at what is there.
/// Any thread.
pub(crate) struct FullRooms {
    /// A hash of number and class, above when that was, in ticks.
    places: Box<[AtomicU64]>,
    key: SipKey,
}

const TICK_BITS: u32 = 24;
const TICK_MASK: u64 = (1 << TICK_BITS) - 1;

impl FullRooms {
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        let places = (0..FULL_ROOMS).map(|_| AtomicU64::new(0)).collect();
        Self { places, key: SipKey::from_secret(secret) }
    }

    fn note(&self, number: TelephoneNumber, class: Class, now: Timestamp) {
        let (place, name) = self.place(number, class);
        place.store(name | tick(now), Ordering::Relaxed);
    }

    fn is_full(&self, number: TelephoneNumber, class: Class, now: Timestamp) -> bool {
        let (place, name) = self.place(number, class);
        let noted = place.load(Ordering::Relaxed);
        let passed = tick(now).wrapping_sub(noted) & TICK_MASK;
        noted & !TICK_MASK == name && passed <= 1
    }

    fn place(&self, number: TelephoneNumber, class: Class) -> (&AtomicU64, u64) {
        let hash = prf_words(self.key, &[number.to_bits(), u64::from(class.0)]);
        (&self.places[hash as usize % FULL_ROOMS], hash & !TICK_MASK)
    }
}

fn tick(now: Timestamp) -> u64 {
    (now.as_millis() / FULL_TICK_MS) & TICK_MASK
}
