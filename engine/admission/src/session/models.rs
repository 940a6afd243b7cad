//! loom's search through the interleavings and weak-memory results of small scenes on the table, and the proof that the
//! search notices: with one step weakened each scene must fail. A bucket has one slot here, so two sessions fill the table
//! and a third takes the place of one. Run by `engine/admission/loom.sh`.

use std::sync::Arc;

use loom::thread;

use super::*;
use crate::sync::{Weakening, weakened};

const LIMIT: Limit = Limit { stores: 1024, report_costs: 0 };
const OLD: Class = Class(0);
const NEW: Class = Class(1);

fn id(name: u8) -> TokenId {
    TokenId([name; 16])
}

fn key(name: u8) -> MacKey {
    MacKey::from_words([u64::from(name); 4])
}

/// Opens a session, in the place of one of the class `over` if there is no other.
fn open(sessions: &Sessions, name: u8, class: Class, over: Option<Class>) -> Option<Place> {
    let about = About { opened_s: 100, epoch: 0, class, mode: Mode::Withheld };
    let place = sessions.prepare(id(name), &key(name), about, |about| Some(about.class) == over)?;
    sessions.publish(place, 0)
}

fn find(sessions: &Sessions, name: u8) -> Option<Session> {
    let mut found = [None];
    sessions.find(&[id(name)], 100, &mut found);
    let [found] = found;
    found
}

/// A table with two sessions, and a thread that puts a third in the place of the first while `reader` looks.
fn while_one_is_replaced(reader: fn(&Sessions)) {
    loom::model(move || {
        let sessions = Arc::new(Sessions::new(1, 60_000, &[1; 32]));
        for (name, class) in [(1, OLD), (2, NEW)] {
            assert!(open(&sessions, name, class, None).is_some(), "two fill the table");
        }
        let writer = thread::spawn({
            let sessions = sessions.clone();
            move || open(&sessions, 3, NEW, Some(OLD)).expect("the old one gives way")
        });
        reader(&sessions);
        let new = writer.join().expect("it does not fail");
        assert_eq!(
            sessions.take(new, 5, LIMIT),
            Taken::Now,
            "what the old one was charged is not the new one's"
        );
    });
}

fn the_old_one_is_looked_up() {
    while_one_is_replaced(|sessions| {
        if let Some(old) = find(sessions, 1) {
            assert_eq!((&old.key, old.about.class), (&key(1), OLD), "its own key and class");
            sessions.take(old.place, 5, LIMIT);
        }
    });
}

fn the_new_one_is_looked_up() {
    while_one_is_replaced(|sessions| {
        if let Some(new) = find(sessions, 3) {
            assert_eq!((&new.key, new.about.class), (&key(3), NEW), "its own key and class");
            assert_eq!(sessions.take(new.place, 0, LIMIT), Taken::Before, "opened with its first store");
        }
    });
}

/// Two threads have a store of the same counter.
fn raced_for_a_counter() {
    loom::model(|| {
        let sessions = Arc::new(Sessions::new(1, 60_000, &[1; 32]));
        let place = open(&sessions, 1, NEW, None).expect("there is room");
        let other = thread::spawn({
            let sessions = sessions.clone();
            move || sessions.take(place, 7, LIMIT)
        });
        let ours = sessions.take(place, 7, LIMIT);
        let both = [ours, other.join().expect("it does not fail")];
        assert!(both.contains(&Taken::Now) && both.contains(&Taken::Before), "{both:?}");
    });
}

#[test]
fn a_session_that_is_replaced_is_whole_or_gone() {
    the_old_one_is_looked_up();
}

#[test]
fn a_session_that_replaces_another_is_whole_or_not_there() {
    the_new_one_is_looked_up();
}

#[test]
fn a_counter_is_used_once() {
    raced_for_a_counter();
}

#[test]
#[should_panic]
fn no_fence_of_the_writer_would_be_noticed() {
    weakened(Weakening::WriterFence);
    the_old_one_is_looked_up();
}

#[test]
#[should_panic]
fn showing_a_session_with_relaxed_would_be_noticed() {
    weakened(Weakening::Publish);
    the_new_one_is_looked_up();
}

#[test]
#[should_panic]
fn not_reading_the_generation_again_would_be_noticed() {
    weakened(Weakening::ReadAgain);
    the_old_one_is_looked_up();
}

#[test]
#[should_panic]
fn charging_whatever_is_in_the_slot_would_be_noticed() {
    weakened(Weakening::Charge);
    the_old_one_is_looked_up();
}

#[test]
#[should_panic]
fn storing_a_word_without_comparing_would_be_noticed() {
    weakened(Weakening::Exchange);
    raced_for_a_counter();
}
