//! One attacker at ten times what a service can hold and redeem, and honest calls once a second, under a virtual clock:
//! admission with its default quotas, the queue of redemption at its pace, the service and its log together (RFC 8816 §7.5).
//!
//! The attacker is one identity, has all the tokens that it may have and saves them up. The honest calls are those of as many
//! identities as it takes: for once a second under one number all day no identity has tokens, or it could do what the
//! attacker wants.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::VecDeque;
use std::sync::Arc;

use common::*;
use herald_admission::{
    Admission, Class, ClassPolicy, Credential, Identity, IssuanceQuota, Judge, Judgement, Outcome, Pacer,
    Redemption, RedemptionQueue, Refusal, Settings, Verdict,
};
use herald_core::{
    CoverSchedule, CoverSecret, PlacementId, PlacementStore, Problem, Retention, Service, TelephoneNumber,
    Timestamp, X25519Suite,
};
use herald_log::limits::record_bytes;
use herald_log::{LogConfig, LogHandle, PlacementLog};

const RETENTION_MS: u64 = 60_000;
const SEGMENT_BYTES: usize = 1 << 15;
const ARENA_BYTES: usize = 256 * SEGMENT_BYTES;
/// Of one redemption, so that 100 a second are done at a quarter of a core, and 40 at a tenth.
const REDEMPTION_US: u64 = 2_500;
/// Ten times what is redeemed a second, and what the log holds over a retention.
const ATTACKS_PER_MS: u64 = 2;
const _: () = assert!(ATTACKS_PER_MS * 1000 * REDEMPTION_US >= 10 * 250_000, "ten times what is redeemed");
/// A minute before the end of an epoch: the tokens of two can be spent together.
const BEGIN: Timestamp = START.plus_millis(EPOCH_MS - 60_000);
/// As long as the attacker's sessions live.
const COURSE_MS: u64 = 120_000;
/// The attacker learns within this that there is no protection.
const CONTROL_MS: u64 = 70_000;
const ATTACKER: u64 = 1;
const HONEST: u64 = 2;
/// Beyond what is fixed from the beginning: spent tokens, those that wait, and the test's own tokens.
const GROWTH_BYTES_MAX: usize = 8 << 20;
const CLASSES: [Class; 2] = [HANDSET, GATEWAY];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    OneNumber,
    ManyNumbers,
}

/// Whether tokens are asked for, and how many the attacker may have of each key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Protection {
    Default,
    AttackerHas(u32),
    /// As well, and classes leave each other nothing.
    Unshared(u32),
    Nothing,
}

#[derive(Clone, Copy)]
struct Scenario {
    target: Target,
    attacker: Class,
    honest: Class,
    protection: Protection,
    course_ms: u64,
}

impl Scenario {
    const fn by_default(target: Target, attacker: Class, honest: Class) -> Self {
        Self { target, attacker, honest, protection: Protection::Default, course_ms: COURSE_MS }
    }

    const fn control(target: Target, attacker: Class, honest: Class, protection: Protection) -> Self {
        Self { target, attacker, honest, protection, course_ms: CONTROL_MS }
    }
}

/// The share of honest placements that were there until the end of their retention.
#[track_caller]
fn check(scenario: Scenario, expected: core::ops::RangeInclusive<f64>) {
    let held = ARENA_BYTES / record_bytes(BODY.len());
    assert!(ATTACKS_PER_MS * RETENTION_MS >= 10 * held as u64, "ten times what is held");
    let mut scene = Scene::new(scenario);
    let before = resident_bytes();
    scene.play(scenario.course_ms);
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown <= GROWTH_BYTES_MAX, "grew by {grown} bytes");
    let share = f64::from(scene.found) / f64::from(scene.sent);
    assert!(
        expected.contains(&share),
        "{} of {} honest placements of class {} were found; the attacker, of class {}, got {} in",
        scene.found,
        scene.sent,
        scenario.honest.0,
        scenario.attacker.0,
        scene.attacker.kept
    );
}

const KEPT: core::ops::RangeInclusive<f64> = 0.999..=1.0;

