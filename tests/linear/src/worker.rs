//! One thread's calls on a store, recorded.

use herald_core::{
    NewPlacement, PlacementId, PlacementRef, PlacementStore, Refusal, TelephoneNumber, Timestamp,
};

use crate::history::{Event, Recorder};
use crate::model::{Expiry, Operation, Order, Outcome, Seen, Span};
use crate::random::Random;

/// The measures of what workers do.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Numbers that are called: few, so that calls meet on one.
    pub numbers: u64,
    /// How long placements live.
    pub retention_ms: u64,
    /// The clock moves on by less than this with each call.
    pub step_ms_end: u64,
    /// Bodies have 8 to this many bytes.
    pub body_bytes_max: u64,
    /// One append in three may find at most so many live placements, or fewer.
    pub records_max: u64,
    /// A batch has at most so many placements or numbers.
    pub batch_max: u64,
    /// Lets other threads go on; called now and then between clock and call, and while a placement is shown.
    pub pause: fn(),
}

/// Calls of one thread.
#[derive(Debug)]
pub struct Worker<'a, S> {
    recorder: &'a Recorder,
    store: &'a mut S,
    scale: Scale,
    random: Random,
    /// The first of the numbers.
    number_first: u64,
    name_next: u64,
    events: Vec<Event>,
}

/// A bound that is never reached.
const NO_BOUND: u32 = 10_000;

impl<'a, S: PlacementStore> Worker<'a, S> {
    /// A worker that calls numbers from `number_first` on and names what it appends from `name_first` on; no other
    /// worker of the run may use these names.
    pub const fn new(
        recorder: &'a Recorder,
        store: &'a mut S,
        scale: Scale,
        random: Random,
        number_first: u64,
        name_first: u64,
    ) -> Self {
        Self { recorder, store, scale, random, number_first, name_next: name_first, events: Vec::new() }
    }

    /// Makes so many calls, appends and walks mixed.
    ///
    /// # Panics
    /// If a walk shows bytes that are not the placement's.
    pub fn work(&mut self, calls: u64) {
        for _ in 0..calls {
            self.recorder.advance(self.random.below(self.scale.step_ms_end));
            let number = self.any_number();
            let now_ms = self.recorder.now_ms();
            if self.random.once_in(8) {
                // Comes back with a time that others have seen pass.
                (self.scale.pause)();
            }
            match self.random.below(100) {
                0..45 => self.append(number, now_ms),
                45..55 => self.append_batch(now_ms),
                55..90 => self.walk(number, now_ms),
                _ => self.walk_batch(now_ms),
            }
        }
    }

    /// What has been recorded.
    pub fn into_events(self) -> Vec<Event> {
        self.events
    }

    /// Appends one placement, at most with the bound of numbers that the scale allows.
    pub fn append(&mut self, number: u64, now_ms: u64) {
        let new = self.new_placement(number, now_ms);
        let records_max = self.records_max();
        let invoked = self.recorder.stamp();
        let result = self.store.append(&new.placement(), records_max, at(now_ms));
        let responded = self.recorder.stamp();
        self.note_append(&new, None, records_max, now_ms, result, (invoked, responded));
    }

    fn append_batch(&mut self, now_ms: u64) {
        let count = 1 + self.random.below(self.scale.batch_max);
        let news: Vec<New> = (0..count)
            .map(|_| {
                let number = self.any_number();
                self.new_placement(number, now_ms)
            })
            .collect();
        let placements: Vec<NewPlacement<'_>> = news.iter().map(New::placement).collect();
        let mut results = vec![Ok(()); news.len()];
        let records_max = self.records_max();
        let invoked = self.recorder.stamp();
        self.store.append_batch(&placements, records_max, at(now_ms), &mut results);
        let responded = self.recorder.stamp();
        for (index, (new, &result)) in news.iter().zip(&results).enumerate() {
            let mut earlier = news[..index].iter().zip(&results).rev();
            let after = earlier.find(|(before, result)| before.number == new.number && result.is_ok());
            let after = after.map(|(before, _)| before.name);
            self.note_append(new, after, records_max, now_ms, result, (invoked, responded));
        }
    }

    /// Walks.
    ///
    /// # Panics
    /// If bytes are shown that are not the placement's.
    pub fn walk(&mut self, number: u64, now_ms: u64) {
        let mut seen = Vec::new();
        let invoked = self.recorder.stamp();
        self.store.for_each_live(to_number(number), at(now_ms), &mut |item| {
            seen.push(self.scale.look_at(&item, &mut self.random));
        });
        let responded = self.recorder.stamp();
        self.note_walk(number, seen, now_ms, (invoked, responded));
    }

