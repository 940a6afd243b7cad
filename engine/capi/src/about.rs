//! What the library tells of itself: versions, the names of codes, the table of settings.

#![expect(unsafe_code, reason = "no_mangle counts as unsafe; tests/tidy allows no other here")]

use core::ffi::c_char;
use core::ptr;

use herald_runtime::PROPERTIES;

use crate::call::call;
use crate::failure::Failure;
use crate::status::{STATUSES, Status};

/// Counts up when a program linked with an older library would no longer run. It is the number in the library's
/// name.
pub const ABI_VERSION: u32 = 1;

/// What `herald_property_text` can tell, with the names in C and what they mean.
pub const PROPERTY_FIELDS: &[(i32, &str, &str)] = &[
    (0, "HERALD_PROPERTY_NAME", "Its name."),
    (1, "HERALD_PROPERTY_FORM", "The form of its value."),
    (2, "HERALD_PROPERTY_DEFAULT", "Its default, in words where it is not a value."),
    (3, "HERALD_PROPERTY_MEANING", "What it means."),
];

/// `major << 16 | minor << 8 | patch` of this version.
pub fn version() -> u32 {
    let part = |text: &str| text.parse::<u32>().expect("cargo writes versions as numbers");
    let (major, minor) = (part(env!("CARGO_PKG_VERSION_MAJOR")), part(env!("CARGO_PKG_VERSION_MINOR")));
    major << 16 | minor << 8 | part(env!("CARGO_PKG_VERSION_PATCH"))
}

/// [any thread] The version of the library that is running, major << 16 | minor << 8 | patch; compare it with
/// HERALD_VERSION, that of the header. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn herald_version() -> u32 {
    version()
}

/// [any thread] The version of the binary interface; programs made with another HERALD_ABI_VERSION must not go on.
/// Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn herald_abi_version() -> u32 {
    ABI_VERSION
}

/// [any thread] Copies the name of a status, as in "HERALD_IN_USE". Since 0.1.
///
/// buffer takes capacity bytes: the name and a NUL. *length, unless length is NULL, is told the bytes without the NUL,
/// also with HERALD_BUFFER_TOO_SMALL. HERALD_OUT_OF_RANGE if there is no such status.
#[unsafe(no_mangle)]
pub extern "C" fn herald_status_name(
    status: i32,
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> Status {
    call(ptr::null_mut(), |scope| {
        let row = STATUSES.iter().find(|row| row.0 as i32 == status);
        let (known, _, _) = row.ok_or_else(|| Failure::new(Status::OutOfRange, "no such status"))?;
        scope.buffer(buffer.cast(), capacity, length).text(known.name())
    })
}

/// [any thread] How many properties there are to open an engine with. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn herald_property_count() -> usize {
    PROPERTIES.len()
}

/// [any thread] Copies a text about property index, counted from 0: field is one of HERALD_PROPERTY_*. Since 0.1.
///
/// buffer takes capacity bytes: the text and a NUL. *length, unless length is NULL, is told the bytes without the NUL,
/// also with HERALD_BUFFER_TOO_SMALL. HERALD_OUT_OF_RANGE if there is no such property or field.
#[unsafe(no_mangle)]
pub extern "C" fn herald_property_text(
    index: usize,
    field: i32,
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> Status {
    call(ptr::null_mut(), |scope| {
        let none = || Failure::new(Status::OutOfRange, "no such property, or no such field of it");
        let property = PROPERTIES.get(index).ok_or_else(none)?;
        let text = match field {
            0 => property.name,
            1 => property.form,
            2 => property.default,
            3 => property.meaning,
            _ => return Err(none()),
        };
        scope.buffer(buffer.cast(), capacity, length).text(text)
    })
}
