//! What was fetched and what failed, by kind and URL, within bounds of entries and bytes.

use std::collections::HashMap;

use herald_core::Timestamp;
use herald_net::Bytes;
use herald_stir::services::IoFault;

use super::Key;
use crate::limits::{FETCH_CACHE_BYTES_MAX, FETCH_CACHE_ENTRIES_MAX, FETCH_FAILED_MS};

/// Documents and failures, each until it is over. O(1), but O(entries) when one must make room.
#[derive(Default)]
pub(super) struct Cache {
    entries: HashMap<Key, Entry>,
    bytes: usize,
}

struct Entry {
    held: Held,
    until: Timestamp,
    /// From here on it is fetched again when somebody wants it.
    due_at: Timestamp,
    /// When its host answered, or failed, last.
    asked_at: Timestamp,
    used: Timestamp,
}

enum Held {
    Document(Bytes),
    Failure(IoFault),
}

impl Held {
    fn bytes(&self) -> usize {
        match self {
            Self::Document(body) => body.len(),
            Self::Failure(_) => 0,
        }
    }
}

/// What there is for a URL.
pub(super) enum Found {
    Document { body: Bytes, fresh_ms: u64, is_due: bool },
    Failure(IoFault),
}

impl Cache {
    pub(super) fn find(&mut self, key: &Key, now: Timestamp) -> Option<Found> {
        let entry = self.entries.get_mut(key)?;
        if entry.until <= now {
            self.remove(key);
            return None;
        }
        entry.used = now;
        Some(match &entry.held {
            Held::Document(body) => Found::Document {
                body: body.clone(),
                fresh_ms: entry.until.millis_since(now),
                is_due: entry.due_at <= now,
            },
            Held::Failure(fault) => Found::Failure(fault.clone()),
        })
    }

    /// Keeps a document. It is due again in the last fifth of its time: so one that calls keep asking for is renewed
    /// before it is over, and no call waits for it.
    pub(super) fn put(&mut self, key: Key, body: Bytes, fresh_ms: u64, now: Timestamp) {
        let (until, due_at) = (now.plus_millis(fresh_ms), now.plus_millis(fresh_ms / 5 * 4));
        self.insert(key, Entry { held: Held::Document(body), until, due_at, asked_at: now, used: now }, now);
    }

    /// Remembers a failure, so that calls in a row do not all run into it. A document that could not be renewed stays,
    /// and is not due for as long.
    pub(super) fn put_failure(&mut self, key: Key, fault: IoFault, failed_ms: u64, now: Timestamp) {
        if let Some(entry) = self.entries.get_mut(&key)
            && matches!(entry.held, Held::Document(_))
            && entry.until > now
        {
            (entry.due_at, entry.asked_at) = (now.plus_millis(FETCH_FAILED_MS), now);
            return;
        }
        let until = now.plus_millis(failed_ms);
        let held = Held::Failure(fault);
        self.insert(key, Entry { held, until, due_at: until, asked_at: now, used: now }, now);
    }

    /// Whether its host was asked, or somebody gave it, less than [`FETCH_FAILED_MS`] before `now`.
    pub(super) fn is_news(&self, key: &Key, now: Timestamp) -> bool {
        self.entries.get(key).is_some_and(|entry| now.millis_since(entry.asked_at) < FETCH_FAILED_MS)
    }

    pub(super) fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.bytes -= entry.held.bytes();
        }
    }

    fn insert(&mut self, key: Key, entry: Entry, now: Timestamp) {
        self.remove(&key);
        self.make_room(entry.held.bytes(), now);
        self.bytes += entry.held.bytes();
        self.entries.insert(key, entry);
    }

    /// Drops what is over, then what was used least recently, until one more entry of `bytes` fits.
    fn make_room(&mut self, bytes: usize, now: Timestamp) {
        let fits = |cache: &Self| {
            cache.entries.len() < FETCH_CACHE_ENTRIES_MAX && cache.bytes + bytes <= FETCH_CACHE_BYTES_MAX
        };
        if fits(self) {
            return;
        }
        self.entries.retain(|_, entry| entry.until > now);
        self.bytes = self.entries.values().map(|entry| entry.held.bytes()).sum();
        while !fits(self) {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.used).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { return };
            self.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use herald_stir::services::Fetched;

    use super::*;

    fn key(number: usize) -> Key {
        (Fetched::Certificate, number.to_string().into())
    }

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    fn document(cache: &mut Cache, number: usize, now: Timestamp) -> Option<(u64, bool)> {
        match cache.find(&key(number), now) {
            Some(Found::Document { fresh_ms, is_due, .. }) => Some((fresh_ms, is_due)),
            _ => None,
        }
    }

    #[test]
    fn a_document_is_due_in_the_last_fifth_of_its_time_and_then_gone() {
        let mut cache = Cache::default();
        cache.put(key(1), Bytes::from_static(b"x"), 1000, at(0));
        assert_eq!(document(&mut cache, 1, at(799)), Some((201, false)));
        assert_eq!(
            [0, FETCH_FAILED_MS - 1, FETCH_FAILED_MS].map(|ms| cache.is_news(&key(1), at(ms))),
            [true, true, false]
        );
        assert_eq!(document(&mut cache, 1, at(800)), Some((200, true)));
        cache.put_failure(key(1), IoFault::TimedOut, 50, at(800));
        assert_eq!(document(&mut cache, 1, at(801)), Some((199, false)), "a failed renewal rests");
        assert_eq!(document(&mut cache, 1, at(1000)), None);
        assert_eq!(cache.bytes, 0);
        cache.put_failure(key(1), IoFault::TimedOut, 50, at(1000));
        assert!(matches!(cache.find(&key(1), at(1049)), Some(Found::Failure(IoFault::TimedOut))));
        assert!(cache.find(&key(1), at(1050)).is_none());
    }

    #[test]
    fn the_least_recently_used_makes_room_at_either_bound() {
        let large = Bytes::from(vec![0; FETCH_CACHE_BYTES_MAX / 4]);
        let mut cache = Cache::default();
        for number in 0..4 {
            cache.put(key(number), large.clone(), 1000, at(number as u64));
        }
        assert!(document(&mut cache, 0, at(10)).is_some());
        cache.put(key(4), large, 1000, at(11));
        let left: Vec<bool> = (0..5).map(|number| document(&mut cache, number, at(12)).is_some()).collect();
        assert_eq!(left, [true, false, true, true, true]);
        for number in 0..2 * FETCH_CACHE_ENTRIES_MAX {
            cache.put_failure(key(number + 5), IoFault::Busy, 1000, at(13));
        }
        assert_eq!(cache.entries.len(), FETCH_CACHE_ENTRIES_MAX);
        cache.put(key(1), Bytes::new(), 1000, at(5000));
        assert_eq!((cache.entries.len(), cache.bytes), (1, 0), "what is over goes first");
    }
}
