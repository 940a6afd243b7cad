//! The cover schedule as a random process: what its statistics, its bodies and its forgetting promise.
//!
//! Seeds are fixed, so a bound is either met or not; each check is also shown to refuse a process that is wrong.

mod common;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use common::{PlainSuite, Rng, START, number, schedule};
use curve25519_dalek::montgomery::MontgomeryPoint;
use herald_core::limits::{
    BODY_BUCKETS_BYTES, COVER_EPOCH_WINDOWS, COVER_EPOCHS_BEHIND_MAX, RETENTION_DEFAULT_MS,
};
use herald_core::{
    CoverSchedule, CoverSecret, Dummy, PlacementId, Retention, TelephoneNumber, Timestamp, X25519Suite,
};

const SECRET: u64 = 75;
const WINDOWS: u64 = 10;
const NUMBERS: u64 = 2_000;

fn numbers(count: u64) -> impl Iterator<Item = TelephoneNumber> {
    (0..count).map(|index| number(&(12_225_550_000 + index).to_string()))
}

/// The last moment of the `index`-th whole window after [`START`]: what is live then was born in that window.
fn end_of_window(index: u64) -> Timestamp {
    let window = START.as_millis() / RETENTION_DEFAULT_MS + 1 + index;
    Timestamp::from_millis((window + 1) * RETENTION_DEFAULT_MS - 1)
}

fn facts(dummy: &Dummy) -> (PlacementId, Timestamp, Timestamp, usize) {
    (dummy.id, dummy.born_at, dummy.expires_at, dummy.body_bytes)
}

fn body(schedule: &CoverSchedule, dummy: &Dummy) -> Vec<u8> {
    let mut body = Vec::new();
    schedule.write_body(dummy, &mut body);
    body
}

/// Everything a schedule says about a number at a moment.
fn all(
    schedule: &CoverSchedule,
    number: TelephoneNumber,
    now: Timestamp,
) -> Vec<(PlacementId, Timestamp, Vec<u8>)> {
    let live = schedule.live(number, now);
    live.iter().map(|dummy| (dummy.id, dummy.expires_at, body(schedule, dummy))).collect()
}

/// Pearson's statistic of counts against expected shares.
fn chi_square(counts: &[u64], shares: &[f64]) -> f64 {
    assert_eq!(counts.len(), shares.len());
    let total = counts.iter().sum::<u64>() as f64;
    counts
        .iter()
        .zip(shares)
        .map(|(&count, share)| (count as f64 - total * share).powi(2) / (total * share))
        .sum()
}

/// Whether the counts are what the shares lead to expect. The bound is crossed by chance once in 30,000 seeds:
/// the mean of the statistic and four of its standard deviations, and a little for the tail of few bins.
fn fits(counts: &[u64], shares: &[f64]) -> bool {
    let freedom = (counts.len() - 1) as f64;
    chi_square(counts, shares) < freedom + 4.0 * (2.0 * freedom).sqrt() + 8.0
}

fn is_uniform(values: impl Iterator<Item = u64>, end: u64, bins: u64) -> bool {
    let mut counts = vec![0; usize::try_from(bins).expect("few bins")];
    for value in values {
        counts[usize::try_from(value * bins / end).expect("a bin")] += 1;
    }
    fits(&counts, &vec![1.0 / bins as f64; counts.len()])
}

/// The arrivals of many numbers in whole windows, base and overlay told apart as a patient poller tells them.
#[derive(Default)]
struct Observed {
    /// Moment in the retention at which the base dummy of each number is born.
    phases: Vec<u64>,
    /// Overlay arrivals of each number and window.
    counts: Vec<u64>,
    /// Where in its window each overlay arrival lies, in milliseconds.
    offsets: Vec<u64>,
    /// How many dummies each overlay arrival brought.
    copies: Vec<u64>,
    bodies_bytes: Vec<usize>,
}

