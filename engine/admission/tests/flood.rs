//! One attacker at ten times what a service can hold and redeem, and one honest storer, under a virtual clock: admission,
//! the queue of redemption at its pace, the service and its log together (RFC 8816 §7.5).
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::VecDeque;
use std::sync::Arc;

use common::*;
use herald_admission::{
    Admission, ClassPolicy, Credential, Identity, IssuanceQuota, Judge, Judgement, Pacer, Redemption,
    RedemptionQueue, Settings, Verdict,
};
use herald_core::{
    CoverSchedule, CoverSecret, PlacementId, PlacementStore, Retention, Service, TelephoneNumber, Timestamp,
    X25519Suite,
};
use herald_log::limits::record_bytes;
use herald_log::{LogConfig, LogHandle, PlacementLog};

const RETENTION_MS: u64 = 60_000;
const SEGMENT_BYTES: usize = 1 << 15;
const ARENA_BYTES: usize = 125 * SEGMENT_BYTES;
/// Of one redemption, so that 100 a second are done at the default pace.
const REDEMPTION_US: u64 = 2_500;
/// Ten times what is redeemed a second, and what the log holds over a retention.
const ATTACKS_PER_MS: u64 = 1;
const _: () = assert!(ATTACKS_PER_MS * 1000 * REDEMPTION_US >= 10 * 250_000, "ten times what is redeemed");
/// An epoch ends within.
const COURSE_MS: u64 = 700_000;
/// The attacker learns within this that there is no protection.
const CONTROL_MS: u64 = 130_000;
const ATTACKER: u64 = 1;
const HONEST: u64 = 2;
/// Beyond what is fixed from the beginning: spent tokens, those that wait, and the test's own tokens.
const GROWTH_BYTES_MAX: usize = 8 << 20;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    OneNumber,
    ManyNumbers,
}

/// What one identity may have of each key, if tokens are asked for at all.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Protection {
    Tokens(u32),
    Nothing,
}

/// The share of honest placements that were there until the end of their retention.
#[track_caller]
fn check(target: Target, protection: Protection, course_ms: u64, expected: core::ops::RangeInclusive<f64>) {
    let held = ARENA_BYTES / record_bytes(BODY.len());
    assert!(ATTACKS_PER_MS * RETENTION_MS >= 10 * held as u64, "ten times what is held");
    let mut scene = Scene::new(target, protection);
    let before = resident_bytes();
    scene.play(course_ms);
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown <= GROWTH_BYTES_MAX, "grew by {grown} bytes");
    let share = f64::from(scene.found) / f64::from(scene.sent);
    assert!(expected.contains(&share), "{} of {} honest placements were found", scene.found, scene.sent);
}

#[test]
fn a_flood_of_one_number_leaves_the_honest_placements_there_while_tokens_are_asked_for() {
    // The keys of three epochs count, and each token is good for four stores: 120 of the 193 that a number always has
    // room for.
    check(Target::OneNumber, Protection::Tokens(10), COURSE_MS, 0.999..=1.0);
}

#[test]
fn a_flood_of_a_million_numbers_leaves_the_honest_placements_there_while_tokens_are_asked_for() {
    check(Target::ManyNumbers, Protection::Tokens(300), COURSE_MS, 0.999..=1.0);
}

#[test]
fn without_tokens_either_flood_takes_most_of_the_honest_placements() {
    check(Target::OneNumber, Protection::Nothing, CONTROL_MS, 0.0..=0.5);
    check(Target::ManyNumbers, Protection::Nothing, CONTROL_MS, 0.0..=0.5);
}

#[test]
fn an_identity_with_more_tokens_than_a_number_has_room_for_takes_that_number() {
    check(Target::OneNumber, Protection::Tokens(1_000), CONTROL_MS, 0.0..=0.9);
}

struct Waiting {
    redemption: Redemption,
    from: u64,
    number: TelephoneNumber,
    body: Vec<u8>,
    /// Of an attacker's token, which goes on with it.
    attackers: Option<Holder>,
}

