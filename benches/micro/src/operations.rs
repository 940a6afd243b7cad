//! The operations that are counted, each with what must be there before. Numbers, keys, ids, bodies and the clock
//! are the same in every run.

use std::hint::black_box;

use herald_core::limits::{BODY_BUCKETS_BYTES, BODY_BYTES_MAX, RECORDS_PER_NUMBER_MAX};
use herald_core::{
    CoverSchedule, CoverSecret, NewPlacement, PlacementId, PlacementStore, Random, Retention, Service,
    TelephoneNumber, Timestamp, X25519Suite,
};
use herald_log::{LogConfig, LogHandle, PlacementLog};
use herald_stir::{Attestation, CertificateReference, Claims, Leniency, Passport, SigningKey};

/// One operation.
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    /// How often it is done for one count.
    pub(crate) repetitions: u32,
    /// How many placements, numbers or tokens each time; the count is for one of them.
    pub(crate) together: u32,
    /// Prepares, and hands the operation to the loop.
    prepare: fn(Counted),
}

impl Operation {
    const fn new(name: &'static str, repetitions: u32, together: u32, prepare: fn(Counted)) -> Self {
        Self { name, repetitions, together, prepare }
    }

    /// Prepares it and does it as often as it is counted.
    pub(crate) fn run(&self) {
        (self.prepare)(Counted { repetitions: self.repetitions });
    }
}

/// All of them, in the order of the baseline.
pub(crate) const OPERATIONS: [Operation; 14] = [
    Operation::new("log: append, number without placements", 8192, 1, append_to_empty),
    Operation::new("log: append, number with 100 placements", 4096, 1, append_to_busy),
    Operation::new("log: append, memory going round", 16384, 1, append_going_round),
    Operation::new("log: append in batches", 1024, TOGETHER, append_batch),
    Operation::new("log: walk of 1 placement", 8192, 1, walk_one),
    Operation::new("log: walk of 16 placements", 4096, 1, walk_sixteen),
    Operation::new("log: walk of 16 placements of changing sizes", 4096, 1, walk_changing),
    Operation::new("log: walks in batches, 1 placement each", 512, TOGETHER, walk_batch),
    Operation::new("service: store", 4096, 1, service_store),
    Operation::new("service: store in batches", 512, TOGETHER, service_store_batch),
    Operation::new("service: list, 2 placements among cover", 512, 1, service_list),
    Operation::new("service: retrieve, 2 placements among cover", 64, 1, service_retrieve),
    Operation::new("PASSporT: parse", 512, 1, passport_parse),
    Operation::new("PASSporT: sign", 8, 1, passport_sign),
];

/// What the self-test puts in the place of the first operation: an append that looks at its number once more.
pub(crate) const PLANTED: Operation =
    Operation::new("planted: append that walks twice", 8192, 1, append_and_walk);

/// The loop that is counted, for an operation that is prepared.
struct Counted {
    repetitions: u32,
}

impl Counted {
    fn run(self, mut operation: impl FnMut(u32)) {
        counted_loop(self.repetitions, &mut operation);
    }
}

/// By which callgrind finds [`counted_loop`].
pub(crate) const LOOP_NAME: &str = "counted_loop";

#[inline(never)]
fn counted_loop(repetitions: u32, operation: &mut dyn FnMut(u32)) {
    (0..repetitions).for_each(operation);
}

fn append_to_empty(counted: Counted) {
    let mut bed = Bed::new(ARENA_BYTES);
    counted.run(|index| bed.append(index, NOW));
}

fn append_and_walk(counted: Counted) {
    let mut bed = Bed::new(ARENA_BYTES);
    counted.run(|index| {
        bed.walk(index);
        bed.append(index, NOW);
    });
}

fn append_to_busy(counted: Counted) {
    let mut bed = Bed::filled(BUSY_NUMBERS, 100);
    counted.run(|index| bed.append(index % BUSY_NUMBERS, NOW));
}

/// A small arena and a clock that runs with the stores, so that segments expire and are taken back.
fn append_going_round(counted: Counted) {
    let mut bed = Bed::new(ROUND_ARENA_BYTES);
    let at = |index: u32| NOW.plus_millis(u64::from(index) * ROUND_MS);
    (0..NUMBERS).for_each(|index| bed.append(index, at(index)));
    counted.run(|index| bed.append(NUMBERS + index, at(NUMBERS + index)));
}

