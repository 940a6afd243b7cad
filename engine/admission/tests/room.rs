//! Who finds room under a number, with a service and its log: each class what the others leave it, also when the number's
//! room is less than it was, and no token more than it may have.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::*;
use herald_admission::{Class, ClassPolicy, Credential, Judge, Settings, Verdict};
use herald_core::limits::RECORDS_PER_NUMBER_MAX;
use herald_core::{
    CoverSchedule, CoverSecret, PlacementStore, Random, Retention, Service, TelephoneNumber, Timestamp,
    X25519Suite,
};
use herald_log::{LogConfig, LogHandle, PlacementLog};

const RETENTION_MS: u64 = 60_000;
/// One second before the room of a number is drawn anew, and one after it: what was stored before is still live.
const BEFORE: Timestamp = START.plus_millis(RETENTION_MS - 1_000);
const AFTER: Timestamp = START.plus_millis(RETENTION_MS + 1_000);
const NUMBERS: u64 = 8;
const SECRETS: u64 = 4;

struct House {
    rooms: Rooms,
    judge: Judge,
    service: Service,
    log: LogHandle,
    tokens: u64,
}

/// What came of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Came {
    Kept,
    Full,
    UsedByToken,
}

impl House {
    /// With the `nth` secret by which rooms are drawn.
    fn new(classes: Vec<ClassPolicy>, nth: u64) -> Self {
        let admission = service_with(Settings { classes, ..settings() }, START);
        let log =
            LogConfig { arena_bytes: 256 << 15, segment_bytes: 1 << 15, hash_key: [7; 32], handles_max: 1 };
        let random = Seeded::default();
        (0..nth).for_each(|_| random.fill(&mut [0; 32]));
        let retention = Retention::default();
        let secret = CoverSecret::generate(&random, retention, START);
        let cover = CoverSchedule::new(secret, retention, Box::new(X25519Suite));
        Self {
            judge: Judge::new(admission.clone()),
            rooms: Rooms(admission),
            service: Service::new(cover, &random),
            log: PlacementLog::create(log).unwrap().handle().unwrap(),
            tokens: 0,
        }
    }

    fn store(&mut self, credential: &Credential, number: TelephoneNumber, now: Timestamp) -> Came {
        let (log, rooms, placement) = (&mut self.log, &self.rooms, (number, BODY));
        let (kept, id) = match store(&mut self.judge, credential, number, BODY, now) {
            Verdict::Accept(id) => (self.service.store_as(log, rooms, placement, id, now), id.unwrap()),
            Verdict::AcceptIfRoom(id) => match self.service.store_if_room(log, rooms, placement, id, now) {
                Some(kept) => (kept, id),
                None => return Came::UsedByToken,
            },
            verdict => panic!("{verdict:?}"),
        };
        if kept.is_err() {
            self.rooms.0.give_back(id, number);
        }
        if kept.is_ok() { Came::Kept } else { Came::Full }
    }

    /// A store of a token of its own.
    fn store_anew(&mut self, class: Class, number: TelephoneNumber, now: Timestamp) -> Came {
        self.tokens += 1;
        let opening = Holder::now(self.tokens, class).opening(0, Some(number), BODY);
        self.store(&opening, number, now)
    }

    /// Stores until that is refused. How many were kept.
    fn fill(&mut self, class: Class, number: TelephoneNumber, now: Timestamp) -> u32 {
        let kept =
            (0..=RECORDS_PER_NUMBER_MAX).take_while(|_| self.store_anew(class, number, now) == Came::Kept);
        u32::try_from(kept.count()).unwrap()
    }

    fn live(&mut self, number: TelephoneNumber, now: Timestamp) -> u32 {
        let mut count = 0;
        self.log.for_each_live_id(number, now, &mut |_| count += 1);
        count
    }
}

