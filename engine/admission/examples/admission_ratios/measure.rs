//! The measurements, for any redemption. Each is the fastest of many short rounds: what disturbs a machine only slows it,
//! and leaves a few milliseconds alone now and then.

use std::cell::Cell;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use herald_admission::{
    Admission, Class, ClassPolicy, Continued, ContinuedStore, Credential, IssuerKey, Judge, Judgement,
    MacKey, Mode, Presented, Redemption, Seal, Settings, StoreInput, Suite, TokenId, TokenInput, Verdict,
};
use herald_core::{Random, TelephoneNumber, Timestamp};
use ring::digest::{SHA256, digest};
use ring::hmac;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const TYPE: u16 = 5;
const BODY_BYTES: usize = 640;
const ROUNDS: usize = 50;
/// Stores of one batch.
const BATCH: usize = 256;
/// Tokens that are open at once, as a gateway keeps them or as many clients have them.
const OPEN_TOKENS: usize = 32;
/// Stores of one round.
const STORES: usize = 4 * 1024;

/// The public-key work of a token.
pub(crate) trait Redeemer {
    /// The secret of a valid token.
    fn redeem(&self, redemption: &Redemption) -> Option<Vec<u8>>;
}

/// What is admitted, and how.
pub(crate) struct Scheme {
    pub(crate) suite: Suite,
    /// Stores of a token.
    pub(crate) stores: u32,
}

/// What came out.
pub(crate) struct Figures {
    pub(crate) per_second: f64,
    /// What the redemption itself took.
    pub(crate) redeem_us: f64,
}

struct Seeded(AtomicU64);

impl Random for Seeded {
    fn fill(&self, out: &mut [u8]) {
        for chunk in out.chunks_mut(32) {
            let count = self.0.fetch_add(1, Ordering::Relaxed);
            chunk.copy_from_slice(&digest(&SHA256, &count.to_le_bytes()).as_ref()[..chunk.len()]);
        }
    }
}

/// What a valid token of the stub is worth.
pub(crate) fn secret_of(input: &TokenInput) -> Vec<u8> {
    digest(&SHA256, &input.0).as_ref().to_vec()
}

/// A service with one class.
fn service(scheme: &Scheme, sessions_max: usize) -> Arc<Admission> {
    let class = ClassPolicy { stores: scheme.stores, stores_per_number: 255, ..ClassPolicy::gateway() };
    let settings = Settings {
        suite: scheme.suite,
        classes: vec![class],
        sessions_max,
        ..Settings::new("cps.example", TYPE, Mode::Withheld.code())
    };
    let admission =
        Admission::new(settings, &Seeded(AtomicU64::new(0))).expect("the settings are within bounds");
    let (public_key, agreement_key) = (Vec::new(), Vec::new());
    let epoch = admission.epoch_at(NOW);
    let key = IssuerKey { epoch, class: Class(0), id: [1; 32], handle: 1, public_key, agreement_key };
    admission.add_key(key, NOW).expect("it is the first");
    Arc::new(admission)
}

/// The holder of one token.
struct Holder {
    input: TokenInput,
    id: TokenId,
    key: MacKey,
}

impl Holder {
    fn new(admission: &Admission, nonce: u64) -> Self {
        let mut input = [0; 98];
        input[..2].copy_from_slice(&TYPE.to_be_bytes());
        input[2..34].copy_from_slice(digest(&SHA256, &nonce.to_be_bytes()).as_ref());
        input[34..66].copy_from_slice(admission.challenge_digest());
        input[66..].fill(1);
        let input = TokenInput(input);
        Self { id: input.id(), key: MacKey::derive(&secret_of(&input), &input), input }
    }

    fn tag(&self, suite: Suite, counter: u32, number: TelephoneNumber, body: &[u8]) -> [u8; 16] {
        let (key_id, token_id, number) = (&[1; 32], self.id, Some(number));
        self.key.tag(suite, &StoreInput { key_id, token_id, counter, number, body })
    }

    fn opening(&self, suite: Suite, number: TelephoneNumber, body: &[u8]) -> Credential {
        let seal = Seal::Mac(Mode::Withheld, self.tag(suite, 0, number, body));
        let (authenticator, proof) = (Vec::new(), Vec::new());
        let presented = Presented { input: self.input, authenticator, proof, counter: 0, seal };
        Credential::Presented(Box::new(presented))
    }