#[test]
fn a_handset_s_flood_of_one_number_leaves_the_calls_of_either_class_there() {
    CLASSES
        .into_iter()
        .for_each(|honest| check(Scenario::by_default(Target::OneNumber, HANDSET, honest), KEPT));
}

#[test]
fn a_gateway_s_flood_of_one_number_leaves_the_calls_of_either_class_there() {
    CLASSES
        .into_iter()
        .for_each(|honest| check(Scenario::by_default(Target::OneNumber, GATEWAY, honest), KEPT));
}

#[test]
fn a_handset_s_flood_of_a_million_numbers_leaves_the_calls_of_either_class_there() {
    CLASSES
        .into_iter()
        .for_each(|honest| check(Scenario::by_default(Target::ManyNumbers, HANDSET, honest), KEPT));
}

#[test]
fn a_gateway_s_flood_of_a_million_numbers_leaves_the_calls_of_either_class_there() {
    CLASSES
        .into_iter()
        .for_each(|honest| check(Scenario::by_default(Target::ManyNumbers, GATEWAY, honest), KEPT));
}

#[test]
fn without_tokens_either_flood_takes_most_of_the_honest_placements() {
    for target in [Target::OneNumber, Target::ManyNumbers] {
        check(Scenario::control(target, HANDSET, HANDSET, Protection::Nothing), 0.0..=0.5);
    }
}

#[test]
fn an_identity_with_many_tokens_takes_the_room_of_its_own_class_under_a_number_and_no_more() {
    let many = Protection::AttackerHas(200);
    for (attacker, honest) in [(HANDSET, GATEWAY), (GATEWAY, HANDSET)] {
        check(Scenario::control(Target::OneNumber, attacker, attacker, many), 0.0..=0.9);
        check(Scenario::control(Target::OneNumber, attacker, honest, many), KEPT);
        check(Scenario::control(Target::OneNumber, attacker, honest, Protection::Unshared(200)), 0.0..=0.9);
    }
}

struct Waiting {
    redemption: Redemption,
    from: u64,
    number: TelephoneNumber,
    body: Vec<u8>,
    /// Of an attacker's token, which goes on with it.
    attackers: Option<Holder>,
}

/// A service, its attacker and those who call.
struct Scene {
    scenario: Scenario,
    admission: Arc<Admission>,
    judge: Judge,
    service: Service,
    log: LogHandle,
    queue: RedemptionQueue<Waiting>,
    pacer: Pacer,
    attacker: Attacker,
    /// The token that is open for honest calls, and its next counter.
    honest: Option<(Holder, u32)>,
    tokens_made: u64,
    sent: u32,
    found: u32,
    /// Honest placements, and when they are looked for.
    kept: VecDeque<(Timestamp, TelephoneNumber, PlacementId, Vec<u8>)>,
}

struct Attacker {
    quota: IssuanceQuota,
    unspent: VecDeque<Holder>,
    /// Each with its next counter; used in turn.
    open: VecDeque<(Holder, u32)>,
    /// Tokens that were never issued, and one that was spent.
    junk: Vec<Credential>,
    spent: Option<Credential>,
    calls: u64,
    kept: u64,
}

impl Scene {
    fn new(scenario: Scenario) -> Self {
        let mut theirs = Settings::new(NAME, TYPE, 0);
        if let Protection::AttackerHas(count) | Protection::Unshared(count) = scenario.protection {
            let more = |class| ClassPolicy { tokens_per_identity: count, ..class };
            theirs.classes = theirs.classes.into_iter().map(more).collect();
        }
        let admission = service_with(settings(), BEGIN);
        assert_eq!(admission.settings().classes, [ClassPolicy::handset(), ClassPolicy::gateway()]);
        let log = PlacementLog::create(LogConfig {
            arena_bytes: ARENA_BYTES,
            segment_bytes: SEGMENT_BYTES,
            hash_key: [7; 32],
            handles_max: 1,
        })
        .unwrap();
        let retention = Retention::default();
        let secret = CoverSecret::generate(&Seeded::default(), retention, BEGIN);
        let cover = CoverSchedule::new(secret, retention, Box::new(X25519Suite));
        let wrong = Holder::now(0, HANDSET).key;
        let junk = (0..512).map(|index| {
            let holder = Holder { key: wrong.clone(), ..Holder::now(1 << 40 | index, scenario.attacker) };
            holder.opening(0, Some(victim()), BODY)
        });
        Self {
            scenario,
            judge: Judge::new(admission.clone()),
            admission,
            service: Service::new(cover, &Seeded::default()),
            log: log.handle().unwrap(),
            queue: RedemptionQueue::default(),
            pacer: Pacer::of_redemption(0),
            attacker: Attacker {
                quota: IssuanceQuota::new(&theirs),
                unspent: VecDeque::new(),
                open: VecDeque::new(),
                junk: junk.collect(),
                spent: None,
                calls: 0,
                kept: 0,
            },
            honest: None,
            tokens_made: 1 << 32,
            sent: 0,
            found: 0,
            kept: VecDeque::new(),
        }
    }