fn observe() -> Observed {
    let mut schedule = schedule(SECRET, Box::new(PlainSuite), START);
    let mut births: BTreeMap<TelephoneNumber, Vec<BTreeMap<u64, u64>>> = BTreeMap::new();
    let mut observed = Observed::default();
    for window in 0..WINDOWS {
        let now = end_of_window(window);
        schedule.advance(now);
        for number in numbers(NUMBERS) {
            let mut offsets = BTreeMap::new();
            for dummy in schedule.live(number, now) {
                *offsets.entry(dummy.born_at.as_millis() % RETENTION_DEFAULT_MS).or_default() += 1;
                observed.bodies_bytes.push(dummy.body_bytes);
            }
            births.entry(number).or_default().push(offsets);
        }
    }
    for windows in births.values() {
        let mut everywhere: Vec<u64> = windows[0].keys().copied().collect();
        everywhere.retain(|offset| windows.iter().all(|births| births.contains_key(offset)));
        assert_eq!(everywhere.len(), 1, "one base dummy in each window, always at the number's own phase");
        observed.phases.extend(&everywhere);
        for births in windows {
            let overlay = births.iter().filter(|(offset, _)| **offset != everywhere[0]);
            observed.offsets.extend(overlay.clone().map(|(offset, _)| *offset));
            observed.copies.extend(overlay.clone().map(|(_, copies)| *copies));
            observed.counts.push(u64::try_from(overlay.count()).expect("few"));
        }
    }
    observed
}

/// Counts of 0, 1, … 4 and more, against Poisson with mean one.
fn is_poisson(counts: &[u64]) -> bool {
    let mut bins = [0; 5];
    counts.iter().for_each(|&count| bins[usize::try_from(count.min(4)).expect("a bin")] += 1);
    let none = (-1.0f64).exp();
    let shares = [none, none, none / 2.0, none / 6.0];
    fits(&bins, &[shares[0], shares[1], shares[2], shares[3], 1.0 - shares.iter().sum::<f64>()])
}

#[test]
fn one_base_dummy_is_always_live_and_its_phase_is_any() {
    let observed = observe();
    assert_eq!(observed.phases.len(), usize::try_from(NUMBERS).expect("few"));
    assert!(is_uniform(observed.phases.into_iter(), RETENTION_DEFAULT_MS, 60));
}

#[test]
fn exactly_one_live_dummy_has_the_phase_at_every_moment() {
    let mut schedule = schedule(SECRET, Box::new(PlainSuite), START);
    let mut rng = Rng::new(5);
    let called = number("12225552222");
    let phase_of = |dummy: &Dummy| dummy.born_at.as_millis() % RETENTION_DEFAULT_MS;
    let mut phases: BTreeSet<_> = schedule.live(called, START).iter().map(phase_of).collect();
    for retentions in 1..10 {
        let live = schedule.live(called, START.plus_millis(retentions * RETENTION_DEFAULT_MS));
        phases.retain(|phase| live.iter().any(|dummy| phase_of(dummy) == *phase));
    }
    let phase = phases.pop_first().expect("the base is always live");
    assert!(phases.is_empty(), "only the base keeps its phase");
    let mut now = START;
    for _ in 0..2_000 {
        now = now.plus_millis(rng.below(RETENTION_DEFAULT_MS / 2));
        schedule.advance(now);
        let live = schedule.live(called, now);
        assert_eq!(live.iter().filter(|dummy| phase_of(dummy) == phase).count(), 1);
        for dummy in &live {
            assert!(dummy.born_at <= now && now < dummy.expires_at);
            assert_eq!(dummy.expires_at.millis_since(dummy.born_at), RETENTION_DEFAULT_MS);
        }
    }
}

#[test]
fn a_dummy_is_shown_from_its_first_to_its_last_millisecond_and_no_longer() {
    let schedule = schedule(SECRET, Box::new(PlainSuite), START);
    for number in numbers(200) {
        for dummy in schedule.live(number, START) {
            let (born_ms, expires_ms) = (dummy.born_at.as_millis(), dummy.expires_at.as_millis());
            for (at_ms, live) in
                [(born_ms - 1, false), (born_ms, true), (expires_ms - 1, true), (expires_ms, false)]
            {
                let shown = schedule.live(number, Timestamp::from_millis(at_ms));
                assert_eq!(shown.iter().any(|other| facts(other) == facts(&dummy)), live);
            }
        }
    }
}

