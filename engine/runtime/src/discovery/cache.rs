//! What sources said of numbers, each for as long as it may be kept, within a bound of entries.

use std::collections::{HashMap, VecDeque};

use herald_core::{Random, TelephoneNumber, Timestamp};
use herald_stir::services::{Discovered, IoFault, Side};

use crate::limits::{
    DISCOVERY_CACHE_ENTRIES_MAX, DISCOVERY_FAILED_MS, DISCOVERY_FRESH_MAX_MS, DISCOVERY_NOTHING_FRESH_MAX_MS,
};

/// One question to one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// Of the source.
    pub(super) index: usize,
    pub(super) number: TelephoneNumber,
    pub(super) side: Side,
}

/// Answers and failures, each until it is over. O(1), on average also where one must make room.
#[derive(Default)]
pub(super) struct Cache {
    entries: HashMap<Key, Entry>,
    /// All keys, in the order in which they are looked at when one must make room.
    ring: VecDeque<Key>,
}

struct Entry {
    says: Result<Discovered, IoFault>,
    until: Timestamp,
    /// From here on it is asked for again when somebody wants it.
    due_at: Timestamp,
    /// Since it was looked at last, to make room.
    was_used: bool,
}

/// What is known.
pub(super) struct Known {
    pub(super) says: Result<Discovered, IoFault>,
    pub(super) is_due: bool,
}

impl Cache {
    pub(super) fn find(&mut self, key: &Key, now: Timestamp) -> Option<Known> {
        let entry = self.entries.get_mut(key).filter(|entry| entry.until > now)?;
        entry.was_used = true;
        let fresh_s = entry.until.millis_since(now) / 1000;
        let kept = |found| Discovered { fresh_s, is_kept: true, ..found };
        Some(Known { says: entry.says.clone().map(kept), is_due: entry.due_at <= now })
    }

    /// Keeps what was said to a question of `asked_at`. An answer goes up to a fifth of its time early, by chance, so
    /// that what came together is not asked for together again; it is due in the last fifth of what it gets, so that no
    /// call waits for one that calls keep asking for. A failure leaves an answer alone that still holds.
    pub(super) fn put(
        &mut self,
        key: Key,
        says: &Result<Discovered, IoFault>,
        asked_at: Timestamp,
        random: &dyn Random,
    ) {
        let (fresh_ms, is_failure) = match says {
            // That there was too much to do says nothing of the number.
            Err(IoFault::Busy) => return,
            Err(_) => (DISCOVERY_FAILED_MS, true),
            Ok(found) => (within_bounds(found, random), false),
        };
        let (until, due_at) = (asked_at.plus_millis(fresh_ms), asked_at.plus_millis(fresh_ms / 5 * 4));
        if let Some(entry) = self.entries.get_mut(&key) {
            if is_failure && entry.says.is_ok() && entry.until > asked_at {
                entry.due_at = until;
            } else {
                *entry = Entry { says: says.clone(), until, due_at, was_used: entry.was_used };
            }
        } else if fresh_ms > 0 {
            self.make_room();
            self.entries.insert(key, Entry { says: says.clone(), until, due_at, was_used: false });
            self.ring.push_back(key);
        }
    }

    /// Drops one entry that was not used since it was looked at last, if there is no room.
    fn make_room(&mut self) {
        while self.entries.len() >= DISCOVERY_CACHE_ENTRIES_MAX {
            let Some(key) = self.ring.pop_front() else { return };
            match self.entries.get_mut(&key) {
                Some(entry) if entry.was_used => {
                    entry.was_used = false;
                    self.ring.push_back(key);
                }
                _ => {
                    self.entries.remove(&key);
                }
            }
        }
    }
}

