//! The table of open sessions: fixed memory, looked up without a lock, several at a time.
//!
//! A session is one cache line of atomic words. Who opens or ends sessions holds a lock; who looks up reads the line and
//! then the generation again, and takes nothing if that has changed. Everything about a session that changes while it
//! lives — which counters are used, how often it was reported — is one word together with the generation, so each store is
//! decided by one compare-and-swap, which fails if the slot has meanwhile gone to another session. It knows no MACs.

#[cfg(all(test, loom))]
mod models;
mod word;

use core::array;
use core::hint::black_box;
use core::sync::atomic::Ordering;

use herald_core::TelephoneNumber;
use herald_core::siphash::{SipKey, hash_word};
use parking_lot::Mutex;

use crate::item_id::Origin;
use crate::limits::{BUCKET_SLOTS, NUMBER_WORDS};
use crate::mac::MacKey;
use crate::policy::Class;
use crate::sync::{AtomicU64, exchange, fence, fence_writer, is_charged_to, is_unchanged, publish_order};
use crate::wire::{Mode, TokenId};
pub(crate) use word::Limit;
use word::Word;

/// What is known of an open session.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) place: Place,
    pub(crate) key: MacKey,
    pub(crate) about: About,
}

/// Which session: a slot, and which of those that it has held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) slot: u32,
    pub(crate) generation: u16,
}

impl Place {
    pub(crate) fn origin(self, class: Class, counter: u32) -> Origin {
        // Counters are below the quota, which has ten bits.
        Origin { class, slot: self.slot, generation: self.generation, counter: (counter & 0x3ff) as u16 }
    }
}

impl From<Origin> for Place {
    fn from(origin: Origin) -> Self {
        Self { slot: origin.slot, generation: origin.generation }
    }
}

/// What does not change while a session lives. One word in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct About {
    /// In seconds since the Unix epoch.
    pub(crate) opened_s: u32,
    /// The low bits of the epoch of its key.
    pub(crate) epoch: u16,
    pub(crate) class: Class,
    pub(crate) mode: Mode,
}

impl About {
    fn to_word(self) -> u64 {
        u64::from(self.opened_s)
            | u64::from(self.epoch) << 32
            | u64::from(self.class.0) << 48
            | u64::from(self.mode.code()) << 56
    }

    /// `None` for the word of a slot that never held a session.
    fn from_word(word: u64) -> Option<Self> {
        let [a, b, c, d, epoch_low, epoch_high, class, mode] = word.to_le_bytes();
        Some(Self {
            opened_s: u32::from_le_bytes([a, b, c, d]),
            epoch: u16::from_le_bytes([epoch_low, epoch_high]),
            class: Class(class),
            mode: Mode::from_code(mode)?,
        })
    }
}

/// A session's cache line.
#[repr(align(64))]
#[derive(Default)]
struct Slot {
    /// See [`Word`].
    word: AtomicU64,
    about: AtomicU64,
    id: [AtomicU64; 2],
    key: [AtomicU64; 4],
}

/// The first words of the ids of a bucket's sessions: 0 for a slot that holds none.
#[repr(align(64))]
#[derive(Default)]
struct Heads([AtomicU64; BUCKET_SLOTS]);

/// How often a session has stored under numbers, by two bits for all with the same few bits of hash.
#[repr(align(64))]
#[derive(Default)]
struct Numbers([AtomicU64; NUMBER_WORDS]);

/// The sessions of a service. Any thread.
pub(crate) struct Sessions {
    heads: Box<[Heads]>,
    slots: Box<[Slot]>,
    numbers: Box<[Numbers]>,
    key: SipKey,
    life_s: u32,
    /// Held to open or end sessions, never to look one up.
    writer: Mutex<()>,
}

/// What came of a store's counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It was free and is now used.
    Now,
    /// It was used before, or lies too far behind to know.
    Before,
    /// It is beyond what the token is good for.
    Beyond,
    /// The session has ended.
    Gone,
}

