//! Threads that race for the same tokens and the same counters: each is used exactly once.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex};

use common::*;
use herald_admission::{Admission, Judge, Judgement, SpentRecord, TokenId, Verdict};

const THREADS: usize = 8;

/// What threads were told.
#[derive(Default)]
struct Told {
    accepted: HashMap<(TokenId, u32), usize>,
    records: HashMap<TokenId, usize>,
}

impl Told {
    fn record(&mut self, record: Option<SpentRecord>) {
        record.into_iter().for_each(|record| *self.records.entry(record.token_id).or_default() += 1);
    }

    /// What must never be: a store accepted twice, a token spent twice.
    fn faults(&self) -> usize {
        self.accepted.values().chain(self.records.values()).filter(|count| **count > 1).count()
    }
}

/// Every thread presents every token with every counter, in an order of its own.
fn race(admission: &Arc<Admission>, tokens: u64, counters: u32) -> Told {
    let (told, barrier) = (Mutex::new(Told::default()), Barrier::new(THREADS));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (told, barrier) = (&told, &barrier);
            scope.spawn(move || {
                let mut judge = Judge::new(admission.clone());
                for index in 0..tokens {
                    let holder = Holder::now(index, GATEWAY);
                    // All at the same token at once.
                    barrier.wait();
                    for step in 0..counters {
                        let counter = (step + thread as u32) % counters;
                        let body = [u8::try_from(counter).unwrap(); 640];
                        let number = number(u64::from(counter));
                        let opening = holder.opening(counter, Some(number), &body);
                        let (verdict, record) = match judge.judge(opening, Some(number), &body, START) {
                            Judgement::Verdict(verdict) => (verdict, None),
                            Judgement::Redeem(redemption) => {
                                redeem(admission, *redemption, Some(number), &body, START)
                            }
                        };
                        let mut told = told.lock().unwrap();
                        told.record(record);
                        if is_accepted(verdict) {
                            *told.accepted.entry((holder.id(), counter)).or_default() += 1;
                        }
                    }
                }
            });
        }
    });
    told.into_inner().unwrap()
}

#[test]
fn eight_threads_spend_each_token_once_and_use_each_counter_once() {
    let (tokens, counters) = (400, 16);
    let admission = service();
    let told = race(&admission, tokens, counters);
    assert_eq!(told.faults(), 0);
    assert_eq!(told.records.len() as u64, tokens, "each token was spent");
    assert_eq!(admission.spent_count(), tokens);
    let all = tokens * u64::from(counters);
    // A thread that comes while another redeems is told to come back, so some counters were not used.
    assert!(told.accepted.len() as u64 > all / 2, "{} of {all}", told.accepted.len());
}

#[test]
fn a_driver_that_does_not_reserve_is_found_out_by_the_same_count() {
    let admission = service();
    let (mut judge, mut told) = (Judge::new(admission.clone()), Told::default());
    let (holder, number) = (Holder::now(1, GATEWAY), number(1));
    let settled: Vec<_> = (0..2)
        .map(|counter| {
            let opening = holder.opening(counter, Some(number), BODY);
            let Judgement::Redeem(redemption) = judge.judge(opening, Some(number), BODY, START) else {
                panic!()
            };
            let secret = secret_of(&redemption.token().input);
            admission.settle(*redemption, &secret, Some(number), BODY, START).unwrap()
        })
        .collect();
    for settled in settled {
        told.record(settled.record());
        assert!(is_accepted(admission.commit(settled)));
    }
    assert_eq!(told.faults(), 1, "spent twice");
}

/// Says that a thread has ended, however it did.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn sessions_that_replace_each_other_under_a_reader_are_never_mixed_up() {
    // Few slots, and each session is old a second after it was opened.
    let settings = herald_admission::Settings { sessions_max: 16, session_life_ms: 1_000, ..settings() };
    let admission = service_with(settings, START);
    let (newest, is_over) = (Mutex::new((0u64, START)), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _end = End(&is_over);
            let mut judge = Judge::new(admission.clone());
            for index in 0..4_000 {
                let (holder, now) = (Holder::now(index, GATEWAY), START.plus_millis(index * 125));
                let opening = holder.opening(0, Some(number(1)), BODY);
                store(&mut judge, &opening, number(1), BODY, now);
                *newest.lock().unwrap() = (index, now);
            }
        });
        for thread in 0..2 {
            let (admission, newest, is_over) = (&admission, &newest, &is_over);
            scope.spawn(move || {
                let mut judge = Judge::new(admission.clone());
                let (mut seen, mut counter) = (0, thread);
                while !is_over.load(Ordering::Relaxed) {
                    let (index, now) = *newest.lock().unwrap();
                    counter = if index == seen { counter + 2 } else { 2 + thread };
                    seen = index;
                    for index in index.saturating_sub(12)..=index {
                        let holder = Holder::now(index, GATEWAY);
                        let continued = holder.continued(counter % 200, number(2), BODY);
                        let verdict = store(&mut judge, &continued, number(2), BODY, now);
                        // A key or number of another session would make a genuine MAC a wrong one.
                        assert_ne!(verdict, Verdict::Refuse(herald_admission::Refusal::Proof));
                    }
                }
            });
        }
    });
}
