//! Sealing a PASSporT for the called side and opening it there, without an engine.

#![expect(unsafe_code, reason = "no_mangle counts as unsafe; tests/tidy allows no other here")]

use core::ffi::c_char;

use herald_runtime::SystemRandom;
use herald_runtime::core::TelephoneNumber;
use herald_runtime::core::limits::{BODY_BYTES_MAX, NUMBER_TEXT_BYTES_MAX};
use herald_runtime::stir::{SealingKey, SealingPublicKey, Suite, open, seal};
use zeroize::Zeroizing;

use crate::boundary::{Error, Scope};
use crate::call::call;
use crate::failure::Failure;
use crate::limits::{JWK_BYTES_MAX, PASSPORT_BYTES_MAX};
use crate::status::Status;

/// Reads a telephone number as C gives it.
pub(crate) fn called_number(
    scope: &Scope,
    text: *const c_char,
    len: usize,
) -> Result<TelephoneNumber, Failure> {
    let bytes = scope.bytes(text.cast(), len, NUMBER_TEXT_BYTES_MAX, "the number");
    let bytes = bytes.map_err(|failure| match failure.status {
        Status::BadSize => Failure::new(Status::BadNumber, failure.message),
        _ => failure,
    })?;
    Ok(TelephoneNumber::parse(bytes)?)
}

/// [any thread] Makes a sealing key of the called side: X25519, as a private JWK (RFC 8037). Since 0.1.
///
/// buffer takes capacity bytes: the text and a NUL, HERALD_JWK_CAPACITY is enough. *length, unless length is NULL, is
/// told the bytes without the NUL, also with HERALD_BUFFER_TOO_SMALL; then no key was made. The text is a secret.
#[unsafe(no_mangle)]
pub extern "C" fn herald_key_generate(
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
    error: *mut *mut Error,
) -> Status {
    call(error, |scope| {
        let key = SealingKey::generate(Suite::X25519, &SystemRandom);
        scope.buffer(buffer.cast(), capacity, length).text(&key.to_jwk())
    })
}

/// [any thread] The public JWK of a private one: what the called side publishes. Since 0.1.
///
/// buffer takes capacity bytes: the text and a NUL. *length, unless length is NULL, is told the bytes without the NUL,
/// also with HERALD_BUFFER_TOO_SMALL.
#[unsafe(no_mangle)]
pub extern "C" fn herald_key_public(
    key: *const c_char,
    key_len: usize,
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
    error: *mut *mut Error,
) -> Status {
    call(error, |scope| {
        let key = SealingKey::from_jwk(scope.text(key, key_len, JWK_BYTES_MAX, "the key")?)?;
        scope.buffer(buffer.cast(), capacity, length).text(&key.public_key().to_jwk())
    })
}

/// [any thread] Seals a PASSporT for a called number with a key of the called side (HPKE, RFC 9180). Since 0.1.
///
/// recipient is a public JWK, number a telephone number as people or SIP write it, passport UTF-8. buffer takes
/// capacity bytes; HERALD_BODY_CAPACITY is enough for any. *length, unless length is NULL, is told how many there
/// are (one of the sizes that herald_store takes), also with HERALD_BUFFER_TOO_SMALL. One key agreement.
#[unsafe(no_mangle)]
pub extern "C" fn herald_seal(
    recipient: *const c_char,
    recipient_len: usize,
    number: *const c_char,
    number_len: usize,
    passport: *const c_char,
    passport_len: usize,
    buffer: *mut u8,
    capacity: usize,
    length: *mut usize,
    error: *mut *mut Error,
) -> Status {
    call(error, |scope| {
        let key = scope.text(recipient, recipient_len, JWK_BYTES_MAX, "the recipient's key")?;
        let key = SealingPublicKey::from_jwk(key)?;
        let called = called_number(scope, number, number_len)?;
        let passport = scope.text(passport, passport_len, PASSPORT_BYTES_MAX, "the PASSporT")?;
        if passport.is_empty() {
            return Err(Failure::new(Status::BadSize, "the PASSporT is empty"));
        }
        scope.buffer(buffer, capacity, length).bytes(&seal(passport, called, &key, &SystemRandom)?)
    })
}

/// [any thread] Opens an item that was retrieved under a called number, if it was sealed with this key. Since 0.1.
///
/// key is a private JWK, number a telephone number as people or SIP write it. buffer takes capacity bytes: the
/// PASSporT and a NUL, HERALD_BODY_CAPACITY is enough. *length, unless length is NULL, is told the bytes without the
/// NUL, also with HERALD_BUFFER_TOO_SMALL. HERALD_DOES_NOT_OPEN is the answer to cover and to what is for others.
/// What opens is not verified yet. One key agreement.
#[unsafe(no_mangle)]
pub extern "C" fn herald_open(
    key: *const c_char,
    key_len: usize,
    number: *const c_char,
    number_len: usize,
    sealed: *const u8,
    sealed_len: usize,
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
    error: *mut *mut Error,
) -> Status {
    call(error, |scope| {
        let key = SealingKey::from_jwk(scope.text(key, key_len, JWK_BYTES_MAX, "the key")?)?;
        let called = called_number(scope, number, number_len)?;
        let sealed = scope.bytes(sealed, sealed_len, BODY_BYTES_MAX, "the sealed bytes")?;
        let passport = Zeroizing::new(open(sealed, called, core::slice::from_ref(&key))?);
        scope.buffer(buffer.cast(), capacity, length).text(&passport)
    })
}