#[test]
fn overlay_arrivals_are_poisson_with_mean_one_and_uniform_to_the_millisecond() {
    let observed = observe();
    let mean = observed.offsets.len() as f64 / observed.counts.len() as f64;
    assert!((mean - 1.0).abs() < 4.0 / (observed.counts.len() as f64).sqrt(), "mean {mean}");
    assert!(is_poisson(&observed.counts));
    assert!(is_uniform(observed.offsets.iter().copied(), RETENTION_DEFAULT_MS, 60));
    assert!(is_uniform(observed.offsets.iter().map(|offset| offset % 1_000), 1_000, 20));
    let mut copies = [0; 3];
    for &count in observed.copies.iter().filter(|&&count| count <= 3) {
        copies[usize::try_from(count - 1).expect("a bin")] += 1;
    }
    assert!(fits(&copies, &[0.80, 0.15, 0.05]), "{copies:?}");
    // Two arrivals of a number in one millisecond look like one with more copies, which is rare.
    assert!(observed.copies.iter().filter(|&&count| count > 3).count() < 10);
}

#[test]
fn the_statistics_catch_processes_that_are_wrong() {
    let observed = observe();
    let mut rng = Rng::new(9);
    let offsets = &observed.offsets;
    let mut later_of_two = offsets.iter().map(|&offset| offset.max(rng.below(RETENTION_DEFAULT_MS)));
    assert!(!is_uniform(&mut later_of_two, RETENTION_DEFAULT_MS, 60), "offsets that crowd at the end");
    let clipped = offsets.iter().map(|offset| offset * 19 / 20);
    assert!(!is_uniform(clipped, RETENTION_DEFAULT_MS, 60), "offsets that spare the end");
    let whole_seconds = offsets.iter().map(|offset| offset / 1_000 * 1_000 % 1_000);
    assert!(!is_uniform(whole_seconds, 1_000, 20), "offsets of whole seconds");
    assert!(!is_poisson(&vec![1; observed.counts.len()]), "always one arrival");
    let coin = (0..observed.counts.len()).map(|_| 2 * rng.below(2)).collect::<Vec<_>>();
    assert!(!is_poisson(&coin), "none or two, with the right mean");
    let more = observed.counts.iter().map(|&count| count + u64::from(rng.below(20) == 0)).collect::<Vec<_>>();
    assert!(!is_poisson(&more), "one arrival in twenty windows too many");
}

#[test]
fn body_sizes_are_uniform_over_the_buckets() {
    let sizes = observe().bodies_bytes;
    let count =
        |bucket: usize| u64::try_from(sizes.iter().filter(|&&bytes| bytes == bucket).count()).expect("fits");
    let counts = BODY_BUCKETS_BYTES.map(count);
    assert_eq!(counts.iter().sum::<u64>(), u64::try_from(sizes.len()).expect("fits"), "no other size");
    assert!(fits(&counts, &[0.2; 5]), "{counts:?}");
    let skewed = [counts[0] + counts[0] / 10, counts[1], counts[2], counts[3], counts[4]];
    assert!(!fits(&skewed, &[0.2; 5]), "a tenth more of one size is seen");
}

#[test]
fn a_hundred_thousand_dummies_never_repeat_a_body_or_an_id() {
    let mut schedule = schedule(SECRET, Box::new(X25519Suite), START);
    let (mut ids, mut bodies, mut keys) = (HashSet::new(), HashSet::new(), HashSet::new());
    let mut made = 0;
    let mut body = Vec::new();
    for window in 0..25 {
        let now = end_of_window(window);
        schedule.advance(now);
        for number in numbers(1_800) {
            for dummy in schedule.live(number, now) {
                body.clear();
                schedule.write_body(&dummy, &mut body);
                assert_eq!(body.len(), dummy.body_bytes);
                made += 1;
                assert!(ids.insert(dummy.id), "an id repeats");
                assert!(keys.insert(<[u8; 32]>::try_from(&body[..32]).expect("32 bytes")), "a key repeats");
                assert!(bodies.insert(*blake3::hash(&body[32..]).as_bytes()), "a ciphertext repeats");
            }
        }
    }
    assert!(made > 100_000, "{made} dummies");
}

/// Whether 32 bytes are what a sender's public key is: canonical, on the curve and not on its twist, in the
/// subgroup of prime order.
fn is_public_key(bytes: [u8; 32]) -> bool {
    let Some(point) = MontgomeryPoint(bytes).to_edwards(0) else { return false };
    bytes[31] & 0x80 == 0
        && point.is_torsion_free()
        && !point.is_small_order()
        && point.to_montgomery().0 == bytes
}

