//! Reading ranges back: what was written comes back, and nothing else gets through or panics.
#![cfg(not(loom))]

mod common;

use core::ops::ControlFlow;

use common::{Random, at, id, number, placement};
use herald_core::PlacementStore;
use herald_log::{DrainCursor, LogConfig, PlacementLog, limits, records};

/// A range with records of these body sizes.
fn range(sizes: &[usize]) -> Vec<u8> {
    let log = PlacementLog::create(LogConfig {
        arena_bytes: 1 << 20,
        segment_bytes: limits::SEGMENT_BYTES_MIN * 2,
        hash_key: [5; 32],
        handles_max: 1,
    })
    .expect("a valid configuration");
    let mut handle = log.handle().expect("one");
    for (name, &size) in (0..).zip(sizes) {
        let mut body = vec![0; size];
        let new = placement(number(name), id(name, 1), 1000 + name, &mut body);
        handle.append(&new, 1, at(0)).expect("room");
    }
    let mut bytes = Vec::new();
    let _ = log.drain(&mut DrainCursor::default(), &mut |range| {
        bytes.extend_from_slice(range.bytes);
        ControlFlow::Continue(())
    });
    bytes
}

#[test]
fn records_come_back_as_they_were_appended() {
    let sizes = [640, 1, 7, 8, 9, 8192, 1024];
    let bytes = range(&sizes);
    assert_eq!(bytes.len() % 64, 0);
    let mut count = 0;
    for ((name, &size), record) in (0..).zip(&sizes).zip(records(&bytes)) {
        let record = record.expect("a whole record");
        let mut body = vec![0; size];
        let expected = placement(number(name), id(name, 1), 1000 + name, &mut body);
        assert_eq!(
            (record.number, record.id, record.expires_at),
            (expected.number, expected.id, expected.expires_at)
        );
        assert_eq!(record.body, expected.body);
        count += 1;
    }
    assert_eq!(count, sizes.len());
    assert_eq!(records(&bytes).count(), sizes.len());
}

#[test]
fn no_bytes_are_no_records() {
    assert_eq!(records(&[]).count(), 0);
}

#[test]
fn the_address_of_the_previous_record_is_ignored() {
    let mut bytes = range(&[100]);
    bytes[..8].fill(0xff);
    assert!(records(&bytes).all(|record| record.is_ok()));
}

#[test]
fn a_fault_is_reported_with_its_place_and_ends_the_reading() {
    let good = range(&[100, 100]);
    let second = good.len() / 2;
    let with = |offset: usize, value: &[u8]| {
        let mut bytes = good.clone();
        bytes[second + offset..second + offset + value.len()].copy_from_slice(value);
        bytes
    };
    let cases = [
        (good[..second + 47].to_vec(), "ends within its header"),
        (good[..second + 1].to_vec(), "ends within its header"),
        (good[..good.len() - 1].to_vec(), "ends within its body"),
        (good[..second + 48].to_vec(), "ends within its body"),
        (with(40, &99u32.to_le_bytes()), "0 is due"),
        (with(40, &145u32.to_le_bytes()), "ends within its body"),
        (with(40, &0u32.to_le_bytes()), "a body length out of bounds"),
        (with(40, &8193u32.to_le_bytes()), "a body length out of bounds"),
        (with(40, &u32::MAX.to_le_bytes()), "a body length out of bounds"),
        (with(44, &[0, 0, 0, 1]), "0 is due"),
        (with(191, &[1]), "0 is due"),
        (with(8, &0u64.to_le_bytes()), "not a telephone number"),
        (with(8, &u64::MAX.to_le_bytes()), "not a telephone number"),
        (with(8, &[1]), "not a telephone number"),
    ];
    for (bytes, expected) in cases {
        let mut read = records(&bytes);
        assert!(read.next().is_some_and(|record| record.is_ok()), "the record before the fault, {expected}");
        let error = read.next().expect("a fault").expect_err(expected);
        assert_eq!(error.position(), second, "{expected}");
        let message = error.to_string();
        assert!(message.contains(expected), "{message}, not {expected}");
        assert!(read.next().is_none());
    }
}

#[test]
fn damaged_ranges_give_errors_or_records_within_bounds_and_never_more_bytes_than_there_are() {
    let good = range(&[640, 20, 33, 1024]);
    let mut random = Random(0xdead_beef);
    let mut faults = 0;
    for _ in 0..20_000 {
        let mut bytes = good.clone();
        let mut place = |end: usize| usize::try_from(random.next()).expect("64 bits") % end;
        bytes.truncate(place(good.len()) + 1);
        for _ in 0..place(4) {
            let at = place(bytes.len());
            bytes[at] ^= 1 << place(8);
        }
        let mut total = 0;
        for record in records(&bytes) {
            match record {
                Ok(record) => total += 48 + record.body.len(),
                Err(_) => faults += 1,
            }
        }
        assert!(total <= bytes.len());
    }
    assert!(faults > 10_000, "only {faults} faults were noticed");
}
