//! What was retrieved, kept until C frees it.

#![expect(unsafe_code, reason = "no_mangle counts as unsafe; tests/tidy allows no other here")]

use core::ffi::c_char;

use herald_runtime::core::Item;

use crate::boundary::{Error, Items, Outs, Scope};
use crate::call::{call, free};
use crate::failure::Failure;
use crate::handle::Table;
use crate::limits::ITEMS_MAX;
use crate::status::Status;

static ITEMS: Table<Vec<Item>> = Table::new(2, "list of items", ITEMS_MAX);

/// Gives `items` to C under a handle.
pub(crate) fn hand_over(scope: &Scope, place: *mut *mut Items, items: Vec<Item>) -> Result<(), Failure> {
    let out = scope.out(place, "items")?;
    out.set(ITEMS.insert(items)?);
    Ok(())
}

/// Gives each of `lists` to C under a handle of its own, or none of them.
pub(crate) fn hand_over_each(places: Outs<'_, *mut Items>, lists: Vec<Vec<Item>>) -> Result<(), Failure> {
    let mut handles = Vec::with_capacity(lists.len());
    for list in lists {
        match ITEMS.insert(list) {
            Ok(handle) => handles.push(handle),
            Err(failure) => {
                for handle in handles {
                    ITEMS.remove(handle)?;
                }
                return Err(failure);
            }
        }
    }
    places.set(handles);
    Ok(())
}

/// [any thread] How many items there are. Since 0.1.
///
/// *count is written on success.
#[unsafe(no_mangle)]
pub extern "C" fn herald_items_count(
    items: *const Items,
    count: *mut usize,
    error: *mut *mut Error,
) -> Status {
    call(error, |scope| {
        let out = scope.out(count, "count")?;
        out.set(ITEMS.get(items)?.len());
        Ok(())
    })
}

/// [any thread] Copies the id of item index, counted from 0. Since 0.1.
///
/// buffer takes capacity bytes: 32 hexadecimal digits and a NUL, HERALD_ID_CAPACITY. *length, unless length is
/// NULL, is told the bytes without the NUL, also with HERALD_BUFFER_TOO_SMALL.
#[unsafe(no_mangle)]
pub extern "C" fn herald_items_id(
    items: *const Items,
    index: usize,
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
    error: *mut *mut Error,
) -> Status {
    call(error, |scope| {
        let items = ITEMS.get(items)?;
        let id = item(&items, index)?.id.to_string();
        scope.buffer(buffer.cast(), capacity, length).text(&id)
    })
}

/// [any thread] Copies the sealed bytes of item index, counted from 0. Since 0.1.
///
/// buffer takes capacity bytes; HERALD_BODY_CAPACITY is enough for any. *length, unless length is NULL, is told how
/// many there are, also with HERALD_BUFFER_TOO_SMALL.
#[unsafe(no_mangle)]
pub extern "C" fn herald_items_body(
    items: *const Items,
    index: usize,
    buffer: *mut u8,
    capacity: usize,
    length: *mut usize,
    error: *mut *mut Error,
) -> Status {
    call(error, |scope| {
        let items = ITEMS.get(items)?;
        scope.buffer(buffer, capacity, length).bytes(&item(&items, index)?.body)
    })
}

/// [any thread] Frees what was retrieved. NULL is fine. Allowed inside callbacks. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn herald_items_free(items: *mut Items) -> Status {
    if items.is_null() {
        return Status::Ok;
    }
    free(|| ITEMS.remove(items).map(drop))
}

fn item(items: &[Item], index: usize) -> Result<&Item, Failure> {
    items
        .get(index)
        .ok_or_else(|| Failure::new(Status::OutOfRange, format!("index {index} of {} items", items.len())))
}