impl Sessions {
    /// Room for `sessions_max` sessions and half as many again, so that two buckets are hardly ever full at once.
    pub(crate) fn new(sessions_max: usize, life_ms: u64, secret: &[u8; 32]) -> Self {
        let buckets = (sessions_max + sessions_max / 2).div_ceil(BUCKET_SLOTS).max(2);
        Self {
            heads: boxed(buckets),
            slots: boxed(buckets * BUCKET_SLOTS),
            numbers: boxed(buckets * BUCKET_SLOTS),
            key: SipKey::from_secret(secret),
            life_s: u32::try_from(life_ms.div_ceil(1000)).unwrap_or(u32::MAX),
            writer: Mutex::new(()),
        }
    }

    /// The open sessions of `ids`, each at its place in `found`. No more than [`crate::limits::JUDGED_TOGETHER`], so that
    /// the memory of all is on its way before the first is looked at.
    pub(crate) fn find<const COUNT: usize>(
        &self,
        ids: &[TokenId],
        now_s: u32,
        found: &mut [Option<Session>; COUNT],
    ) {
        let mut slots = [NOWHERE; COUNT];
        for (slot, id) in slots.iter_mut().zip(ids) {
            *slot = self.slot_of(*id);
        }
        for ((found, slot), id) in found.iter_mut().zip(slots).zip(ids) {
            *found = if slot == NOWHERE { None } else { self.read(slot, *id, now_s) };
        }
    }

    /// Opens a session, so far for nobody: [`publish`](Self::publish) shows it. `None` if there is no room.
    pub(crate) fn prepare(
        &self,
        id: TokenId,
        key: &MacKey,
        about: About,
        is_over: impl Fn(About) -> bool,
    ) -> Option<Place> {
        let _writer = self.writer.lock();
        let index = self.free_slot(id, about.opened_s, is_over)?;
        let slot = &self.slots[index];
        let word = Word::from_bits(slot.word.load(Ordering::Relaxed)).next_closed();
        // With the fence behind it: whoever reads any of what follows finds the generation changed, by its own fence.
        slot.word.swap(word.to_bits(), Ordering::AcqRel);
        fence_writer();
        let (first, second) = id_words(id);
        slot.about.store(about.to_word(), Ordering::Relaxed);
        slot.id[0].store(first, Ordering::Relaxed);
        slot.id[1].store(second, Ordering::Relaxed);
        set_key(slot, key.words());
        self.numbers[index].0.iter().for_each(|number| number.store(0, Ordering::Relaxed));
        self.heads[index / BUCKET_SLOTS].0[index % BUCKET_SLOTS].store(first, Ordering::Relaxed);
        Some(Place { slot: u32::try_from(index).ok()?, generation: word.generation() })
    }

    /// Shows a session that was prepared, with `counter` used; returns its place from now on. `None` if it has been taken
    /// back meanwhile.
    pub(crate) fn publish(&self, place: Place, counter: u32) -> Option<Place> {
        let slot = self.slots.get(place.slot as usize)?;
        let closed = Word::from_bits(slot.word.load(Ordering::Relaxed));
        if closed.generation() != place.generation {
            return None;
        }
        let open = closed.opened(counter);
        // Release: pairs with the Acquire of `read`.
        let exchanged =
            slot.word.compare_exchange(closed.to_bits(), open.to_bits(), publish_order(), Ordering::Relaxed);
        exchanged.ok().map(|_| Place { generation: open.generation(), ..place })
    }

    /// Takes back a session that was prepared and not published.
    pub(crate) fn cancel(&self, place: Place) {
        let _writer = self.writer.lock();
        let Some(slot) = self.slots.get(place.slot as usize) else { return };
        if Word::from_bits(slot.word.load(Ordering::Relaxed)).generation() == place.generation {
            self.clear(place.slot as usize);
        }
    }

    /// Ends every session for which `is_over` says so and wipes its key. Looks at `slots` of the table, a part of
    /// [`slot_count`](Self::slot_count), so that nobody who opens a session waits for the whole.
    pub(crate) fn end(&self, slots: core::ops::Range<usize>, is_over: impl Fn(About) -> bool) {
        let _writer = self.writer.lock();
        for index in slots {
            if self.about(index).is_some_and(&is_over) {
                self.clear(index);
            }
        }
    }

