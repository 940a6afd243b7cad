//! Plugins as code: shared objects loaded, their tables checked, their functions called.
//!
//! Everything raw about plugins is in this module, and nothing else of this crate is: what a plugin says is copied and checked before
//! anybody sees it, and an exception it throws is words. Threads, deadlines and what a plugin is worth are the business
//! of [`crate::plugins`].

#![expect(unsafe_code, reason = "the plugin loader: their tables are read and called here and nowhere else")]

mod barrier;
mod host;
mod instance;
mod rate_control;

use core::ffi::{CStr, c_char, c_void};
use std::ffi::CString;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;

use herald_plugin_abi as abi;

use crate::limits::{PLUGIN_NAME_BYTES_MAX, PLUGIN_TEXT_BYTES_MAX, PLUGIN_TOKENS_MAX};
use barrier::guarded;

pub(crate) use barrier::plain;

pub(crate) use host::{HostServices, empty_answer};
pub(crate) use instance::{Asked, Instance};
pub(crate) use rate_control::{Judged, MadeKey, Obtained, Presented, Wanted};

/// What a plugin's table says, checked.
#[derive(Clone)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) summary: String,
    /// Whether several threads may call one instance at once.
    pub(crate) may_share: bool,
    functions: Functions,
}

#[derive(Clone, Copy)]
enum Functions {
    Discovery(abi::Discovery),
    RateControl(abi::RateControl),
}

/// What kind of plugin it is, with what its table says besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Discovery,
    RateControl(Scheme),
}

/// The token scheme of a rate control plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scheme {
    pub(crate) token_type: u16,
    pub(crate) modes: u32,
    pub(crate) count_max: u32,
    pub(crate) key_cost_ms: u32,
    pub(crate) request_type: String,
    pub(crate) response_type: String,
}

// SAFETY: a table is never written; what it points to lives as long as the process and may be used from any thread.
unsafe impl Send for Table {}
// SAFETY: as above.
unsafe impl Sync for Table {}

/// Loads the shared object in `file`, which nobody changes any more, and checks its table.
///
/// It is never unloaded. The loader takes a path it has seen before for the same object, so the path is spelled as no
/// living file's was: by the number of its inode.
pub(crate) fn load(file: &File) -> Result<Table, String> {
    let inode = file.metadata().map_err(|error| error.to_string())?.ino();
    let spelled =
        (0..u64::BITS - inode.leading_zeros()).map(|bit| if inode >> bit & 1 == 1 { "./" } else { "/" });
    let path = format!("/proc/self/fd/{}{}", spelled.collect::<String>(), file.as_raw_fd());
    let path = CString::new(path).expect("it has no NUL");
    let mut object = core::ptr::null_mut();
    // SAFETY: a NUL-terminated path. Its constructors are the plugin's, which is as privileged as we are.
    guarded(|| object = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) })?;
    if object.is_null() {
        return Err(loader_words());
    }
    let symbol: *const c_char = abi::ENTRY_SYMBOL.as_ptr().cast();
    // SAFETY: an object that is open, and a NUL-terminated name.
    let entry = unsafe { libc::dlsym(object, symbol) };
    if entry.is_null() {
        return Err("it exports no herald_plugin_entry; is it a plugin?".to_owned());
    }
    // SAFETY: the header says what a function of this name is; a pointer is a function where objects are loaded.
    let entry = unsafe { core::mem::transmute::<*mut c_void, abi::Entry>(entry) };
    table(entry)
}

fn loader_words() -> String {
    // SAFETY: it gives a text of this thread, or null.
    let words = unsafe { libc::dlerror() };
    if words.is_null() {
        return "it cannot be loaded".to_owned();
    }
    // SAFETY: NUL-terminated, and of this thread until the next call of the loader.
    let words = unsafe { CStr::from_ptr(words) }.to_string_lossy();
    // The path is one of ours that says nothing.
    words.split_once(": ").map_or(&*words, |(_, why)| why).to_owned()
}