/// A service, its attacker and its honest storer.
struct Scene {
    target: Target,
    protection: Protection,
    admission: Arc<Admission>,
    judge: Judge,
    service: Service,
    log: LogHandle,
    queue: RedemptionQueue<Waiting>,
    pacer: Pacer,
    attacker: Attacker,
    gateway: Option<(Holder, u32)>,
    tokens_made: u64,
    sent: u32,
    found: u32,
    /// Honest placements, and when they are looked for.
    kept: VecDeque<(Timestamp, TelephoneNumber, PlacementId, Vec<u8>)>,
}

struct Attacker {
    quota: IssuanceQuota,
    unspent: Vec<Holder>,
    open: Vec<(Holder, u32)>,
    /// Tokens that were never issued, and one that was spent.
    junk: Vec<Credential>,
    spent: Option<Credential>,
    calls: u64,
}

impl Scene {
    fn new(target: Target, protection: Protection) -> Self {
        let tokens_per_identity = match protection {
            Protection::Tokens(count) => count,
            Protection::Nothing => 0,
        };
        let classes =
            vec![ClassPolicy { tokens_per_identity, ..ClassPolicy::handset() }, ClassPolicy::gateway()];
        let settings = Settings { classes, ..settings() };
        let quota = IssuanceQuota::new(&settings);
        let admission = service_with(settings, START);
        let log = PlacementLog::create(LogConfig {
            arena_bytes: ARENA_BYTES,
            segment_bytes: SEGMENT_BYTES,
            hash_key: [7; 32],
            handles_max: 1,
        })
        .unwrap();
        let retention = Retention::default();
        let secret = CoverSecret::generate(&Seeded::default(), retention, START);
        let cover = CoverSchedule::new(secret, retention, Box::new(X25519Suite));
        let wrong = Holder::now(0, HANDSET).key;
        let junk = (0..512).map(|index| {
            let holder = Holder { key: wrong.clone(), ..Holder::now(1 << 40 | index, HANDSET) };
            holder.opening(0, Some(victim()), BODY)
        });
        Self {
            target,
            protection,
            judge: Judge::new(admission.clone()),
            admission,
            service: Service::new(cover, &Seeded::default()),
            log: log.handle().unwrap(),
            queue: RedemptionQueue::default(),
            pacer: Pacer::of_redemption(0),
            attacker: Attacker {
                quota,
                unspent: Vec::new(),
                open: Vec::new(),
                junk: junk.collect(),
                spent: None,
                calls: 0,
            },
            gateway: None,
            tokens_made: 1 << 32,
            sent: 0,
            found: 0,
            kept: VecDeque::new(),
        }
    }

    fn play(&mut self, course_ms: u64) {
        for ms in 0..course_ms + RETENTION_MS {
            let now = START.plus_millis(ms);
            if ms.is_multiple_of(1_000) {
                self.keep_keys(now);
                self.look(now);
            }
            (0..ATTACKS_PER_MS).for_each(|_| self.attack(now));
            if ms.is_multiple_of(1_000) && ms < course_ms {
                self.call(now);
            }
            self.redeem(ms, now);
        }
    }

    fn keep_keys(&mut self, now: Timestamp) {
        self.admission.advance(now);
        while let Some((epoch, class)) = self.admission.wanted_key(now) {
            self.admission.add_key(issuer_key(epoch, class), now).unwrap();
        }
        // The attacker asks for what it may have of each key that counts.
        let current = self.admission.epoch_at(now);
        for epoch in current - 1..=current + 1 {
            while self
                .attacker
                .quota
                .charge(Identity::of(b"709J"), &issuer_key(epoch, HANDSET), 1, now)
                .is_ok()
            {
                self.tokens_made += 1;
                self.attacker.unspent.push(Holder::new(self.tokens_made, epoch, HANDSET));
            }
        }
    }

    fn attack(&mut self, now: Timestamp) {
        self.attacker.calls += 1;
        let calls = self.attacker.calls;
        let number = match self.target {
            Target::OneNumber => victim(),
            Target::ManyNumbers => one_of_many(calls),
        };
        if let Some((holder, counter)) = self.attacker.open.pop() {
            let credential = holder.continued(counter, number, BODY);
            if counter < 3 {
                self.attacker.open.push((holder, counter + 1));
            }
            return self.receive(ATTACKER, credential, number, BODY, None, now);
        }
        match self.attacker.unspent.pop() {
            Some(holder) => {
                let credential = holder.opening(0, Some(number), BODY);
                self.attacker.spent = Some(credential.clone());
                self.receive(ATTACKER, credential, number, BODY, Some(holder), now);
            }
            None => self.receive(ATTACKER, self.junk(calls), number, BODY, None, now),
        }
    }

