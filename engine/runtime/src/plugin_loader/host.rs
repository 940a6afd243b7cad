//! What a plugin may call, and the engine behind it.

use core::ffi::{c_char, c_void};
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::{process, slice};

use herald_plugin_abi as abi;

use super::barrier::plain;
use crate::limits::PLUGIN_LOG_BYTES_MAX;

/// What the engine does for a plugin.
pub(crate) trait HostServices: Send + Sync {
    fn log(&self, level: u32, words: &str);
    fn random(&self, out: &mut [u8]);
    fn wall_ms(&self) -> u64;
    fn steady_ms(&self) -> u64;
    /// Whether it was still wanted.
    fn answer(&self, ticket: u64, result: i32, answer: Option<&abi::Answer>) -> bool;
}

/// The host table of one instance, and behind it the engine. Never freed: a plugin that comes too late, against the
/// rules, must find it.
pub(super) struct Context {
    table: abi::Host,
    services: Arc<dyn HostServices>,
}

impl Context {
    pub(super) fn leaked(kind: u32, services: Arc<dyn HostServices>) -> &'static abi::Host {
        let table = abi::Host {
            abi_major: abi::ABI_MAJOR,
            abi_minor: abi::ABI_MINOR,
            struct_size: u32::try_from(size_of::<abi::Host>()).expect("a table is small"),
            kind,
            reserved: 0,
            context: core::ptr::null_mut(),
            log: Some(host_log),
            random: Some(host_random),
            wall_ms: Some(host_wall_ms),
            steady_ms: Some(host_steady_ms),
            answer: Some(host_answer),
        };
        let context = Box::leak(Box::new(Self { table, services }));
        context.table.context = core::ptr::from_mut(context).cast();
        &context.table
    }
}

/// Runs `work` with the services behind `context`; a panic of ours must not go through the plugin.
fn with_services<T>(context: *mut c_void, failed: T, work: impl FnOnce(&dyn HostServices) -> T) -> T {
    if context.is_null() {
        return failed;
    }
    // SAFETY: the plugin hands back what it was given, and contexts are never freed nor written.
    let services = unsafe { &(*context.cast::<Context>()).services };
    catch_unwind(AssertUnwindSafe(|| work(&**services))).unwrap_or(failed)
}

unsafe extern "C" fn host_log(context: *mut c_void, level: u32, words: *const c_char, len: usize) {
    if words.is_null() {
        return;
    }
    // SAFETY: the header's contract: `len` bytes.
    let words = unsafe { slice::from_raw_parts(words.cast::<u8>(), len.min(PLUGIN_LOG_BYTES_MAX)) };
    with_services(context, (), |services| services.log(level, &plain(words)));
}

unsafe extern "C" fn host_random(context: *mut c_void, out: *mut u8, len: usize) {
    if out.is_null() || len == 0 {
        return;
    }
    // SAFETY: the header's contract: `len` bytes of the plugin's.
    let out = unsafe { slice::from_raw_parts_mut(out, len) };
    let is_filled = with_services(context, false, |services| {
        services.random(out);
        true
    });
    if !is_filled {
        // The plugin takes what is there for random, and its keys would be known: nothing may come of that.
        let _ = io::stderr().write_all(b"herald: there is no randomness for a plugin; the process ends\n");
        process::abort();
    }
}

unsafe extern "C" fn host_wall_ms(context: *mut c_void) -> u64 {
    with_services(context, 0, |services| services.wall_ms())
}

unsafe extern "C" fn host_steady_ms(context: *mut c_void) -> u64 {
    with_services(context, 0, |services| services.steady_ms())
}

unsafe extern "C" fn host_answer(
    context: *mut c_void,
    ticket: u64,
    result: i32,
    answer: *const abi::Answer,
) -> i32 {
    let answer = if answer.is_null() { None } else { copied(answer) };
    let is_wanted =
        with_services(context, false, |services| services.answer(ticket, result, answer.as_deref()));
    if is_wanted { abi::OK } else { abi::REFUSED }
}

/// As much of an answer as the plugin says it has.
fn copied(answer: *const abi::Answer) -> Option<Box<abi::Answer>> {
    // SAFETY: the header's contract: an answer begins with its size.
    let size = unsafe { (*answer).struct_size };
    let mut copy = empty_answer();
    // SAFETY: a struct of this size is there, and as much is taken as there is room for.
    unsafe {
        answer
            .cast::<u8>()
            .copy_to_nonoverlapping((&raw mut *copy).cast(), size.min(size_of::<abi::Answer>()))
    };
    Some(copy)
}

/// A place for an answer.
pub(crate) fn empty_answer() -> Box<abi::Answer> {
    Box::new(abi::Answer {
        struct_size: size_of::<abi::Answer>(),
        flags: 0,
        fresh_s: 0,
        note_len: 0,
        uris_len: 0,
        note: [0; abi::ANSWER_NOTE_BYTES],
        uris: [0; abi::ANSWER_URIS_BYTES],
    })
}
