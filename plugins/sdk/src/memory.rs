//! What the host hands over, as slices; and answers into its memory.

use core::slice;

use crate::abi;

/// The `count` values at `data`, or none where it is null.
///
/// # Safety
/// Unless it is null, `data` points to `count` values that nobody writes for `'a`.
pub(crate) unsafe fn values<'a, T>(data: *const T, count: usize) -> &'a [T] {
    if data.is_null() || count == 0 {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { slice::from_raw_parts(data, count) }
}

/// The `count` places at `data`, or none where it is null.
///
/// # Safety
/// Unless it is null, `data` points to `count` values that nobody else uses for `'a`.
pub(crate) unsafe fn places<'a, T>(data: *mut T, count: usize) -> &'a mut [T] {
    if data.is_null() || count == 0 {
        return &mut [];
    }
    // SAFETY: the caller's promise.
    unsafe { slice::from_raw_parts_mut(data, count) }
}

/// The text at `data`, or nothing where it is null or no UTF-8.
///
/// # Safety
/// As [`values`].
pub(crate) unsafe fn text<'a>(data: *const core::ffi::c_char, len: usize) -> &'a str {
    // SAFETY: the caller's promise.
    let bytes = unsafe { values(data.cast(), len) };
    core::str::from_utf8(bytes).unwrap_or("")
}

/// Copies whole characters of `text` that fit. Returns how many bytes.
pub(crate) fn copy_text(place: &mut [u8], text: &str) -> usize {
    let mut len = text.len().min(place.len());
    while !text.is_char_boundary(len) {
        len -= 1;
    }
    place[..len].copy_from_slice(&text.as_bytes()[..len]);
    len
}

/// Writes `value` into the host's memory: [`abi::OK`], or [`abi::SMALL`] with what is needed.
pub(crate) fn give(place: &mut abi::Bytes, value: &[u8]) -> i32 {
    place.len = value.len();
    if value.len() > place.capacity {
        return abi::SMALL;
    }
    if !value.is_empty() {
        // SAFETY: the host owns `capacity` bytes there, which nobody else uses meanwhile.
        unsafe { place.data.copy_from_nonoverlapping(value.as_ptr(), value.len()) };
    }
    abi::OK
}