fn walk_one(counted: Counted) {
    let mut bed = Bed::filled(NUMBERS, 1);
    counted.run(|index| bed.walk(index));
}

fn walk_sixteen(counted: Counted) {
    let mut bed = Bed::filled(BUSY_NUMBERS, 16);
    counted.run(|index| bed.walk(index % BUSY_NUMBERS));
}

/// A walk reaches ahead for as much as the last body had.
fn walk_changing(counted: Counted) {
    let mut bed = Bed::new(ARENA_BYTES);
    for bytes in BODY_BUCKETS_BYTES.into_iter().cycle().take(16) {
        (0..BUSY_NUMBERS).for_each(|index| bed.append_body(index, &BYTES[..bytes], NOW));
    }
    counted.run(|index| bed.walk(index % BUSY_NUMBERS));
}

fn service_store(counted: Counted) {
    let (mut service, mut bed) = (service(), Bed::new(ARENA_BYTES));
    counted.run(|index| {
        let number = bed.number(index);
        black_box(service.store(&mut bed.log, number, BODY, NOW)).expect("there is room");
    });
}

fn append_batch(counted: Counted) {
    let mut bed = Bed::new(ARENA_BYTES);
    let placements: Vec<_> = (0..NUMBERS).map(|index| bed.placement(index, NOW)).collect();
    let mut results = [Ok(()); TOGETHER as usize];
    counted.run(|index| {
        let batch = part(&placements, index);
        bed.log.append_batch(batch, RECORDS_PER_NUMBER_MAX, NOW, &mut results);
        assert_eq!(black_box(&results), &[Ok(()); TOGETHER as usize]);
    });
}

fn walk_batch(counted: Counted) {
    let mut bed = Bed::filled(NUMBERS, 1);
    let numbers = bed.numbers.clone();
    counted.run(|index| {
        bed.log.for_each_live_batch(part(&numbers, index), NOW, &mut |_, item| {
            black_box(item.body);
        });
    });
}

fn service_store_batch(counted: Counted) {
    let (mut service, mut bed) = (service(), Bed::new(ARENA_BYTES));
    let placements: Vec<(_, &[u8])> = bed.numbers.iter().map(|number| (*number, BODY)).collect();
    let mut results = Vec::new();
    counted.run(|index| {
        service.store_batch(&mut bed.log, part(&placements, index), NOW, &mut results);
        assert!(black_box(&results).iter().all(Result::is_ok));
    });
}

/// The `index`th batch of a list, from its beginning again after its end.
fn part<T>(list: &[T], index: u32) -> &[T] {
    let together = TOGETHER as usize;
    &list[index as usize * together % list.len()..][..together]
}

fn service_list(counted: Counted) {
    let (mut service, mut bed) = (service(), Bed::filled(BUSY_NUMBERS, 2));
    counted.run(|index| {
        let number = bed.number(index % BUSY_NUMBERS);
        drop(black_box(service.list(&mut bed.log, number, NOW)));
    });
}

fn service_retrieve(counted: Counted) {
    let (mut service, mut bed) = (service(), Bed::filled(BUSY_NUMBERS, 2));
    counted.run(|index| {
        let number = bed.number(index % BUSY_NUMBERS);
        drop(black_box(service.retrieve(&mut bed.log, number, NOW)));
    });
}

fn passport_parse(counted: Counted) {
    let (claims, certificate, key) = claims();
    let token = claims.sign(&certificate, &key).expect("a verifier would take these claims");
    counted.run(|_| {
        drop(black_box(Passport::parse(token.as_bytes(), &Leniency::STRICT)).expect("it was signed"))
    });
}

fn passport_sign(counted: Counted) {
    let (claims, certificate, key) = claims();
    counted.run(|_| drop(black_box(claims.sign(&certificate, &key))));
}

