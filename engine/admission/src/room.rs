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
use crate::limits::{CLASSES_MAX, FULL_ROOMS, FULL_TICK_MS, room_of_class};
use crate::policy::Class;
use crate::sync::AtomicU64;

impl Admission {
    /// How many placements a number may hold before [`room`](Self::room) is to be asked for each: with so many no class can
    /// have taken what is another's.
    pub fn uncontested(&self) -> u32 {
        RECORDS_PER_NUMBER_LEAST - self.left_to_others()
    }

    /// Whether a store that was accepted under this id finds room under its number, which has room for `room` now and holds
    /// what `live` gives: its token may have [`crate::ClassPolicy::stores_per_number`] there. A class always finds what the
    /// others leave it ([`room_of_class`]), [`Room::Left`]; beyond it there is room while what lives there and what is left
    /// to classes that have less are together below `room`. So that holds also when the room is less than before. Items that
    /// were not admitted here, as those from before a restart, are nobody's and only take room. Threads that ask at once may
    /// each find the last place.
    ///
    /// O(what lives there); O(1) for a class that was lately found without room there, whatever its token has.
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
        let used = self.count(&live(), number, maker);
        let share = self.share();
        if used.of_token >= self.policy(class).map_or(0, |policy| policy.stores_per_number) {
            return Room::UsedByToken;
        }
        if used.of_classes.get(usize::from(class.0)).is_some_and(|of_class| *of_class < share) {
            return Room::Left;
        }
        let classes = used.of_classes.iter().take(self.settings().classes.len());
        if used.of_nobody + classes.map(|of_class| share.max(*of_class)).sum::<u32>() < room {
            return Room::Free;
        }
        self.full.note(number, class, now);
        Room::UsedByOthers
    }

    /// Whose `live` are: which of them are of the token of `maker`.
    fn count(&self, live: &[PlacementId], number: TelephoneNumber, maker: Maker) -> Used {
        let mut used = Used { of_classes: [0; CLASSES_MAX], of_nobody: 0, of_token: 0 };
        for id in live {
            let other = self.ids.maker(*id, number).filter(|other| self.policy(other.class()).is_some());
            let class = other.and_then(|other| used.of_classes.get_mut(usize::from(other.class().0)));
            *class.unwrap_or(&mut used.of_nobody) += 1;
            used.of_token += u32::from(other.is_some_and(|other| other.is_of_token_of(maker)));
        }
        used
    }

    /// What the others leave to each class under a number: nothing if there is one.
    fn share(&self) -> u32 {
        match u32::try_from(self.settings().classes.len()) {
            Ok(classes @ 2..) => room_of_class(classes),
            _ => 0,
        }
    }

    /// What each class leaves to the others under a number.
    fn left_to_others(&self) -> u32 {
        let classes = u32::try_from(self.settings().classes.len()).unwrap_or(1);
        (classes - 1) * self.share()
    }
}

/// Whose placements live under a number.
struct Used {
    of_classes: [u32; CLASSES_MAX],
    of_nobody: u32,
    of_token: u32,
}

/// Numbers under which a class of tokens was lately found without room, so that who goes on trying costs no look at what is
/// there. What is stored with a token is a call: the service refuses messages that come through a gate, so a number has
/// one room here. Any thread.
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
