//! Error objects: the words of a failure, kept until C frees them.

#![expect(unsafe_code, reason = "no_mangle counts as unsafe; tests/tidy allows no other here")]

use core::ffi::c_char;

use crate::boundary::{Error, Scope};
use crate::call::{call, free};
use crate::failure::Failure;
use crate::handle::Table;
use crate::limits::ERRORS_MAX;
use crate::status::Status;

static ERRORS: Table<Failure> = Table::new(3, "error", ERRORS_MAX);

/// Gives `failure` to C under a handle, unless C does not want it.
pub(crate) fn hand_over(scope: &Scope, place: *mut *mut Error, failure: Failure) -> Result<(), Failure> {
    if place.is_null() {
        return Ok(());
    }
    let handle = ERRORS.insert(failure)?;
    scope.out(place, "error")?.set(handle);
    Ok(())
}

/// [any thread] The status that came with an error. Since 0.1.
///
/// Returns HERALD_NULL_ARGUMENT, HERALD_BAD_HANDLE or HERALD_CLOSED if error is none.
#[unsafe(no_mangle)]
pub extern "C" fn herald_error_status(error: *const Error) -> Status {
    let mut status = Status::Ok;
    let looked_up = call(core::ptr::null_mut(), |_| {
        status = ERRORS.get(error)?.status;
        Ok(())
    });
    if looked_up == Status::Ok { status } else { looked_up }
}

/// [any thread] Copies the message of an error: what failed, on what value, what to do; one line, UTF-8. Since 0.1.
///
/// buffer takes capacity bytes: the message and a NUL. *length, unless length is NULL, is told the bytes of the
/// message without the NUL, also with HERALD_BUFFER_TOO_SMALL.
#[unsafe(no_mangle)]
pub extern "C" fn herald_error_message(
    error: *const Error,
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> Status {
    call(core::ptr::null_mut(), |scope| {
        let failure = ERRORS.get(error)?;
        scope.buffer(buffer.cast(), capacity, length).text(&failure.message)
    })
}

/// [any thread] Frees an error. NULL is fine. Allowed inside callbacks. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn herald_error_free(error: *mut Error) -> Status {
    if error.is_null() {
        return Status::Ok;
    }
    free(|| ERRORS.remove(error).map(drop))
}
