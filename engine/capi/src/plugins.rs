//! Plugins as C sees them: linked into the program, or replaced while they serve. What a plugin is stands in
//! herald_plugin.h; what becomes of one is the runtime's.

#![expect(unsafe_code, reason = "no_mangle counts as unsafe; tests/tidy allows no other here")]

use core::ffi::c_char;
use std::path::Path;

use crate::boundary::{self, Engine, Error, PluginEntryFn};
use crate::call::call;
use crate::engine::with;
use crate::limits::{PROPERTY_NAME_BYTES_MAX, PROPERTY_VALUE_BYTES_MAX};
use crate::status::Status;

/// [any thread] Takes in a plugin that is linked into the program, by its entry function (herald_plugin.h). Between
/// herald_engine_open and herald_engine_start. Since 0.1.
///
/// Several are linked into one program by compiling each with another name: -Dherald_plugin_entry=NAME. HERALD_BAD_VALUE if
/// its table is not as the header says, or there is a plugin of its name. What it points to must live as long as the
/// process.
#[unsafe(no_mangle)]
pub extern "C" fn herald_plugin_register(
    engine: *mut Engine,
    entry: PluginEntryFn,
    error: *mut *mut Error,
) -> Status {
    call(error, |_| {
        let entry = boundary::plugin_entry(entry)?;
        with(engine, |open| open.living(|| Ok(open.engine.register_plugin(entry)?)))
    })
}

/// [any thread] Puts the code of the shared object path (absolute) into the place of the plugin name while it serves.
/// Since 0.1.
///
/// No question is lost: what was asked before is answered by what was there before. On failure that stays. Blocks while
/// the new code opens, 30 seconds at most; code is never unloaded.
#[unsafe(no_mangle)]
pub extern "C" fn herald_plugin_replace(
    engine: *mut Engine,
    name: *const c_char,
    name_len: usize,
    path: *const c_char,
    path_len: usize,
    error: *mut *mut Error,
) -> Status {
    call(error, |scope| {
        let name = scope.text(name, name_len, PROPERTY_NAME_BYTES_MAX, "name")?;
        let path = scope.text(path, path_len, PROPERTY_VALUE_BYTES_MAX, "path")?;
        with(engine, |open| {
            boundary::with_signals_blocked(|| Ok(open.engine.replace_plugin(name, Path::new(path))?))
        })
    })
}
