//! Cover: the dummies that everybody sees (RFC 8816 §6.2).
//!
//! A schedule is a pure function of (secret, number, time). It does not know what is really stored, keeps
//! nothing per number and never depends on traffic. For every number:
//! - one *base* dummy is always live: births at `phase + n · retention`, the phase secret per number;
//! - an *overlay*: in each window of one retention a Poisson-distributed count of arrivals (mean 1), uniform in
//!   the window to the millisecond, each of one to three dummies, since a real call may store several copies.
//!
//! Each dummy lives exactly one retention, as real items do, and its bytes are a function of its birth, so it
//! stays unchanged in lists and by id and is never repeated. Real items are simply added.

mod secret;
mod suite;

use crate::limits::{BODY_BUCKETS_BYTES, COVER_ARRIVALS_PER_WINDOW_MAX, COVER_EPOCHS_CACHED};
use crate::number::TelephoneNumber;
use crate::placement::PlacementId;
use crate::time::{Retention, Timestamp};

pub use secret::CoverSecret;
use secret::{epoch_of_window, window_at};
pub use suite::{SealingSuite, X25519Suite};

/// The cover of all numbers.
pub struct CoverSchedule {
    secret: CoverSecret,
    epoch_keys: [[u8; 32]; COVER_EPOCHS_CACHED],
    retention: Retention,
    suite: Box<dyn SealingSuite>,
}

/// One dummy of a number. It can be told from a real item only with the secret.
#[derive(Clone, Debug)]
pub struct Dummy {
    /// Its id.
    pub id: PlacementId,
    /// When it appeared.
    pub born_at: Timestamp,
    /// From this moment on it is gone.
    pub expires_at: Timestamp,
    /// The length of its body: one of [`BODY_BUCKETS_BYTES`].
    pub body_bytes: usize,
    stream: blake3::OutputReader,
}

impl CoverSchedule {
    /// The schedule that `secret` stands for, in a deployment that seals with `suite`.
    pub fn new(secret: CoverSecret, retention: Retention, suite: Box<dyn SealingSuite>) -> Self {
        let epoch_keys = cached_keys(&secret);
        Self { secret, epoch_keys, retention, suite }
    }

    /// The secret as it is now, to be written down.
    pub const fn secret(&self) -> &CoverSecret {
        &self.secret
    }

    /// How long each dummy lives.
    pub const fn retention(&self) -> Retention {
        self.retention
    }

    /// The key that blurs the bounds of numbers: one for all services of an engine, so that a storer learns no
    /// more by asking several.
    pub(crate) fn blur_key(&self) -> [u8; 32] {
        blake3::derive_key("herald 2026 blur of bounds v1", self.secret.phase_key())
    }

    /// Forgets the keys of epochs that are over at `now`. Returns whether the secret changed. Cheap: call it
    /// with every request.
    pub fn advance(&mut self, now: Timestamp) -> bool {
        let changed = self.secret.advance(self.retention, now);
        if changed {
            self.epoch_keys = cached_keys(&self.secret);
        }
        changed
    }

    /// The dummies of `number` that are live at `now`: at least one. The schedule must have been
    /// [advanced](Self::advance) to a moment not after `now`.
    // rfc8816:6.2-1.
    pub fn live(&self, number: TelephoneNumber, now: Timestamp) -> Vec<Dummy> {
        let mut dummies = Vec::with_capacity(4);
        dummies.push(self.base(number, now));
        let window = window_at(self.retention, now);
        for window in [window.saturating_sub(1), window] {
            self.overlay(number, window, now, &mut dummies);
        }
        dummies
    }

    /// Appends the body of `dummy` to `out`. Costs one public-key operation of the suite.
    pub fn write_body(&self, dummy: &Dummy, out: &mut Vec<u8>) {
        let mut stream = dummy.stream.clone();
        let mut seed = [0; 32];
        stream.fill(&mut seed);
        let start = out.len();
        out.resize(start + dummy.body_bytes, 0);
        let (key, sealed) = out[start..].split_at_mut(self.suite.encapsulated_key_bytes());
        self.suite.encapsulated_key(seed, key);
        stream.fill(sealed);
    }

    /// Spends the time that a dummy body of `body_bytes` costs, so that the time of an answer depends on how many
    /// items it shows and how large they are, not on which of them are real.
    pub fn spend_a_body(&self, id: &PlacementId, body_bytes: usize, scratch: &mut Vec<u8>) {
        let spent = Dummy {
            id: *id,
            born_at: Timestamp::default(),
            expires_at: Timestamp::default(),
            body_bytes: body_bytes.max(self.suite.encapsulated_key_bytes()),
            stream: blake3::Hasher::new_keyed(&self.epoch_keys[0]).update(id.as_bytes()).finalize_xof(),
        };
        scratch.clear();
        self.write_body(&spent, scratch);
        core::hint::black_box(&scratch);
    }

    fn base(&self, number: TelephoneNumber, now: Timestamp) -> Dummy {
        let period = self.retention.as_millis();
        let phase = first_word(&blake3::keyed_hash(self.secret.phase_key(), &number.to_bits().to_le_bytes()));
        let phase = scale(phase, period);
        // A clock within the first retention of 1970 has no earlier generation to be in.
        let generation = now.as_millis().saturating_sub(phase) / period;
        let born_at = Timestamp::from_millis(phase + generation * period);
        let key = self.key_of_window(generation);
        self.dummy(&key, number, Kind::Base, generation, 0, born_at)
    }