    /// Sessions in the table; one that is over counts until it is taken away. O(slots).
    pub(crate) fn held_count(&self) -> usize {
        let is_held = |head: &&AtomicU64| head.load(Ordering::Relaxed) != 0;
        self.heads.iter().map(|heads| heads.0.iter().filter(is_held).count()).sum()
    }

    pub(crate) fn slot_count(&self) -> usize {
        self.slots.len()
    }

    /// Uses a counter.
    #[inline]
    pub(crate) fn take(&self, place: Place, counter: u32, limit: Limit) -> Taken {
        let Some(slot) = self.slots.get(place.slot as usize) else { return Taken::Gone };
        let mut bits = slot.word.load(Ordering::Relaxed);
        loop {
            let word = Word::from_bits(bits);
            if !is_charged_to(place.generation, word.generation()) {
                return Taken::Gone;
            }
            if counter >= word.stores_left_of(limit) {
                return Taken::Beyond;
            }
            let Some(next) = word.with(counter) else { return Taken::Before };
            match exchange(&slot.word, bits, next.to_bits()) {
                Ok(_) => return Taken::Now,
                Err(changed) => bits = changed,
            }
        }
    }

    /// Gives a counter back whose store came to nothing. False if the session has ended.
    pub(crate) fn give_back(&self, place: Place, counter: u32) -> bool {
        self.change(place, |word| word.without(counter))
    }

    /// Notes a report. False if the session has ended.
    pub(crate) fn report(&self, place: Place) -> bool {
        self.change(place, Word::reported)
    }