    fn junk(&self, calls: u64) -> Credential {
        let junk = &self.attacker.junk[usize::try_from(calls).unwrap() % self.attacker.junk.len()];
        match &self.attacker.spent {
            Some(spent) if calls.is_multiple_of(4) => spent.clone(),
            _ => junk.clone(),
        }
    }

    /// The honest storer stores once.
    fn call(&mut self, now: Timestamp) {
        let number = match self.target {
            Target::OneNumber => victim(),
            Target::ManyNumbers => one_of_many(u64::from(self.sent) * 1_009),
        };
        let mut body = BODY.to_vec();
        body[..4].copy_from_slice(&self.sent.to_be_bytes());
        self.sent += 1;
        // A token is good for 16 stores under one number.
        let credential = match self.gateway.take() {
            Some((holder, counter)) if counter < 16 => {
                let credential = holder.continued(counter, number, &body);
                self.gateway = Some((holder, counter + 1));
                credential
            }
            _ => {
                self.tokens_made += 1;
                let holder = Holder::new(self.tokens_made, self.admission.epoch_at(now), GATEWAY);
                let credential = holder.opening(0, Some(number), &body);
                self.gateway = Some((holder, 1));
                credential
            }
        };
        self.receive(HONEST, credential, number, &body, None, now);
    }

    fn receive(
        &mut self,
        from: u64,
        credential: Credential,
        number: TelephoneNumber,
        body: &[u8],
        attackers: Option<Holder>,
        now: Timestamp,
    ) {
        if self.protection == Protection::Nothing {
            return self.store(from, number, body, now);
        }
        match self.judge.judge(credential, Some(number), body, now) {
            Judgement::Verdict(Verdict::Accept(_)) => self.store(from, number, body, now),
            Judgement::Verdict(_) => {}
            Judgement::Redeem(redemption) => {
                if self.admission.reserve(&redemption, now).is_err() {
                    return;
                }
                let waiting =
                    Waiting { redemption: *redemption, from, number, body: body.to_vec(), attackers };
                match self.queue.push(from, waiting) {
                    Ok(None) => {}
                    Ok(Some(refused)) | Err(refused) => {
                        self.admission.release(refused.redemption);
                        self.attacker.unspent.extend(refused.attackers);
                    }
                }
            }
        }
    }

    /// What redemption comes to at its pace.
    fn redeem(&mut self, ms: u64, now: Timestamp) {
        while self.pacer.wait_us(ms * 1_000) == 0 {
            let Some(waiting) = self.queue.pop() else { return };
            let Waiting { redemption, from, number, body, attackers } = waiting;
            self.pacer.worked(REDEMPTION_US, ms * 1_000);
            let secret = secret_of(&redemption.token().input);
            let settled = self.admission.settle(redemption, &secret, Some(number), &body, now);
            if settled.is_ok_and(|settled| is_accepted(self.admission.commit(settled))) {
                self.attacker.open.extend(attackers.map(|holder| (holder, 1)));
                self.store(from, number, &body, now);
            }
        }
    }

    fn store(&mut self, from: u64, number: TelephoneNumber, body: &[u8], now: Timestamp) {
        let stored = self.service.store(&mut self.log, number, body, now);
        if let (HONEST, Ok(id)) = (from, stored) {
            self.kept.push_back((now.plus_millis(RETENTION_MS), number, id, body.to_vec()));
        }
    }

    /// Looks for what is about to end, in the last second of its retention.
    fn look(&mut self, now: Timestamp) {
        while let Some((ends_at, ..)) = self.kept.front()
            && *ends_at <= now.plus_millis(1_000)
        {
            let (_, number, id, body) = self.kept.pop_front().unwrap();
            let mut is_there = false;
            self.log.find_live(number, id, now, &mut |placement| is_there |= placement.body == body);
            self.found += u32::from(is_there);
        }
    }
}

fn victim() -> TelephoneNumber {
    number(2222)
}

fn one_of_many(index: u64) -> TelephoneNumber {
    format!("1333{:07}", index % 1_000_000).parse().unwrap()
}

fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<usize>().unwrap() * 1024
}