#[test]
fn bodies_begin_with_a_public_key_as_genuine_ones_do() {
    let schedule = schedule(SECRET, Box::new(X25519Suite), START);
    let mut rng = Rng::new(11);
    let mut random_passes = 0;
    let mut looked_at = 0;
    for dummy in numbers(1_000).flat_map(|number| schedule.live(number, START)) {
        let body = body(&schedule, &dummy);
        assert!(is_public_key(body[..32].try_into().expect("32 bytes")));
        let mut random = [0; 32];
        rng.fill(&mut random);
        random[31] &= 0x7f;
        random_passes += u32::from(is_public_key(random));
        looked_at += 1;
    }
    assert!(looked_at > 2_000);
    assert!(random_passes * 10 < looked_at, "{random_passes} of {looked_at} random strings pass");
    let sealed = common::sealed_key(&mut rng);
    assert!(is_public_key(sealed), "the check passes a genuine key");
}

/// Whether all 256 byte values are equally frequent.
fn bytes_look_random(bytes: &[u8]) -> bool {
    is_uniform(bytes.iter().map(|&byte| u64::from(byte)), 256, 256)
}

#[test]
fn ids_and_ciphertexts_look_random() {
    let schedule = schedule(SECRET, Box::new(PlainSuite), START);
    let (mut ids, mut ciphertexts) = (Vec::new(), Vec::new());
    for dummy in numbers(2_000).flat_map(|number| schedule.live(number, START)) {
        ids.extend(dummy.id.as_bytes());
        ciphertexts.extend(&body(&schedule, &dummy)[32..672.min(dummy.body_bytes)]);
    }
    assert!(bytes_look_random(&ids));
    assert!(bytes_look_random(&ciphertexts));
    let mut service = common::service_with(SECRET, Box::new(PlainSuite), START);
    let mut store = common::MemoryStore::default();
    let mut real = Vec::new();
    for number in numbers(4_000) {
        let id = service.store(&mut store, number, &[0; BODY_BUCKETS_BYTES[0]], START).expect("room");
        real.extend(id.as_bytes());
    }
    assert!(bytes_look_random(&real));
    let counters: Vec<u8> = (0..4_000u64).flat_map(|count| (u128::from(count)).to_be_bytes()).collect();
    assert!(!bytes_look_random(&counters), "counted ids are seen");
}

#[test]
fn equal_secrets_give_equal_cover_however_they_came_about() {
    let random = common::SeededRandom::new(SECRET);
    let secret = CoverSecret::generate(&random, Retention::DEFAULT, START);
    let new =
        |secret: &CoverSecret| CoverSchedule::new(secret.clone(), Retention::DEFAULT, Box::new(X25519Suite));
    let (mut advanced, never) = (new(&secret), new(&secret));
    let mut epochs = BTreeSet::new();
    for step in 0..100 {
        let now = START.plus_millis(step * RETENTION_DEFAULT_MS * 3 + step);
        advanced.advance(now);
        let written = advanced.secret().to_bytes();
        epochs.insert(written);
        let read = CoverSecret::from_bytes(&written, Retention::DEFAULT, now).expect("written down just now");
        assert!(read == *advanced.secret());
        let restarted = new(&read);
        for number in numbers(5) {
            let expected = all(&never, number, now);
            assert_eq!(all(&advanced, number, now), expected, "advanced, step {step}");
            assert_eq!(all(&restarted, number, now), expected, "restarted, step {step}");
        }
    }
    assert!(epochs.len() > 4, "the steps crossed epochs");
}

#[test]
fn other_secrets_numbers_and_moments_give_other_cover() {
    let schedules = [schedule(1, Box::new(PlainSuite), START), schedule(2, Box::new(PlainSuite), START)];
    let mut ids = HashSet::new();
    for schedule in &schedules {
        for number in ["1", "10", "01", "12225552222", "*", "#"].map(number) {
            for retentions in 0..3 {
                let live = schedule.live(number, START.plus_millis(retentions * RETENTION_DEFAULT_MS));
                assert!(live.iter().all(|dummy| ids.insert(dummy.id)));
            }
        }
    }
}

