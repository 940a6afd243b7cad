//! What was verified a short while ago: a PASSporT that comes back for another call is a copy (RFC 8224 §12.1).
//! It does not know calls; whoever asks says which sightings belong to the same one.

use core::fmt;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use herald_core::Timestamp;
use ring::digest::{SHA256, digest};

use crate::error::Fault;
use crate::limits::REPLAY_ENTRIES_MAX;
use crate::passport::Passport;

/// Names one call among those of the last minutes: a hash of the Call-ID, a number of the switch's own. The same
/// PASSporT may come several times under one name (in band and out of band, in a retransmission or a fork), and
/// under no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallToken(u64);

impl CallToken {
    /// The name of a call whose identifier is `identifier`, in SIP the Call-ID. Half of an SHA-256, so nobody
    /// finds two identifiers with one name by chance.
    pub fn of(identifier: &[u8]) -> Self {
        let hash = digest(&SHA256, identifier);
        Self(u64::from_be_bytes(*hash.as_ref().first_chunk().expect("SHA-256 has 32 bytes")))
    }
}

impl From<u64> for CallToken {
    fn from(token: u64) -> Self {
        Self(token)
    }
}

/// PASSporTs seen while they were fresh. The key is a hash of what was signed, never of the signature: whoever
/// has a signature of ECDSA can write a second one beside it.
///
/// Any thread may use it; each call takes a lock for a look-up. It holds some 64 bytes for each PASSporT.
pub struct ReplayMemory {
    seen: Mutex<Seen>,
    entries_max: usize,
}

type Key = [u8; 16];

#[derive(Default)]
struct Seen {
    calls: BTreeMap<Key, (CallToken, Timestamp)>,
    /// In the order in which they came.
    order: VecDeque<Key>,
}

impl ReplayMemory {
    /// A memory of at most `entries_max` PASSporTs, itself at most [`REPLAY_ENTRIES_MAX`]: calls a second times
    /// the seconds a PASSporT is fresh.
    pub fn new(entries_max: usize) -> Self {
        Self { seen: Mutex::default(), entries_max: entries_max.clamp(1, REPLAY_ENTRIES_MAX) }
    }

    /// Notes that `passport` came with `call` and may come again until `expires`. Amortised O(log entries).
    ///
    /// To be asked once the signature is verified, else strangers fill the memory.
    ///
    /// # Errors
    /// [`Fault::Replayed`] if it came with another call before. [`Fault::ReplayMemoryFull`] if the memory is full
    /// of PASSporTs that are still fresh: forgetting one would let it be replayed, so the new one is refused.
    pub fn note(
        &self,
        passport: &Passport,
        call: CallToken,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<(), Fault> {
        self.note_signed(passport.signing_input(), call, expires, now)
    }

    /// As [`note`](Self::note), for something else that was signed.
    ///
    /// # Errors
    /// As [`note`](Self::note).
    pub fn note_signed(
        &self,
        signing_input: &str,
        call: CallToken,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<(), Fault> {
        let hash = digest(&SHA256, signing_input.as_bytes());
        let key: Key = *hash.as_ref().first_chunk().expect("SHA-256 has 32 bytes");
        // A panic in another thread leaves at worst an entry that is in one of the two collections.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.forget(now);
        match seen.calls.get(&key) {
            Some((known, _)) if *known == call => Ok(()),
            Some(_) => Err(Fault::Replayed),
            None if seen.calls.len() >= self.entries_max => Err(Fault::ReplayMemoryFull),
            None => {
                seen.calls.insert(key, (call, expires));
                seen.order.push_back(key);
                Ok(())
            }
        }
    }

    /// How many PASSporTs it remembers.
    pub fn len(&self) -> usize {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).calls.len()
    }

    /// Whether it remembers none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Seen {
    /// Drops what has expired from the front. One with a longer life holds up those behind it, which are kept
    /// longer than needed, never shorter.
    fn forget(&mut self, now: Timestamp) {
        while let Some(key) = self.order.front() {
            match self.calls.get(key) {
                Some((_, expires)) if now <= *expires => return,
                _ => {
                    let key = *key;
                    self.calls.remove(&key);
                    self.order.pop_front();
                }
            }
        }
    }
}

impl Default for ReplayMemory {
    fn default() -> Self {
        Self::new(REPLAY_ENTRIES_MAX)
    }
}

impl fmt::Debug for ReplayMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReplayMemory({} of {})", self.len(), self.entries_max)
    }
}