/// The checked table behind an entry function.
pub(crate) fn table(entry: abi::Entry) -> Result<Table, String> {
    let mut found = core::ptr::null();
    // SAFETY: the header's contract for the entry function.
    guarded(|| found = unsafe { entry() })?;
    if found.is_null() {
        return Err("its table is NULL".to_owned());
    }
    // SAFETY: whatever the version, a table begins with major, minor and size.
    let [major, minor] = unsafe { found.cast::<[u16; 2]>().read() };
    if major != abi::ABI_MAJOR {
        return Err(format!(
            "it is made for version {major}.{minor} of the plugin interface, this engine for {}.{}; compile it with \
             this engine's herald_plugin.h",
            abi::ABI_MAJOR,
            abi::ABI_MINOR
        ));
    }
    // SAFETY: as above.
    let size = unsafe { (*found).struct_size };
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    whole(size, size_of::<abi::Plugin>())?;
    // SAFETY: the table is that long.
    let head = unsafe { found.read() };
    let functions = match head.kind {
        abi::DISCOVERY => Functions::Discovery(part(found, size)?),
        abi::RATE_CONTROL => Functions::RateControl(part(found, size)?),
        kind => {
            return Err(format!("it is of kind {kind}; this engine knows 1, discovery, and 2, rate control"));
        }
    };
    functions.require_all()?;
    let name = text(head.name, "name", PLUGIN_NAME_BYTES_MAX)?;
    let is_plain = |sign: u8| sign.is_ascii_lowercase() || sign.is_ascii_digit() || sign == b'-';
    if name.is_empty() || !name.bytes().all(is_plain) {
        return Err(format!("its name {name:?} is not made of lower-case letters, digits and hyphens"));
    }
    Ok(Table {
        name,
        version: text(head.version, "version", PLUGIN_TEXT_BYTES_MAX)?,
        summary: text(head.summary, "summary", PLUGIN_TEXT_BYTES_MAX)?,
        may_share: head.flags & abi::THREADS != 0,
        functions,
    })
}

fn whole(size: usize, needed: usize) -> Result<(), String> {
    if size >= needed {
        return Ok(());
    }
    Err(format!(
        "its table has {size} bytes where this kind of plugin has {needed}; set struct_size to its sizeof"
    ))
}

/// The table of a kind, which begins with the head at `found`.
fn part<T: Copy>(found: *const abi::Plugin, size: usize) -> Result<T, String> {
    whole(size, size_of::<T>())?;
    // SAFETY: the table is that long, and each kind's table may be read as what the header says.
    Ok(unsafe { found.cast::<T>().read() })
}

/// A NUL-terminated text of a table, in one line.
fn text(text: *const c_char, of: &str, bytes_max: usize) -> Result<String, String> {
    if text.is_null() {
        return Err(format!("its {of} is NULL"));
    }
    let mut bytes = Vec::new();
    for index in 0..=bytes_max {
        // SAFETY: the text goes on until its NUL, which has not come yet.
        let byte = unsafe { text.wrapping_add(index).read() };
        if byte == 0 {
            let text = String::from_utf8(bytes).map_err(|_| format!("its {of} is not UTF-8"))?;
            if text.chars().any(char::is_control) {
                return Err(format!("its {of} has control characters in it"));
            }
            return Ok(text);
        }
        bytes.push(byte.cast_unsigned());
    }
    Err(format!("its {of} is longer than {bytes_max} bytes"))
}

impl Functions {
    const fn head(&self) -> &abi::Plugin {
        match self {
            Self::Discovery(table) => &table.plugin,
            Self::RateControl(table) => &table.plugin,
        }
    }

    /// All functions are there but those that may be NULL.
    fn require_all(&self) -> Result<(), String> {
        let there = match self {
            Self::Discovery(table) => vec![("find", table.find.is_some())],
            Self::RateControl(table) => vec![
                ("request_type", !table.request_type.is_null()),
                ("response_type", !table.response_type.is_null()),
                ("key_make", table.key_make.is_some()),
                ("key_add", table.key_add.is_some()),
                ("key_drop", table.key_drop.is_some()),
                ("request_count", table.request_count.is_some()),
                ("issue", table.issue.is_some()),
                ("redeem", table.redeem.is_some()),
                ("request", table.request.is_some()),
                ("finish", table.finish.is_some()),
            ],
        };
        let head = [("open", self.head().open.is_some())];
        match head.into_iter().chain(there).find(|(_, is_there)| !is_there) {
            None => Ok(()),
            Some((name, _)) => Err(format!("its {name} is NULL, and must not be")),
        }
    }
}

impl Table {
    /// Its kind.
    pub(crate) fn kind(&self) -> Result<Kind, String> {
        let Functions::RateControl(table) = &self.functions else { return Ok(Kind::Discovery) };
        let too_much = |what: &str| format!("its {what} is not to be had");
        let count_max = usize::try_from(table.count_max).unwrap_or(usize::MAX);
        if !(1..=PLUGIN_TOKENS_MAX).contains(&count_max) {
            return Err(too_much("count_max"));
        }
        Ok(Kind::RateControl(Scheme {
            token_type: u16::try_from(table.token_type).map_err(|_| too_much("token_type"))?,
            modes: table.modes,
            count_max: table.count_max,
            key_cost_ms: table.key_cost_ms,
            request_type: text(table.request_type, "request_type", PLUGIN_TEXT_BYTES_MAX)?,
            response_type: text(table.response_type, "response_type", PLUGIN_TEXT_BYTES_MAX)?,
        }))
    }
}