#[test]
fn a_key_is_forgotten_once_its_cover_has_expired_and_not_before() {
    let mut schedule = schedule(SECRET, Box::new(X25519Suite), START);
    let before = schedule.secret().to_bytes();
    let epoch_ms = COVER_EPOCH_WINDOWS * RETENTION_DEFAULT_MS;
    let boundary = Timestamp::from_millis((START.as_millis() / epoch_ms + 1) * epoch_ms);
    let last_moment = Timestamp::from_millis(boundary.as_millis() - 1);
    let old: Vec<_> = numbers(200).flat_map(|number| schedule.live(number, last_moment)).collect();
    let old_facts: BTreeSet<_> = old.iter().map(|dummy| (dummy.id, body(&schedule, dummy))).collect();
    let last_expiry = old.iter().map(|dummy| dummy.expires_at).max().expect("some dummies");

    assert!(!schedule.advance(last_expiry), "an old dummy may still be live");
    assert!(schedule.advance(boundary.plus_millis(2 * RETENTION_DEFAULT_MS)), "all have expired");
    assert!(!schedule.advance(boundary.plus_millis(2 * RETENTION_DEFAULT_MS)), "once is enough");
    let after = schedule.secret().to_bytes();
    assert_eq!(before[..32], after[..32], "phases stay: the base goes on");
    assert_ne!(before[32..64], after[32..64], "the chain has moved on");

    // Whoever takes the machine now has these bytes. The clock must not bring the old cover back ...
    assert!(CoverSecret::from_bytes(&after, Retention::DEFAULT, last_moment).is_none());
    // ... and neither must a forged epoch.
    let mut forged = after;
    forged[64..].copy_from_slice(&before[64..]);
    let forged = CoverSecret::from_bytes(&forged, Retention::DEFAULT, last_moment).expect("an older epoch");
    let forged = CoverSchedule::new(forged, Retention::DEFAULT, Box::new(X25519Suite));
    for dummy in numbers(200).flat_map(|number| forged.live(number, last_moment)) {
        assert!(!old_facts.contains(&(dummy.id, body(&forged, &dummy))));
        assert!(old_facts.iter().all(|(id, _)| *id != dummy.id));
    }
    // The same forgery with the secret as it was before does bring it back, so the comparison means something.
    let kept = CoverSecret::from_bytes(&before, Retention::DEFAULT, last_moment).expect("not forgotten");
    let kept = CoverSchedule::new(kept, Retention::DEFAULT, Box::new(X25519Suite));
    let again: BTreeSet<_> = numbers(200)
        .flat_map(|number| kept.live(number, last_moment))
        .map(|dummy| (dummy.id, body(&kept, &dummy)))
        .collect();
    assert_eq!(again, old_facts);
}

#[test]
fn a_secret_from_the_future_or_from_long_ago_is_not_taken() {
    let secret = CoverSecret::generate(&common::SeededRandom::new(1), Retention::DEFAULT, START);
    let bytes = secret.to_bytes();
    let epoch_ms = COVER_EPOCH_WINDOWS * RETENTION_DEFAULT_MS;
    let read = |now: Timestamp| CoverSecret::from_bytes(&bytes, Retention::DEFAULT, now);
    assert!(read(START) == Some(secret));
    assert!(read(Timestamp::from_millis(START.as_millis() - epoch_ms)).is_none());
    assert!(read(START.plus_millis(COVER_EPOCHS_BEHIND_MAX * epoch_ms)).is_some());
    assert!(read(START.plus_millis((COVER_EPOCHS_BEHIND_MAX + 1) * epoch_ms)).is_none());
}

#[test]
fn debug_of_a_secret_and_a_dummy_shows_no_key() {
    let secret = CoverSecret::generate(&common::SeededRandom::new(1), Retention::DEFAULT, START);
    assert_eq!(format!("{secret:?}"), format!("CoverSecret(epoch {})", START.as_millis() / 3_600_000));
    let schedule = CoverSchedule::new(secret.clone(), Retention::DEFAULT, Box::new(PlainSuite));
    let dummy = &schedule.live(number("911"), START)[0];
    assert!(!format!("{dummy:?}").contains("key:"), "{dummy:?}");
    assert_eq!(facts(dummy), facts(&dummy.clone()));
}
