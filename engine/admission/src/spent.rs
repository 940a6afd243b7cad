//! The tokens of one epoch that were spent: exact, in shards that grow one at a time.
//!
//! A token is first reserved, by whoever has its public-key work done, and then spent or released; so two presentations of
//! one token never both win, and one with a wrong MAC spends nothing. It knows no journal: who spends a token has written
//! it down before.

use core::hash::{BuildHasher, Hasher};
use core::sync::atomic::{AtomicU64, Ordering};
use std::collections::{HashMap, HashSet};

use herald_core::siphash::{SipKey, hash_word};
use parking_lot::Mutex;

use crate::item_id::ItemIds;
use crate::limits::{RESERVED_SHARDS, SPENT_SHARDS};
use crate::wire::{TAG_BYTES, TokenId};

/// What the books say of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It was never presented.
    Fresh,
    /// Its public-key work is under way.
    Reserved,
    /// It was spent on exactly this store, which is so known.
    SpentOnThis(FirstStore),
    /// It was spent.
    Spent,
}

/// How the store that a token was spent on is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FirstStore {
    /// The token opened no session; the store was accepted.
    Alone,
    /// It was not kept, or the record is from the journal after a restart and whether it was is not known: the store may be
    /// tried once more.
    Retry,
}

/// The spent tokens of an epoch. Any thread.
pub(crate) struct SpentTokens {
    /// Locked before `spent`.
    reserved: Box<[Mutex<Ids>]>,
    spent: Box<[Mutex<Ids>]>,
    key: SipKey,
    count: AtomicU64,
    count_max: u64,
    ids: ItemIds,
    /// What those that are here from the journal, or opened no session, were spent on, by their
    /// [`ItemIds::name_of_token`]: no more than were spent.
    first_stores: Box<[Mutex<FirstStores>]>,
}

type FirstStores = HashMap<u64, ([u8; TAG_BYTES], FirstStore), Keyed>;

type Ids = HashSet<TokenId, Keyed>;

impl SpentTokens {
    pub(crate) fn new(count_max: u64, secret: &[u8; 32], ids: ItemIds) -> Self {
        let key = SipKey::from_secret(secret);
        let shards =
            |count: usize| (0..count).map(|_| Mutex::new(HashSet::with_hasher(Keyed(key)))).collect();
        Self {
            reserved: shards(RESERVED_SHARDS),
            spent: shards(SPENT_SHARDS),
            key,
            count: AtomicU64::new(0),
            count_max,
            ids,
            first_stores: (0..SPENT_SHARDS).map(|_| Mutex::new(HashMap::with_hasher(Keyed(key)))).collect(),
        }
    }

    /// What is known of a token that is presented with the store that `first` stands for.
    pub(crate) fn standing(&self, id: TokenId, first: &[u8; TAG_BYTES]) -> Standing {
        let reserved = self.shard(&self.reserved, id).lock();
        if reserved.contains(&id) {
            return Standing::Reserved;
        }
        if !self.shard(&self.spent, id).lock().contains(&id) {
            return Standing::Fresh;
        }
        drop(reserved);
        self.first_store(id, first).map_or(Standing::Spent, Standing::SpentOnThis)
    }

    /// Whether one more may be spent.
    pub(crate) fn has_room(&self) -> bool {
        self.count.load(Ordering::Relaxed) < self.count_max
    }

    /// How many were spent.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Reserves a token that is neither spent nor reserved, or may be tried once more with the store that `first` stands
    /// for.
    pub(crate) fn reserve(&self, id: TokenId, first: &[u8; TAG_BYTES]) -> Result<(), Standing> {
        let mut reserved = self.shard(&self.reserved, id).lock();
        if reserved.contains(&id) {
            return Err(Standing::Reserved);
        }
        let is_spent = self.shard(&self.spent, id).lock().contains(&id);
        if is_spent && self.first_store(id, first) != Some(FirstStore::Retry) {
            return Err(Standing::Spent);
        }
        reserved.insert(id);
        Ok(())
    }

    /// Gives a reservation up.
    pub(crate) fn release(&self, id: TokenId) {
        self.shard(&self.reserved, id).lock().remove(&id);
    }

    /// Spends a token that was reserved, or that the journal names as spent.
    pub(crate) fn spend(&self, id: TokenId) {
        let mut reserved = self.shard(&self.reserved, id).lock();
        if self.shard(&self.spent, id).lock().insert(id) {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
        reserved.remove(&id);
    }

    /// Remembers on which store a token that is spent was spent.
    pub(crate) fn remember(&self, id: TokenId, first: [u8; TAG_BYTES], kind: FirstStore) {
        let name = self.ids.name_of_token(id);
        self.first_stores(name).lock().insert(name, (first, kind));
    }

    /// Lets the store that a token was spent on be tried once more: it was not kept. By [`ItemIds::name_of_token`].
    pub(crate) fn let_retry(&self, name: u64) {
        if let Some((_, kind)) = self.first_stores(name).lock().get_mut(&name) {
            *kind = FirstStore::Retry;
        }
    }

    /// Whether a token was spent on the store that `first` stands for, and how that is known.
    pub(crate) fn first_store(&self, id: TokenId, first: &[u8; TAG_BYTES]) -> Option<FirstStore> {
        let name = self.ids.name_of_token(id);
        let first_stores = self.first_stores(name).lock();
        first_stores.get(&name).filter(|(spent_on, _)| spent_on == first).map(|(_, kind)| *kind)
    }

    fn first_stores(&self, name: u64) -> &Mutex<FirstStores> {
        &self.first_stores[name as usize % SPENT_SHARDS]
    }

    fn shard<'a>(&self, shards: &'a [Mutex<Ids>], id: TokenId) -> &'a Mutex<Ids> {
        // Other bits than those by which a shard sorts its own.
        let hash = hash_word(self.key, first_word(id)) >> 40;
        &shards[hash as usize % shards.len()]
    }
}

fn first_word(id: TokenId) -> u64 {
    u128::from_le_bytes(id.0) as u64
}

/// Hashes ids under a secret key: clients choose them.
#[derive(Clone, Copy)]
struct Keyed(SipKey);

struct KeyedHasher {
    key: SipKey,
    word: u64,
}

impl BuildHasher for Keyed {
    type Hasher = KeyedHasher;

    fn build_hasher(&self) -> KeyedHasher {
        KeyedHasher { key: self.0, word: 0 }
    }
}

impl Hasher for KeyedHasher {
    fn write(&mut self, bytes: &[u8]) {
        // An id comes as its bytes, after their count.
        if let Some(&first) = bytes.first_chunk() {
            self.word ^= u64::from_le_bytes(first);
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.word ^= word;
    }

    fn write_usize(&mut self, _count: usize) {}

    fn finish(&self) -> u64 {
        hash_word(self.key, self.word)
    }
}