/// For how long an answer is kept, in milliseconds.
fn within_bounds(found: &Discovered, random: &dyn Random) -> u64 {
    let max_ms =
        if found.services.is_empty() { DISCOVERY_NOTHING_FRESH_MAX_MS } else { DISCOVERY_FRESH_MAX_MS };
    let said_ms = found.fresh_s.saturating_mul(1000).min(max_ms);
    let mut drawn = [0; 4];
    random.fill(&mut drawn);
    let early_ms = (said_ms / 5 * u64::from(u32::from_le_bytes(drawn))) >> 32;
    said_ms - early_ms
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// Draws the same each time.
    struct Drawn(AtomicU32);

    impl Random for Drawn {
        fn fill(&self, out: &mut [u8]) {
            out.copy_from_slice(&self.0.load(Ordering::Relaxed).to_le_bytes()[..out.len()]);
        }
    }

    fn drawn(value: u32) -> Drawn {
        Drawn(AtomicU32::new(value))
    }

    fn key(index: u64) -> Key {
        let number = (12_155_550_000 + index).to_string().parse().unwrap();
        Key { index: 0, number, side: Side::Called }
    }

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    fn found(uri: &str, fresh_s: u64) -> Result<Discovered, IoFault> {
        let services = uri.split_whitespace().map(|uri| uri.parse().unwrap()).collect();
        Ok(Discovered { services, fresh_s, ..Discovered::default() })
    }

    /// Whether it holds and is due at each of `times_ms`.
    fn known(cache: &mut Cache, times_ms: &[u64]) -> Vec<Option<bool>> {
        times_ms.iter().map(|&ms| cache.find(&key(1), at(ms)).map(|known| known.is_due)).collect()
    }

    #[test]
    fn an_answer_goes_up_to_a_fifth_early_and_is_due_in_the_last_fifth_of_what_it_has() {
        for (draw, until_ms) in [(0, 10_000), (1 << 31, 9_000), (u32::MAX, 8_001)] {
            let mut cache = Cache::default();
            cache.put(key(1), &found("https://a", 10), at(0), &drawn(draw));
            let due_ms = until_ms / 5 * 4;
            assert_eq!(
                known(&mut cache, &[0, due_ms - 1, due_ms, until_ms - 1, until_ms]),
                [Some(false), Some(false), Some(true), Some(true), None],
                "drawn {draw}"
            );
        }
    }

    #[test]
    fn times_are_bounded_and_what_may_not_be_kept_is_not() {
        let cases = [
            (found("https://a", 0), 0),
            (found("https://a", u64::MAX), DISCOVERY_FRESH_MAX_MS),
            (found("", u64::MAX), DISCOVERY_NOTHING_FRESH_MAX_MS),
            (Err(IoFault::TimedOut), DISCOVERY_FAILED_MS),
            (Err(IoFault::Busy), 0),
        ];
        for (says, until_ms) in cases {
            let mut cache = Cache::default();
            cache.put(key(1), &says, at(0), &drawn(0));
            let times = [until_ms.saturating_sub(1), until_ms];
            let holds: Vec<bool> = known(&mut cache, &times).iter().map(Option::is_some).collect();
            assert_eq!(holds, [until_ms > 0, false], "{says:?}");
        }
    }

    #[test]
    fn a_renewal_that_fails_leaves_what_holds_and_rests() {
        let mut cache = Cache::default();
        cache.put(key(1), &found("https://a", 100), at(0), &drawn(0));
        cache.put(key(1), &Err(IoFault::TimedOut), at(85_000), &drawn(0));
        let rested_ms = 85_000 + DISCOVERY_FAILED_MS;
        assert_eq!(
            known(&mut cache, &[85_001, rested_ms, 100_000]),
            [Some(false), Some(true), None],
            "it is not asked again at once, and holds no longer than it did"
        );
        cache.put(key(1), &found("", 50), at(90_000), &drawn(0));
        assert!(cache.find(&key(1), at(90_001)).unwrap().says.unwrap().services.is_empty(), "news counts");
    }

    #[test]
    fn what_is_not_used_makes_room() {
        let mut cache = Cache::default();
        let max = DISCOVERY_CACHE_ENTRIES_MAX as u64;
        for index in 0..max {
            cache.put(key(index), &found("https://a", 100), at(0), &drawn(0));
        }
        assert!(cache.find(&key(0), at(1)).is_some());
        for index in max..max + 10 {
            cache.put(key(index), &found("https://a", 100), at(0), &drawn(0));
        }
        let holds = [0, 1, 10, 11, max, max + 9].map(|index| cache.find(&key(index), at(1)).is_some());
        assert_eq!(holds, [true, false, false, true, true, true]);
        assert_eq!((cache.entries.len(), cache.ring.len()), (max as usize, max as usize));
    }
}
