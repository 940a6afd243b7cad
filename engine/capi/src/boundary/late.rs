//! What C++ would run when the library is loaded, run when it is needed.
//!
//! RocksDB has constructors of globals, some two hundred. A host that keeps placements in memory, or asks an engine
//! elsewhere, needs none of them, and one that loads a module wants none of them run before it has said a word. The
//! shared library is linked with `late-init.ld`, which puts them into a table that no loader knows. In a program
//! that is linked with the static library they run before `main`, as all of its own do, and there is no table.
//!
//! Nor is anything of RocksDB destroyed when the process ends: constructed late it would be destroyed early, before
//! the host's own statics and handlers, which may close an engine or let its threads write until then. In the static
//! library `scripts/install.sh` sees to that.

#![expect(unsafe_code, reason = "the boundary to C++: functions that the linker lists")]

#[cfg(target_os = "linux")]
use core::ffi::{c_int, c_void};
use std::sync::Once;

/// Runs the constructors of C++'s globals unless they ran. Before anything of RocksDB is called; not in a child that
/// was forked meanwhile, for which it would wait in vain.
pub(crate) fn construct_globals() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for constructor in table::constructors() {
            constructor();
        }
    });
}

/// What the libraries that are installed have for `__cxa_atexit`, with which C++ would register destructors: it registers
/// none. They would free memory, of a library that is never unmapped, and end threads, of a process that ends.
#[cfg(target_os = "linux")]
#[unsafe(link_section = ".text.herald_at_exit")]
extern "C" fn at_exit(_: *const c_void, _: *const c_void, _: *const c_void) -> c_int {
    0
}

/// The linker and `scripts/install.sh` look for the function, by its section.
#[cfg(target_os = "linux")]
#[used]
static AT_EXIT: extern "C" fn(*const c_void, *const c_void, *const c_void) -> c_int = at_exit;

#[cfg(target_os = "linux")]
mod table {
    /// Takes what loaders give it, which is nothing that C++ reads.
    type Constructor = extern "C" fn();

    // Two addresses, both 0 if nobody defines them.
    core::arch::global_asm!(
        ".pushsection .data.rel.ro.herald_late_init, \"aw\", %progbits",
        ".balign 8",
        ".globl herald_late_init_table",
        ".hidden herald_late_init_table",
        "herald_late_init_table:",
        ".weak herald_late_init_begin",
        ".hidden herald_late_init_begin",
        ".8byte herald_late_init_begin",
        ".weak herald_late_init_end",
        ".hidden herald_late_init_end",
        ".8byte herald_late_init_end",
        ".popsection",
    );

    unsafe extern "C" {
        static herald_late_init_table: [*const Constructor; 2];
    }

    /// The constructors in the order in which the linker met them.
    pub(super) fn constructors() -> &'static [Constructor] {
        // SAFETY: defined above, two addresses that nobody writes to.
        let [begin, end] = unsafe { herald_late_init_table };
        if begin.is_null() {
            return &[];
        }
        let count = (end.addr() - begin.addr()) / size_of::<Constructor>();
        // SAFETY: late-init.ld puts both names around an array of such addresses, which are constant once the
        // library is loaded.
        unsafe { core::slice::from_raw_parts(begin, count) }
    }
}

#[cfg(not(target_os = "linux"))]
mod table {
    /// None: the loader ran them.
    pub(super) fn constructors() -> &'static [extern "C" fn()] {
        &[]
    }
}