const NOW: Timestamp = Timestamp::from_millis(1_800_001_812_345);
const RETENTION_MS: u64 = 60_000;
static BYTES: [u8; BODY_BYTES_MAX] = [0x5a; BODY_BYTES_MAX];
static BODY: &[u8] = BYTES.split_at(BODY_BUCKETS_BYTES[0]).0;
/// Placements or numbers of a batch.
const TOGETHER: u32 = 16;
const SEGMENT_BYTES: usize = 64 << 10;
/// Room for everything that one operation stores.
const ARENA_BYTES: usize = 16 << 20;
/// A thousand live placements take two thirds of it.
const ROUND_ARENA_BYTES: usize = 1 << 20;
/// Virtual time from one store to the next where memory goes round.
const ROUND_MS: u64 = RETENTION_MS / 1000;
/// Different numbers there are.
const NUMBERS: u32 = 8192;
/// Those among them that have many placements.
const BUSY_NUMBERS: u32 = 64;
/// Under it no two of the busy numbers share a bucket where the processor computes AES, as in the baseline: each has the
/// placements it was given, and no more to look at.
const HASH_KEY: [u8; 32] = [8; 32];

/// A log and the numbers that placements go to, made before anything is counted.
struct Bed {
    log: LogHandle,
    numbers: Vec<TelephoneNumber>,
}

impl Bed {
    /// Nothing is stored.
    fn new(arena_bytes: usize) -> Self {
        let config =
            LogConfig { arena_bytes, segment_bytes: SEGMENT_BYTES, hash_key: HASH_KEY, handles_max: 1 };
        let log = PlacementLog::create(config).expect("a few MiB of memory");
        let number =
            |index| TelephoneNumber::parse(format!("1222{index:07}").as_bytes()).expect("eleven digits");
        Self { log: log.handle().expect("the only handle"), numbers: (0..NUMBERS).map(number).collect() }
    }

    /// Each of the first `numbers` has `placements` live ones.
    fn filled(numbers: u32, placements: u32) -> Self {
        let mut bed = Self::new(ARENA_BYTES);
        (0..numbers * placements).for_each(|index| bed.append(index % numbers, NOW));
        bed
    }

    fn number(&self, index: u32) -> TelephoneNumber {
        self.numbers[usize::try_from(index % NUMBERS).expect("an index")]
    }

    fn placement(&self, index: u32, now: Timestamp) -> NewPlacement<'static> {
        self.placement_of(index, BODY, now)
    }

    fn placement_of(&self, index: u32, body: &'static [u8], now: Timestamp) -> NewPlacement<'static> {
        NewPlacement {
            number: self.number(index),
            id: PlacementId::from_bytes(u128::from(index).to_le_bytes()),
            expires_at: now.plus_millis(RETENTION_MS),
            body,
        }
    }

    fn append(&mut self, index: u32, now: Timestamp) {
        self.append_body(index, BODY, now);
    }

    fn append_body(&mut self, index: u32, body: &'static [u8], now: Timestamp) {
        let placement = self.placement_of(index, body, now);
        black_box(self.log.append(&placement, RECORDS_PER_NUMBER_MAX, now)).expect("there is room");
    }

    fn walk(&mut self, index: u32) {
        let number = self.number(index);
        self.log.for_each_live(number, NOW, &mut |item| {
            black_box(item.body);
        });
    }
}

fn service() -> Service {
    let retention = Retention::from_millis(RETENTION_MS).expect("the default");
    let cover = CoverSchedule::new(
        CoverSecret::generate(&Repeated, retention, NOW),
        retention,
        Box::new(X25519Suite),
    );
    Service::new(cover, &Repeated)
}

fn claims() -> (Claims, CertificateReference, SigningKey) {
    let party = |text: &str| text.parse::<TelephoneNumber>().expect("a number").into();
    let claims = Claims::shaken(
        party("12155551212"),
        party("12355551212"),
        1_800_001_812,
        Attestation::Full,
        "123e4567-e89b-12d3-a456-426655440000".into(),
    );
    let certificate = CertificateReference::Url("https://certs.example.net/signer.pem".into());
    (claims, certificate, SigningKey::generate(&Repeated))
}

/// The same keys in every run; nothing here is secret.
struct Repeated;

impl Random for Repeated {
    fn fill(&self, out: &mut [u8]) {
        (1..).zip(out).for_each(|(value, byte): (u8, _)| *byte = value);
    }
}