    fn overlay(&self, number: TelephoneNumber, window: u64, now: Timestamp, dummies: &mut Vec<Dummy>) {
        let period = self.retention.as_millis();
        let key = self.key_of_window(window);
        let mut plan = draw(&key, number, Kind::Plan, window, 0);
        for arrival in 0..poisson_count(next_word(&mut plan)) {
            let born_at = Timestamp::from_millis(window * period + scale(next_word(&mut plan), period));
            let copies = copies_count(next_word(&mut plan));
            if born_at <= now && now < born_at.plus_millis(period) {
                dummies.extend((0..copies).map(|copy| {
                    self.dummy(&key, number, Kind::Overlay, window, arrival * 4 + copy, born_at)
                }));
            }
        }
    }

    // rfc8816:6.2-2.
    fn dummy(
        &self,
        key: &[u8; 32],
        number: TelephoneNumber,
        kind: Kind,
        window: u64,
        index: u32,
        born_at: Timestamp,
    ) -> Dummy {
        let mut stream = draw(key, number, kind, window, index);
        let mut id = [0; 16];
        stream.fill(&mut id);
        let bucket = usize::try_from(scale(next_word(&mut stream), BODY_BUCKETS_BYTES.len() as u64))
            .expect("a bucket index is small");
        Dummy {
            id: PlacementId::from_bytes(id),
            born_at,
            expires_at: born_at.plus_millis(self.retention.as_millis()),
            body_bytes: BODY_BUCKETS_BYTES[bucket],
            stream,
        }
    }

    fn key_of_window(&self, window: u64) -> [u8; 32] {
        let ahead = epoch_of_window(self.retention, window).saturating_sub(self.secret.epoch());
        match usize::try_from(ahead).ok().and_then(|ahead| self.epoch_keys.get(ahead)) {
            Some(key) => *key,
            None => self.secret.epoch_key(ahead),
        }
    }
}

impl Drop for CoverSchedule {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.epoch_keys);
    }
}

/// What a stream is drawn for: keeps the streams of one key apart.
#[derive(Clone, Copy)]
enum Kind {
    Plan = 0,
    Base = 1,
    Overlay = 2,
}

fn cached_keys(secret: &CoverSecret) -> [[u8; 32]; COVER_EPOCHS_CACHED] {
    core::array::from_fn(|ahead| secret.epoch_key(ahead as u64))
}

fn draw(
    key: &[u8; 32],
    number: TelephoneNumber,
    kind: Kind,
    window: u64,
    index: u32,
) -> blake3::OutputReader {
    let mut input = [0; 21];
    input[0] = kind as u8;
    input[1..9].copy_from_slice(&number.to_bits().to_le_bytes());
    input[9..17].copy_from_slice(&window.to_le_bytes());
    input[17..].copy_from_slice(&index.to_le_bytes());
    blake3::Hasher::new_keyed(key).update(&input).finalize_xof()
}

fn next_word(stream: &mut blake3::OutputReader) -> u64 {
    let mut word = [0; 8];
    stream.fill(&mut word);
    u64::from_le_bytes(word)
}

fn first_word(hash: &blake3::Hash) -> u64 {
    u64::from_le_bytes(core::array::from_fn(|index| hash.as_bytes()[index]))
}

/// Maps a uniform word to 0..`end`, uniformly but for 2^-64 · `end`.
fn scale(word: u64, end: u64) -> u64 {
    ((u128::from(word) * u128::from(end)) >> 64) as u64
}

/// Poisson with mean 1, cut at [`COVER_ARRIVALS_PER_WINDOW_MAX`]: the distribution function in units of 2^-64.
fn poisson_count(word: u64) -> u32 {
    const AT_MOST: [u64; COVER_ARRIVALS_PER_WINDOW_MAX as usize] = [
        6_786_177_901_268_885_274,
        13_572_355_802_537_770_549,
        16_965_444_753_172_213_186,
        18_096_474_403_383_694_065,
        18_379_231_815_936_564_285,
        18_435_783_298_447_138_329,
    ];
    AT_MOST.iter().filter(|&&bound| word >= bound).count() as u32
}

/// How many copies one arrival has: 1 (80 %), 2 (15 %) or 3 (5 %).
fn copies_count(word: u64) -> u32 {
    match scale(word, 100) {
        0..80 => 1,
        80..95 => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_poisson_table_is_the_distribution_with_mean_one() {
        let mut term = (-1.0f64).exp();
        let mut sum = 0.0;
        for count in 0..COVER_ARRIVALS_PER_WINDOW_MAX {
            sum += term;
            term /= f64::from(count + 1);
            let word = (sum * 18_446_744_073_709_551_616.0) as u64;
            assert_eq!(poisson_count(word - (1 << 30)), count);
            assert_eq!(poisson_count(word + (1 << 30)), count + 1);
        }
    }

    #[test]
    fn scaling_reaches_both_ends_and_no_further() {
        assert_eq!(scale(0, 60_000), 0);
        assert_eq!(scale(u64::MAX, 60_000), 59_999);
    }
}