#[test]
fn a_class_has_what_is_left_to_it_whatever_the_others_took_while_the_room_was_larger() {
    let (handset, gateway) = (ClassPolicy::handset(), ClassPolicy::gateway());
    let third = ClassPolicy { name: "third".to_owned(), ..gateway.clone() };
    for (classes, share) in
        [(vec![handset.clone(), gateway.clone()], 64), (vec![handset, gateway, third], 48)]
    {
        let (mut rooms_seen, mut lowered) = (std::collections::BTreeSet::new(), 0);
        for (secret, late) in
            (0..SECRETS).flat_map(|secret| (0..classes.len()).map(move |late| (secret, late)))
        {
            let late = Class(u8::try_from(late).unwrap());
            let mut house = House::new(classes.clone(), secret);
            let early = (0..classes.len()).map(|class| Class(u8::try_from(class).unwrap()));
            let early: Vec<_> = early.filter(|class| *class != late).collect();
            for to in (0..NUMBERS).map(number) {
                let taken: u32 = early.iter().map(|class| house.fill(*class, to, BEFORE)).sum();
                assert!(taken + share >= 193, "{taken}: they have all that is not left to the last");
                rooms_seen.insert(taken + share);
                lowered += u32::from(house.store_anew(early[0], to, AFTER) == Came::Full);
                for nth in 0..share {
                    assert_eq!(
                        house.store_anew(late, to, AFTER),
                        Came::Kept,
                        "{nth} of {share} behind {taken}"
                    );
                }
                // And no more than a number ever has.
                house.fill(late, to, AFTER);
                assert!(house.live(to, AFTER) <= RECORDS_PER_NUMBER_MAX);
                assert_eq!(house.store_anew(late, to, AFTER), Came::Full);
            }
        }
        assert!(rooms_seen.len() > 8, "rooms differ: {rooms_seen:?}");
        assert!(lowered > 8, "{lowered} numbers had less room than before");
    }
}

#[test]
fn what_is_nobodys_takes_room_and_not_what_is_left_to_a_class() {
    let mut house = House::new(vec![ClassPolicy::handset(), ClassPolicy::gateway()], 0);
    let to = number(1);
    for _ in 0..100 {
        house.service.store(&mut house.log, to, BODY, BEFORE).unwrap();
    }
    let gateways = house.fill(GATEWAY, to, BEFORE);
    assert!((64..=92).contains(&gateways), "{gateways}");
    assert!((0..64).all(|_| house.store_anew(HANDSET, to, AFTER) == Came::Kept));
}

#[test]
fn a_token_takes_no_place_that_became_free_beyond_its_own_while_its_class_was_noted_full() {
    let mut house = House::new(vec![ClassPolicy::handset(), ClassPolicy::gateway()], 0);
    let (to, holder) = (number(1), Holder::now(1 << 20, GATEWAY));
    for _ in 0..100 {
        assert_eq!(house.store_anew(GATEWAY, to, START), Came::Kept);
    }
    let half = START.plus_millis(RETENTION_MS / 2);
    assert_eq!(house.store(&holder.opening(0, Some(to), BODY), to, half), Came::Kept);
    assert_eq!(house.store(&holder.continued(1, to, BODY), to, half), Came::Kept);
    house.fill(GATEWAY, to, half);
    let (noted, expired) = (START.plus_millis(RETENTION_MS - 1), START.plus_millis(RETENTION_MS + 1));
    assert_eq!(house.store_anew(GATEWAY, to, noted), Came::Full);
    let before = house.live(to, expired);
    assert!(before < 129, "{before}: most have expired");
    let third = holder.continued(2, to, BODY);
    assert_eq!(house.store(&third, to, expired), Came::Full, "it is not looked at, and not kept");
    assert_eq!(house.live(to, expired), before);
    assert_eq!(house.store_anew(GATEWAY, to, expired), Came::Kept, "a token that has none there has room");
    let later = expired.plus_millis(200);
    assert_eq!(house.store(&third, to, later), Came::UsedByToken, "its counter was given back");
}
