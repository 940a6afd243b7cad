//! MAC keys made ready for use, of the sessions that a thread has lately seen.
//!
//! Making a key ready costs as much as some stores, so a gateway's tokens must find theirs again however their slots lie:
//! each key has a set of places, not one. It knows no tokens.

use crate::limits::{MAC_KEYS_READY, MAC_KEYS_TOGETHER};
use crate::mac::{MacKey, ReadyKey, Suite};
use crate::session::Place;

/// The keys of one thread. Slots are drawn by a secret hash of token ids, so nobody chooses whose keys share a set.
pub(crate) struct ReadyKeys {
    suite: Suite,
    sets: Box<[Set]>,
}

/// The keys that share some places. One gives way when another comes, each in turn.
#[derive(Default)]
struct Set {
    places: [Option<Place>; MAC_KEYS_TOGETHER],
    next: usize,
    keys: [Option<ReadyKey>; MAC_KEYS_TOGETHER],
}

impl ReadyKeys {
    pub(crate) fn new(suite: Suite) -> Self {
        let sets = (0..MAC_KEYS_READY / MAC_KEYS_TOGETHER).map(|_| Set::default()).collect();
        Self { suite, sets }
    }

    /// The key of a session, made ready if it is not.
    #[inline]
    pub(crate) fn of(&mut self, place: Place, key: &MacKey) -> &ReadyKey {
        let index = place.slot as usize % self.sets.len();
        let Set { places, next, keys } = &mut self.sets[index];
        let found = places.iter().position(|there| *there == Some(place));
        let index = found.unwrap_or_else(|| {
            *next = (*next + 1) % MAC_KEYS_TOGETHER;
            places[*next] = Some(place);
            keys[*next] = None;
            *next
        });
        keys[index].get_or_insert_with(|| ReadyKey::new(self.suite, key))
    }

    pub(crate) fn forget(&mut self) {
        self.sets.fill_with(Set::default);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_session_has_its_own_key_however_many_there_are_and_a_gateway_s_stay_ready() {
        let mut ready = ReadyKeys::new(Suite::HmacSha256);
        let place = |slot: u32| Place { slot, generation: 2 };
        let store = crate::StoreInput {
            key_id: &[1; 32],
            token_id: crate::TokenId([2; 16]),
            counter: 3,
            number: None,
            body: b"sealed",
        };
        let mut tag_of = |place: Place, seed: u32| {
            let key = MacKey::from_words([u64::from(seed); 4]);
            let tag = ready.of(place, &key).tag(&store, &mut Vec::new());
            (tag, tag == key.tag(Suite::HmacSha256, &store))
        };
        for slot in (0..1000).chain(500..1000) {
            assert!(tag_of(place(slot), slot).1, "of slot {slot}");
        }
        // As many as share a set. A key that is ready is not made again: another one for its session would not be seen.
        let apart = u32::try_from(MAC_KEYS_READY / MAC_KEYS_TOGETHER).expect("a few");
        let together = u32::try_from(MAC_KEYS_TOGETHER).expect("a few");
        for slot in (0..together).map(|index| 5_000 * apart + index * apart) {
            assert!(tag_of(place(slot), slot).1);
        }
        for slot in (0..together).map(|index| 5_000 * apart + index * apart) {
            assert!(!tag_of(place(slot), slot + 1).1, "slot {slot} was pushed out");
            assert!(
                tag_of(Place { generation: 4, ..place(slot) }, slot + 2).1,
                "a later session of slot {slot}"
            );
        }
    }
}