    fn change(&self, place: Place, change: impl Fn(Word) -> Word) -> bool {
        let Some(slot) = self.slots.get(place.slot as usize) else { return false };
        let update = |bits| {
            let word = Word::from_bits(bits);
            (word.generation() == place.generation).then(|| change(word).to_bits())
        };
        slot.word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, update).is_ok()
    }

    /// Has the counts of a session fetched from memory, for a look at them soon.
    #[inline]
    pub(crate) fn fetch_numbers(&self, place: Place) {
        black_box(self.numbers[place.slot as usize].0[0].load(Ordering::Relaxed));
    }

    /// Counts a store of a session under a number. Says which it is at least: too high where other numbers of the session
    /// share its count, never too low, and [`COUNT_MAX`] for that and more.
    #[inline]
    pub(crate) fn count_number(&self, place: Place, number: TelephoneNumber) -> u32 {
        let hash = hash_word(self.key, number.to_bits());
        let word = &self.numbers[place.slot as usize].0[(hash >> 32) as usize % NUMBER_WORDS];
        let shift = hash % COUNTS_PER_WORD * COUNT_BITS;
        let count = |bits: u64| bits >> shift & COUNT_MASK;
        let raised = |bits: u64| (count(bits) < COUNT_MASK).then(|| bits + (1 << shift));
        let before = word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, raised);
        before.map_or(COUNT_MAX, |before| (count(before) + 1) as u32)
    }

    /// Where a session of this id is, if there is one. Looks at both buckets without a branch that depends on where.
    #[inline]
    fn slot_of(&self, id: TokenId) -> usize {
        let (first, _) = id_words(id);
        let mut found = NOWHERE;
        for bucket in self.buckets(first) {
            let heads = &self.heads[bucket].0;
            for (index, head) in heads.iter().enumerate() {
                if head.load(Ordering::Relaxed) == first {
                    found = bucket * BUCKET_SLOTS + index;
                }
            }
        }
        found
    }

    #[inline]
    fn buckets(&self, first: u64) -> [usize; 2] {
        let hash = hash_word(self.key, first);
        let count = self.heads.len() as u64;
        let scaled = |hash: u64, count: u64| ((hash * count) >> 32) as usize;
        let (one, other) = (scaled(hash & 0xffff_ffff, count), scaled(hash >> 32, count - 1));
        // Never the same bucket twice.
        [one, other + usize::from(other >= one)]
    }

    #[inline]
    fn read(&self, index: usize, id: TokenId, now_s: u32) -> Option<Session> {
        let slot = &self.slots[index];
        // Acquire: pairs with the Release of `publish`, so what it wrote is read here.
        let before = Word::from_bits(slot.word.load(Ordering::Acquire));
        let ids = [slot.id[0].load(Ordering::Relaxed), slot.id[1].load(Ordering::Relaxed)];
        let about = slot.about.load(Ordering::Relaxed);
        let key = key_of(slot);
        // Acquire: pairs with the fence of `prepare` and `clear`. If anything read above is of a later session, so is this.
        fence(Ordering::Acquire);
        let after = Word::from_bits(slot.word.load(Ordering::Relaxed));
        let generation = before.generation();
        if !before.is_open()
            || !is_unchanged(generation, after.generation())
            || ids != [id_words(id).0, id_words(id).1]
        {
            return None;
        }
        let about = About::from_word(about).filter(|about| !self.is_old(*about, now_s))?;
        let slot = u32::try_from(index).ok()?;
        Some(Session { place: Place { slot, generation }, key: MacKey::from_words(key), about })
    }

    fn is_old(&self, about: About, now_s: u32) -> bool {
        now_s.saturating_sub(about.opened_s) > self.life_s
    }

    fn about(&self, index: usize) -> Option<About> {
        About::from_word(self.slots[index].about.load(Ordering::Relaxed))
    }

    /// A free slot in the emptier of an id's buckets. The writer's lock is held.
    fn free_slot(&self, id: TokenId, now_s: u32, is_over: impl Fn(About) -> bool) -> Option<usize> {
        let is_free = |index: &usize| {
            self.about(*index).is_none_or(|about| self.is_old(about, now_s) || is_over(about))
        };
        let free_of = |bucket: usize| {
            let slots = bucket * BUCKET_SLOTS..(bucket + 1) * BUCKET_SLOTS;
            (slots.clone().filter(is_free).count(), slots)
        };
        let [one, other] = self.buckets(id_words(id).0).map(free_of);
        let (count, mut slots) = if other.0 > one.0 { other } else { one };
        if count == 0 { None } else { slots.find(is_free) }
    }

    /// Ends what a slot holds. The writer's lock is held.
    fn clear(&self, index: usize) {
        let slot = &self.slots[index];
        let word = Word::from_bits(slot.word.load(Ordering::Relaxed)).next_closed();
        slot.word.swap(word.to_bits(), Ordering::AcqRel);
        fence_writer();
        self.heads[index / BUCKET_SLOTS].0[index % BUCKET_SLOTS].store(0, Ordering::Relaxed);
        slot.about.store(0, Ordering::Relaxed);
        slot.id.iter().for_each(|word| word.store(0, Ordering::Relaxed));
        set_key(slot, &[0; 4]);
    }
}

const NOWHERE: usize = usize::MAX;
const COUNT_BITS: u64 = 2;
const COUNTS_PER_WORD: u64 = 64 / COUNT_BITS;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
/// As far as stores under a number are counted.
pub(crate) const COUNT_MAX: u32 = COUNT_MASK as u32;

fn boxed<T: Default>(count: usize) -> Box<[T]> {
    (0..count).map(|_| T::default()).collect()
}

/// The words of an id. The first is never 0, which stands for no session.
#[inline]
fn id_words(id: TokenId) -> (u64, u64) {
    let id = u128::from_le_bytes(id.0);
    ((id as u64).max(1), (id >> 64) as u64)
}

fn key_of(slot: &Slot) -> [u64; 4] {
    array::from_fn(|index| slot.key[index].load(Ordering::Relaxed))
}

fn set_key(slot: &Slot, key: &[u64; 4]) {
    slot.key.iter().zip(key).for_each(|(word, key)| word.store(*key, Ordering::Relaxed));
}
