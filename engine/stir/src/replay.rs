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
/// Any thread may use it; each call takes a lock for a look-up. It holds some 80 bytes for each PASSporT.
pub struct ReplayMemory {
    seen: Mutex<Seen>,
    entries_max: usize,
}

type Key = [u8; 16];

#[derive(Default)]
struct Seen {
    calls: BTreeMap<Key, Sighting>,
    /// In the order in which they came.
    order: VecDeque<Key>,
    /// How many there are of each signer that is counted.
    by_signer: BTreeMap<u64, usize>,
}

struct Sighting {
    call: CallToken,
    expires: Timestamp,
    signer: Option<u64>,
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
        self.note_sighting(signing_input, Sighting { call, expires, signer: None }, usize::MAX, now)
    }

    /// As [`note_signed`](Self::note_signed), for what `signer` signed, of whom `signer_max` are remembered at a time: so
    /// nobody takes the places of all.
    ///
    /// # Errors
    /// As [`note`](Self::note); [`Fault::ReplayMemoryFull`] also if there are as many of this signer.
    pub fn note_of_signer(
        &self,
        signing_input: &str,
        (signer, signer_max): (&[u8], usize),
        call: CallToken,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<(), Fault> {
        let signer = Some(CallToken::of(signer).0);
        self.note_sighting(signing_input, Sighting { call, expires, signer }, signer_max, now)
    }

    fn note_sighting(
        &self,
        signing_input: &str,
        sighting: Sighting,
        signer_max: usize,
        now: Timestamp,
    ) -> Result<(), Fault> {
        let hash = digest(&SHA256, signing_input.as_bytes());
        let key: Key = *hash.as_ref().first_chunk().expect("SHA-256 has 32 bytes");
        // A panic in another thread leaves at worst an entry that is in one of the collections.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.forget(now);
        let of_signer = sighting.signer.and_then(|signer| seen.by_signer.get(&signer)).copied().unwrap_or(0);
        match seen.calls.get(&key) {
            Some(known) if known.call == sighting.call => Ok(()),
            Some(_) => Err(Fault::Replayed),
            None if seen.calls.len() >= self.entries_max || of_signer >= signer_max => {
                Err(Fault::ReplayMemoryFull)
            }
            None => {
                seen.insert(key, sighting);
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
    fn insert(&mut self, key: Key, sighting: Sighting) {
        if let Some(signer) = sighting.signer {
            *self.by_signer.entry(signer).or_insert(0) += 1;
        }
        self.calls.insert(key, sighting);
        self.order.push_back(key);
    }

    fn remove(&mut self, key: &Key) {
        let Some(signer) = self.calls.remove(key).and_then(|sighting| sighting.signer) else { return };
        let Some(count) = self.by_signer.get_mut(&signer) else { return };
        *count -= 1;
        if *count == 0 {
            self.by_signer.remove(&signer);
        }
    }

    /// Drops what has expired from the front. One with a longer life holds up those behind it, which are kept
    /// longer than needed, never shorter.
    fn forget(&mut self, now: Timestamp) {
        while let Some(key) = self.order.front() {
            match self.calls.get(key) {
                Some(sighting) if now <= sighting.expires => return,
                _ => {
                    let key = *key;
                    self.remove(&key);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_signer_takes_its_own_places_and_gets_them_back() {
        let memory = ReplayMemory::new(5);
        let at = Timestamp::from_millis;
        let note = |what: &str, signer: &[u8], now| {
            memory.note_of_signer(what, (signer, 2), CallToken::of(what.as_bytes()), at(now + 10), at(now))
        };
        assert_eq!([note("a", b"one", 0), note("b", b"one", 5)], [Ok(()), Ok(())]);
        assert_eq!(note("c", b"one", 6), Err(Fault::ReplayMemoryFull));
        assert_eq!(note("b", b"one", 6), Ok(()), "the same sighting");
        assert_eq!(note("c", b"two", 6), Ok(()), "another signer has places");
        assert_eq!(note("d", b"one", 11), Ok(()), "the first has run out");
        assert_eq!(note("e", b"one", 11), Err(Fault::ReplayMemoryFull));
        assert_eq!(memory.note_signed("b", CallToken::of(b"x"), at(30), at(12)), Err(Fault::Replayed));
        assert_eq!((memory.len(), note("f", b"one", 90)), (3, Ok(())));
        let seen = memory.seen.lock().expect("no panic");
        assert_eq!((seen.calls.len(), seen.by_signer.len()), (1, 1), "nothing is left of who has gone");
    }
}