    fn walk_batch(&mut self, now_ms: u64) {
        let count = 1 + self.random.below(self.scale.batch_max);
        let asked: Vec<u64> = (0..count).map(|_| self.any_number()).collect();
        let numbers: Vec<TelephoneNumber> = asked.iter().map(|&number| to_number(number)).collect();
        let mut seen = vec![Vec::new(); asked.len()];
        let invoked = self.recorder.stamp();
        self.store.for_each_live_batch(&numbers, at(now_ms), &mut |index, item| {
            seen[index].push(self.scale.look_at(&item, &mut self.random));
        });
        let responded = self.recorder.stamp();
        for (number, seen) in asked.into_iter().zip(seen) {
            self.note_walk(number, seen, now_ms, (invoked, responded));
        }
    }

    fn any_number(&mut self) -> u64 {
        self.number_first + self.random.number(self.scale.numbers)
    }

    fn records_max(&mut self) -> u32 {
        let bound = 1 + self.random.below(self.scale.records_max);
        if self.random.once_in(3) { u32::try_from(bound).expect("small") } else { NO_BOUND }
    }

    fn new_placement(&mut self, number: u64, now_ms: u64) -> New {
        let name = self.name_next;
        self.name_next += 1;
        let expires_ms = now_ms + self.scale.retention_ms;
        self.recorder.note_expiry(expires_ms);
        New { name, number, expires_ms, body: body(name, self.scale.body_bytes_max) }
    }

    fn note_append(
        &mut self,
        new: &New,
        after: Option<u64>,
        records_max: u32,
        now_ms: u64,
        result: Result<(), Refusal>,
        (invoked, responded): (u64, u64),
    ) {
        let outcome = match result {
            Ok(()) => Outcome::Kept,
            Err(Refusal::NumberFull) => Outcome::NumberFull,
            // Always allowed, and nothing was kept.
            Err(Refusal::StoreFull) => return,
        };
        let &New { name, number, expires_ms, .. } = new;
        let expiry = Expiry { min: expires_ms, max: self.recorder.expiry_max() };
        let span = Span { from: now_ms, until: self.recorder.now_ms() };
        let records_max = usize::try_from(records_max).expect("usize has 64 bits");
        let operation = Operation::Append { name, expiry, after, records_max, span, outcome };
        self.events.push(Event { number, invoked, responded, operation });
    }

    fn note_walk(&mut self, number: u64, seen: Vec<Seen>, now_ms: u64, (invoked, responded): (u64, u64)) {
        let span = Span { from: now_ms, until: self.recorder.now_ms() };
        let operation = Operation::Read { span, seen, order: Order::NewestFirst };
        self.events.push(Event { number, invoked, responded, operation });
    }
}

/// A placement about to be appended.
struct New {
    name: u64,
    number: u64,
    expires_ms: u64,
    body: Vec<u8>,
}

impl New {
    fn placement(&self) -> NewPlacement<'_> {
        let (number, id) = (to_number(self.number), to_id(self.name));
        NewPlacement { number, id, expires_at: at(self.expires_ms), body: &self.body }
    }
}

impl Scale {
    fn look_at(&self, item: &PlacementRef<'_>, random: &mut Random) -> Seen {
        let name = u64::from_le_bytes(*item.id.as_bytes().first_chunk().expect("16 bytes"));
        let body = body(name, self.body_bytes_max);
        assert_eq!(item.body, body, "the body of another placement");
        if random.once_in(8) {
            (self.pause)();
            assert_eq!(item.body, body, "overwritten while it was shown");
        }
        Seen { name, expires_at: item.expires_at.as_millis() }
    }
}

/// The bytes that only this placement has, from 8 to `bytes_max` of them.
fn body(name: u64, bytes_max: u64) -> Vec<u8> {
    let mut random = Random(name);
    let length = usize::try_from(8 + random.below(bytes_max - 7)).expect("a body fits into memory");
    let mut bytes = name.to_le_bytes().to_vec();
    while bytes.len() < length {
        bytes.extend_from_slice(&random.next_word().to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

fn to_id(name: u64) -> PlacementId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&name.to_le_bytes());
    PlacementId::from_bytes(bytes)
}

fn to_number(number: u64) -> TelephoneNumber {
    TelephoneNumber::parse(format!("1222{number:09}").as_bytes()).expect("thirteen digits")
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}