    fn play(&mut self, course_ms: u64) {
        for ms in 0..course_ms + RETENTION_MS {
            let now = BEGIN.plus_millis(ms);
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
        let (current, class) = (self.admission.epoch_at(now), self.scenario.attacker);
        let attacker = &mut self.attacker;
        for epoch in current - 1..=current + 1 {
            let key = issuer_key(epoch, class);
            while attacker.quota.charge(Identity::of(b"709J"), &key, 1, now).is_ok() {
                self.tokens_made += 1;
                attacker.unspent.push_back(Holder::new(self.tokens_made, epoch, class));
            }
        }
    }

    /// With open sessions and new tokens, and every second time with junk.
    fn attack(&mut self, now: Timestamp) {
        self.attacker.calls += 1;
        let calls = self.attacker.calls;
        let number = match self.scenario.target {
            Target::OneNumber => victim(),
            Target::ManyNumbers => one_of_many(calls),
        };
        if calls.is_multiple_of(2) {
            return self.receive(ATTACKER, self.junk(calls), number, BODY, None, now);
        }
        let stores = self.admission.settings().classes[usize::from(self.scenario.attacker.0)].stores;
        if let Some((holder, counter)) = self.attacker.open.pop_front() {
            let credential = holder.continued(counter, number, BODY);
            let verdict = self.judge.judge(credential, Some(number), BODY, now);
            let Judgement::Verdict(verdict) = verdict else { panic!("{verdict:?}") };
            let is_used =
                self.protection() != Protection::Nothing && self.end(verdict, ATTACKER, number, BODY, now);
            // With the same counter again, if it was not used; a session ends after a while.
            let is_gone = verdict == Verdict::Refuse(Refusal::NoSession);
            let next = counter + u32::from(is_used);
            if next < stores && !is_gone {
                self.attacker.open.push_back((holder, next));
            }
        }
        if let Some(holder) = self.attacker.unspent.pop_front() {
            let credential = holder.opening(0, Some(number), BODY);
            self.attacker.spent = Some(credential.clone());
            self.receive(ATTACKER, credential, number, BODY, Some(holder), now);
        }
    }

    fn protection(&self) -> Protection {
        self.scenario.protection
    }

    fn junk(&self, calls: u64) -> Credential {
        let junk = &self.attacker.junk[usize::try_from(calls).unwrap() % self.attacker.junk.len()];
        match &self.attacker.spent {
            Some(spent) if calls.is_multiple_of(4) => spent.clone(),
            _ => junk.clone(),
        }
    }

    /// Somebody calls.
    fn call(&mut self, now: Timestamp) {
        let number = match self.scenario.target {
            Target::OneNumber => victim(),
            Target::ManyNumbers => one_of_many(u64::from(self.sent) * 1_009),
        };
        let mut body = BODY.to_vec();
        body[..4].copy_from_slice(&self.sent.to_be_bytes());
        self.sent += 1;
        // A handset has a token for each call; a gateway's is good for two under one number.
        let stores = match (self.scenario.honest, self.scenario.target) {
            (HANDSET, _) => 1,
            (_, Target::OneNumber) => 2,
            (_, Target::ManyNumbers) => 16,
        };
        let credential = match self.honest.take() {
            Some((holder, counter)) if counter < stores => {
                let credential = holder.continued(counter, number, &body);
                self.honest = Some((holder, counter + 1));
                credential
            }
            _ => {
                self.tokens_made += 1;
                let epoch = self.admission.epoch_at(now);
                let holder = Holder::new(self.tokens_made, epoch, self.scenario.honest);
                let credential = holder.opening(0, Some(number), &body);
                self.honest = Some((holder, 1));
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
        if self.protection() == Protection::Nothing {
            self.store(from, number, body, None, now);
            return;
        }
        match self.judge.judge(credential, Some(number), body, now) {
            Judgement::Verdict(verdict) => {
                self.end(verdict, from, number, body, now);
                // Of an epoch to come, or that was over before the attacker came to it.
                self.attacker.unspent.extend(attackers.filter(|_| verdict == Verdict::Refuse(Refusal::Key)));
            }
            Judgement::Redeem(redemption) => {
                if self.admission.reserve(&redemption, now).is_err() {
                    return;
                }
                let waiting =
                    Waiting { redemption: *redemption, from, number, body: body.to_vec(), attackers };
                match self.queue.push(from, waiting, (now.as_millis() - BEGIN.as_millis()) * 1_000) {
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
        let now_us = ms * 1_000;
        while self.queue.wait_us(&mut self.pacer, now_us) == Some(0) {
            let Some((_, waiting)) = self.queue.pop(&mut self.pacer, now_us) else { return };
            let Waiting { redemption, from, number, body, attackers } = waiting;
            let secret = secret_of(&redemption.token().input);
            let settled = self.admission.settle(redemption, &secret, Some(number), &body, now);
            let outcome = if settled.is_ok() { Outcome::Good } else { Outcome::Junk };
            self.queue.worked(&mut self.pacer, &[(from, outcome)], REDEMPTION_US, now_us);
            if let Ok(settled) = settled {
                let verdict = self.admission.commit(settled);
                self.end(verdict, from, number, &body, now);
                self.attacker.open.extend(attackers.map(|holder| (holder, 1)));
            }
        }
    }

    /// Does with a store as the verdict says. Whether its counter is used.
    fn end(
        &mut self,
        verdict: Verdict,
        from: u64,
        number: TelephoneNumber,
        body: &[u8],
        now: Timestamp,
    ) -> bool {
        match verdict {
            Verdict::Accept(id) => self.store(from, number, body, id, now),
            Verdict::AcceptIfRoom(id) => {
                let (rooms, placement) = (Rooms(self.admission.clone()), (number, body));
                match self.service.store_if_room(&mut self.log, &rooms, placement, id, now) {
                    Some(stored) => self.keep(from, (number, body), Some(id), stored, now),
                    None => true,
                }
            }
            Verdict::Repeat(_) | Verdict::Refuse(_) => false,
        }
    }

    fn store(
        &mut self,
        from: u64,
        number: TelephoneNumber,
        body: &[u8],
        id: Option<PlacementId>,
        now: Timestamp,
    ) -> bool {
        let rooms = Rooms(self.admission.clone());
        let stored = match self.protection() {
            Protection::Nothing | Protection::Unshared(_) => {
                self.service.store(&mut self.log, number, body, now)
            }
            _ => self.service.store_as(&mut self.log, &rooms, (number, body), id, now),
        };
        self.keep(from, (number, body), id, stored, now)
    }

    fn keep(
        &mut self,
        from: u64,
        (number, body): (TelephoneNumber, &[u8]),
        id: Option<PlacementId>,
        stored: Result<PlacementId, Problem>,
        now: Timestamp,
    ) -> bool {
        match (from, stored) {
            (HONEST, Ok(id)) => {
                self.kept.push_back((now.plus_millis(RETENTION_MS), number, id, body.to_vec()));
            }
            (_, Ok(_)) => self.attacker.kept += 1,
            (_, Err(_)) => {
                id.into_iter().for_each(|id| self.admission.give_back(id, number));
                return false;
            }
        }
        true
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