    fn store<'a>(
        &self,
        suite: Suite,
        counter: u32,
        number: TelephoneNumber,
        body: &'a [u8],
    ) -> ContinuedStore<'a> {
        let tag = self.tag(suite, counter, number, body);
        let continued = Continued { token_id: self.id, counter, tag };
        ContinuedStore { continued, number: Some(number), body }
    }
}

fn number_of(index: usize) -> TelephoneNumber {
    format!("1{:010}", index % 10_000_000_000).parse().expect("eleven digits")
}

fn bodies() -> Vec<Vec<u8>> {
    (0..64u8).map(|fill| vec![fill; BODY_BYTES]).collect()
}

/// A MAC of 632 bytes alone, and that of a store with its key made ready, in microseconds.
pub(crate) fn bare_mac_us(suite: Suite) -> (f64, f64) {
    const COUNT: usize = 4_000;
    let admission = service(&Scheme { suite, stores: 1 }, 1);
    let holder = Holder::new(&admission, 0);
    let (number, body) = (number_of(1), vec![7; BODY_BYTES]);
    let with_key = fastest(|| {
        timed(|| {
            (0..COUNT as u32).for_each(|counter| _ = black_box(holder.tag(suite, counter, number, &body)))
        })
    });
    let alone = match suite {
        Suite::HmacSha256 => {
            let key = hmac::Key::new(hmac::HMAC_SHA256, &[1; 32]);
            fastest(|| {
                timed(|| (0..COUNT).for_each(|_| _ = black_box(hmac::sign(&key, black_box(&body[..632])))))
            })
        }
        Suite::Aes128Gmac => {
            let key = ring::aead::UnboundKey::new(&ring::aead::AES_128_GCM, &[1; 16]).expect("16 bytes");
            let key = ring::aead::LessSafeKey::new(key);
            let tag = || {
                let nonce = ring::aead::Nonce::assume_unique_for_key([0; 12]);
                key.seal_in_place_separate_tag(nonce, ring::aead::Aad::from(black_box(&body[..632])), &mut [])
            };
            fastest(|| timed(|| (0..COUNT).for_each(|_| _ = black_box(tag().is_ok()))))
        }
    };
    (alone / COUNT as f64, with_key / COUNT as f64)
}

/// The whole check of a store in batches, each store of another session than those before it, in microseconds.
pub(crate) fn check_us(suite: Suite) -> f64 {
    const SESSIONS: usize = 100_000;
    let scheme = Scheme { suite, stores: 1024 };
    let admission = service(&scheme, SESSIONS);
    let mut judge = Judge::new(admission.clone());
    let bodies = bodies();
    let holders: Vec<_> = (0..SESSIONS as u64).map(|nonce| Holder::new(&admission, nonce)).collect();
    for holder in &holders {
        let opened = open(
            &mut judge,
            holder.opening(suite, number_of(0), &bodies[0]),
            number_of(0),
            &bodies[0],
            &Free,
        );
        assert!(opened.is_some(), "there is room for all");
    }
    let mut counter = 0;
    fastest(|| {
        counter += 1;
        let stores: Vec<_> = (0..STORES)
            .map(|index| {
                // A prime step visits sessions far apart, each once.
                let holder = &holders[index * 7_919 % SESSIONS];
                holder.store(suite, counter, number_of(index), &bodies[index % 64])
            })
            .collect();
        timed(|| judge_all(&mut judge, &stores))
    }) / STORES as f64
}

