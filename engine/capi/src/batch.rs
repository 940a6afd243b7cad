//! Many placements or numbers in one call: what is said of one in `engine`, for each of them.

#![expect(unsafe_code, reason = "no_mangle counts as unsafe; tests/tidy allows no other here")]

use core::ffi::c_char;

use herald_runtime::EngineError;
use herald_runtime::core::{PlacementClass, PlacementId, Problem, TelephoneNumber};

use crate::boundary::{Engine, Error, Items, Number, Placement, Scope, Stored};
use crate::call::call;
use crate::engine::{sealed_body, with};
use crate::failure::Failure;
use crate::items;
use crate::limits::{NUMBERS_MAX, PLACEMENTS_MAX};
use crate::sealing::called_number;
use crate::status::Status;

/// [any thread] Stores each of count sealed PASSporTs under its called number, at most 65,536. Since 0.1.
///
/// results takes count structs, written on success: what came of each placement, in their order, so HERALD_OK of the
/// call says that each has a result, not that each was stored. Returns when all that were are as durable as the property
/// durability says; with synced one wait for the disk does for all. After a failure of the call some may be stored.
#[unsafe(no_mangle)]
pub extern "C" fn herald_store_batch(
    engine: *mut Engine,
    placements: *const Placement,
    count: usize,
    results: *mut Stored,
    error: *mut *mut Error,
) -> Status {
    call(error, |scope| store_each(scope, engine, PlacementClass::Call, placements, count, results))
}

/// [any thread] Stores each of count sealed PASSporTs of messages (RFC 9475) under its called number. Since 0.1.
///
/// As herald_store_batch, for what is kept as long as the property message_retention says, which calls are not;
/// HERALD_BAD_VALUE if that is not set, of a client at its service, which is asked if there is anything to store, and then
/// none is stored. Retrieving shows calls and messages in one list.
#[unsafe(no_mangle)]
pub extern "C" fn herald_store_messages(
    engine: *mut Engine,
    placements: *const Placement,
    count: usize,
    results: *mut Stored,
    error: *mut *mut Error,
) -> Status {
    call(error, |scope| store_each(scope, engine, PlacementClass::Message, placements, count, results))
}

fn store_each(
    scope: &Scope,
    engine: *mut Engine,
    class: PlacementClass,
    placements: *const Placement,
    count: usize,
    results: *mut Stored,
) -> Result<(), Failure> {
    let given = scope.array(placements, count, PLACEMENTS_MAX, "placements")?;
    let out = scope.outs(results, count, "results")?;
    let read: Vec<_> = given.into_iter().map(|placement| read_placement(scope, placement)).collect();
    let good: Vec<_> = read.iter().filter_map(|placement| placement.as_ref().ok().copied()).collect();
    let mut done = with(engine, |open| Ok(open.engine.store_batch_of(class, &good)?))?.into_iter();
    out.set(read.into_iter().map(|placement| match placement {
        Ok(_) => stored(done.next().expect("a result for each")),
        Err(failure) => refused(failure.status),
    }));
    Ok(())
}

/// [any thread] Retrieves everything under each of count called numbers, at most 1,024. Since 0.1.
///
/// items takes count handles, written on success, in the order of the numbers; free each with herald_items_free. With a
/// number that is none the call fails. What herald_retrieve says of one holds for each; all have about the same moment.
#[unsafe(no_mangle)]
pub extern "C" fn herald_retrieve_batch(
    engine: *mut Engine,
    numbers: *const Number,
    count: usize,
    items: *mut *mut Items,
    error: *mut *mut Error,
) -> Status {
    call(error, |scope| {
        let given = scope.array(numbers, count, NUMBERS_MAX, "numbers")?;
        let out = scope.outs(items, count, "items")?;
        let read = |(index, Number { number, number_len }): (usize, Number)| {
            called_number(scope, number, number_len).map_err(|failure| {
                Failure::new(failure.status, format!("number {index} of {count}: {}", failure.message))
            })
        };
        let numbers = given.into_iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()?;
        let lists = with(engine, |open| Ok(open.engine.retrieve_batch(&numbers)?))?;
        items::hand_over_each(out, lists)
    })
}

fn read_placement(scope: &Scope, placement: Placement) -> Result<(TelephoneNumber, &[u8]), Failure> {
    let Placement { number, number_len, body, body_len } = placement;
    Ok((called_number(scope, number, number_len)?, sealed_body(scope, body, body_len)?))
}

fn stored(result: Result<PlacementId, Problem>) -> Stored {
    let id = match result {
        Ok(id) => id.to_hex(),
        Err(problem) => return refused(Failure::from(EngineError::from(problem)).status),
    };
    let mut text = [0; 33];
    for (sign, digit) in text.iter_mut().zip(id) {
        *sign = c_char::from_ne_bytes([digit]);
    }
    Stored { status: Status::Ok, id: text }
}

const fn refused(status: Status) -> Stored {
    Stored { status, id: [0; 33] }
}
