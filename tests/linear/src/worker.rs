//! One thread's calls on a store, recorded.

use herald_core::{NewPlacement, PlacementId, PlacementStore, Refusal, TelephoneNumber, Timestamp};

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
            let number = self.number_first + self.random.number(self.scale.numbers);
            let now_ms = self.recorder.now_ms();
            if self.random.once_in(8) {
                // Comes back with a time that others have seen pass.
                (self.scale.pause)();
            }
            if self.random.below(100) < 55 { self.append(number, now_ms) } else { self.walk(number, now_ms) }
        }
    }

    /// What has been recorded.
    pub fn into_events(self) -> Vec<Event> {
        self.events
    }

    fn append(&mut self, number: u64, now_ms: u64) {
        let name = self.name_next;
        self.name_next += 1;
        let records_max = if self.random.once_in(3) {
            u32::try_from(1 + self.random.below(self.scale.records_max)).expect("small")
        } else {
            NO_BOUND
        };
        let body = body(name, self.scale.body_bytes_max);
        let expires_ms = now_ms + self.scale.retention_ms;
        self.recorder.note_expiry(expires_ms);
        let (id, expires_at) = (to_id(name), at(expires_ms));
        let placement = NewPlacement { number: to_number(number), id, expires_at, body: &body };
        let invoked = self.recorder.stamp();
        let result = self.store.append(&placement, records_max, at(now_ms));
        let responded = self.recorder.stamp();
        let outcome = match result {
            Ok(()) => Outcome::Kept,
            Err(Refusal::NumberFull) => Outcome::NumberFull,
            // Always allowed, and nothing was kept.
            Err(Refusal::StoreFull) => return,
        };
        let expiry = Expiry { min: expires_ms, max: self.recorder.expiry_max() };
        let span = Span { from: now_ms, until: self.recorder.now_ms() };
        let records_max = usize::try_from(records_max).expect("usize has 64 bits");
        let operation = Operation::Append { name, expiry, records_max, span, outcome };
        self.events.push(Event { number, invoked, responded, operation });
    }

    fn walk(&mut self, number: u64, now_ms: u64) {
        let mut seen = Vec::new();
        let invoked = self.recorder.stamp();
        self.store.for_each_live(to_number(number), at(now_ms), &mut |item| {
            let name = u64::from_le_bytes(*item.id.as_bytes().first_chunk().expect("16 bytes"));
            let body = body(name, self.scale.body_bytes_max);
            assert_eq!(item.body, body, "the body of another placement");
            if self.random.once_in(8) {
                (self.scale.pause)();
                assert_eq!(item.body, body, "overwritten while it was shown");
            }
            seen.push(Seen { name, expires_at: item.expires_at.as_millis() });
        });
        let responded = self.recorder.stamp();
        let span = Span { from: now_ms, until: self.recorder.now_ms() };
        let operation = Operation::Read { span, seen, order: Order::NewestFirst };
        self.events.push(Event { number, invoked, responded, operation });
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