/// Stores a second on one core, of tokens that are each good for so many and of which [`OPEN_TOKENS`] are open at once.
/// Every token is redeemed, its record taken for durable. Openings and stores are timed by themselves and added up.
pub(crate) fn stores_per_second(scheme: &Scheme, redeemer: &dyn Redeemer) -> Figures {
    let bodies = bodies();
    let admission = service(scheme, ROUNDS * OPEN_TOKENS);
    let mut judge = Judge::new(admission.clone());
    let (mut open_us, mut redeem_us, mut store_us) = (f64::MAX, 0.0, f64::MAX);
    for round in 0..ROUNDS {
        let nonce = |token: usize| (round * OPEN_TOKENS + token) as u64;
        let holders: Vec<_> = (0..OPEN_TOKENS).map(|token| Holder::new(&admission, nonce(token))).collect();
        let (openings, stores) = work(scheme, &holders, &bodies);
        let clocked = Clocked { redeemer, took: Cell::new(Duration::ZERO) };
        let took_us = timed(|| {
            for (index, opening) in openings.into_iter().enumerate() {
                let opened = open(&mut judge, opening, number_of(index), &bodies[index], &clocked);
                assert!(opened.is_some(), "every token is valid");
            }
        });
        if took_us / (OPEN_TOKENS as f64) < open_us {
            open_us = took_us / OPEN_TOKENS as f64;
            redeem_us = clocked.took.get().as_nanos() as f64 / 1e3 / OPEN_TOKENS as f64;
        }
        for part in stores.chunks(STORES) {
            store_us = store_us.min(timed(|| judge_all(&mut judge, part)) / part.len() as f64);
        }
    }
    let others = f64::from(scheme.stores - 1);
    let token_us = open_us + if others > 0.0 { others * store_us } else { 0.0 };
    Figures { per_second: 1e6 * f64::from(scheme.stores) / token_us, redeem_us }
}

/// What the holders of tokens send: each its opening, then their other stores in turn.
fn work<'a>(
    scheme: &Scheme,
    holders: &[Holder],
    bodies: &'a [Vec<u8>],
) -> (Vec<Credential>, Vec<ContinuedStore<'a>>) {
    let opening =
        |(index, holder): (usize, &Holder)| holder.opening(scheme.suite, number_of(index), &bodies[index]);
    let openings = holders.iter().enumerate().map(opening).collect();
    let turn = |counter: u32| {
        holders.iter().enumerate().map(move |(index, holder)| {
            let index = index + counter as usize;
            holder.store(scheme.suite, counter, number_of(index), &bodies[index % 64])
        })
    };
    (openings, (1..scheme.stores).flat_map(turn).collect())
}

/// Redeems at no cost.
struct Free;

impl Redeemer for Free {
    fn redeem(&self, redemption: &Redemption) -> Option<Vec<u8>> {
        Some(secret_of(&redemption.token().input))
    }
}

/// Knows how long another took.
struct Clocked<'a> {
    redeemer: &'a dyn Redeemer,
    took: Cell<Duration>,
}

impl Redeemer for Clocked<'_> {
    fn redeem(&self, redemption: &Redemption) -> Option<Vec<u8>> {
        let begin = Instant::now();
        let secret = self.redeemer.redeem(redemption);
        self.took.set(self.took.get() + begin.elapsed());
        secret
    }
}

/// The whole way of a token.
fn open(
    judge: &mut Judge,
    opening: Credential,
    number: TelephoneNumber,
    body: &[u8],
    redeemer: &dyn Redeemer,
) -> Option<()> {
    let Judgement::Redeem(redemption) = judge.judge(opening, Some(number), body, NOW) else { return None };
    let admission = judge.admission();
    admission.reserve(&redemption, NOW).ok()?;
    let secret = redeemer.redeem(&redemption)?;
    let settled = admission.settle(*redemption, &secret, Some(number), body, NOW).ok()?;
    matches!(admission.commit(settled), Verdict::Accept(_)).then_some(())
}

fn judge_all(judge: &mut Judge, stores: &[ContinuedStore<'_>]) {
    let mut verdicts = Vec::with_capacity(BATCH);
    for batch in stores.chunks(BATCH) {
        verdicts.clear();
        judge.judge_batch(batch, NOW, &mut verdicts);
        assert!(verdicts.iter().all(|verdict| matches!(verdict, Verdict::Accept(_))), "all are genuine");
    }
}

fn timed(work: impl FnOnce()) -> f64 {
    let begin = Instant::now();
    work();
    begin.elapsed().as_nanos() as f64 / 1e3
}

fn fastest(mut round: impl FnMut() -> f64) -> f64 {
    (0..ROUNDS).map(|_| round()).fold(f64::MAX, f64::min)
}
