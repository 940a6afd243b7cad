//! What the process is: whether it was forked off, and which signals a thread hears.

#![expect(unsafe_code, reason = "the boundary to the system: pages and signal masks")]

use core::ffi::c_int;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use parking_lot::Mutex;

/// A page that the kernel empties in a forked child. NULL until an engine is opened, or if the kernel has no such
/// pages.
static MARK: AtomicPtr<AtomicU32> = AtomicPtr::new(ptr::null_mut());
/// Where there are no such pages: the process that opened an engine. 0 until then.
static OPENER: AtomicU32 = AtomicU32::new(0);

/// Makes [`is_forked`] true in children of this process that are forked from now on.
pub(crate) fn mark_process() {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock();
    if !MARK.load(Ordering::Relaxed).is_null() || OPENER.load(Ordering::Relaxed) != 0 {
        return;
    }
    match page_wiped_on_fork() {
        // Release: pairs with the Acquire in `is_forked`, so that whoever sees the page sees the 1 in it.
        Some(page) => MARK.store(page, Ordering::Release),
        None => OPENER.store(std::process::id(), Ordering::Relaxed),
    }
}

/// Whether this process is a forked child of one that had opened an engine. No system call, as a rule.
pub(crate) fn is_forked() -> bool {
    // Acquire: pairs with the Release in `mark_process`.
    let mark = MARK.load(Ordering::Acquire);
    if mark.is_null() {
        let opener = OPENER.load(Ordering::Relaxed);
        return opener != 0 && opener != std::process::id();
    }
    // SAFETY: the page is mapped, aligned and never unmapped.
    let mark = unsafe { &*mark };
    mark.load(Ordering::Relaxed) == 0
}

/// A page with a 1 at its beginning, which a forked child finds empty. It stays for the life of the process.
fn page_wiped_on_fork() -> Option<*mut AtomicU32> {
    const PAGE_BYTES: usize = 4096;
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new private mapping touches no memory there is.
    let page = unsafe { libc::mmap(ptr::null_mut(), PAGE_BYTES, access, kind, -1, 0) };
    if page == libc::MAP_FAILED {
        return None;
    }
    // SAFETY: the mapping is ours and has this size.
    if unsafe { libc::madvise(page, PAGE_BYTES, libc::MADV_WIPEONFORK) } != 0 {
        // SAFETY: as above, and nobody else knows it.
        unsafe { libc::munmap(page, PAGE_BYTES) };
        return None;
    }
    let mark = page.cast::<AtomicU32>();
    // SAFETY: a page is large and aligned enough, and nobody else knows it.
    unsafe { mark.write(AtomicU32::new(1)) };
    Some(mark)
}

/// Sets a thread's signal mask back when dropped.
struct SignalMask(libc::sigset_t);

impl SignalMask {
    /// Blocks `signals` for the calling thread.
    fn block(signals: &libc::sigset_t) -> Self {
        let mut old = empty_signal_set();
        // SAFETY: both sets are initialised and live through the call. It fails only for a wrong first argument.
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, signals, &raw mut old) };
        Self(old)
    }
}

impl Drop for SignalMask {
    fn drop(&mut self) {
        // SAFETY: the set is initialised; no old one is asked for.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, ptr::null_mut()) };
    }
}

fn empty_signal_set() -> libc::sigset_t {
    let mut set = core::mem::MaybeUninit::uninit();
    // SAFETY: there is room for a set.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: `sigemptyset` initialises all of it.
    unsafe { set.assume_init() }
}

/// Runs `work` with every signal blocked, so that threads it starts leave the host's signals to the host.
pub(crate) fn with_signals_blocked<T>(work: impl FnOnce() -> T) -> T {
    let mut all = empty_signal_set();
    // SAFETY: the set is initialised.
    unsafe { libc::sigfillset(&raw mut all) };
    let _restored = SignalMask::block(&all);
    work()
}

/// Runs `work`, which writes to sockets on the host's thread, so that a peer that has gone brings no SIGPIPE.
pub(crate) fn without_sigpipe<T>(work: impl FnOnce() -> T) -> T {
    let mut pipe = empty_signal_set();
    // SAFETY: the set is initialised and the signal exists.
    unsafe { libc::sigaddset(&raw mut pipe, libc::SIGPIPE) };
    let was_pending = is_sigpipe_pending();
    let _restored = SignalMask::block(&pipe);
    let result = work();
    if !was_pending && is_sigpipe_pending() {
        let at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: set and time are initialised; no details are asked for. It takes the signal we caused.
        unsafe { libc::sigtimedwait(&raw const pipe, ptr::null_mut(), &raw const at_once) };
    }
    result
}

fn is_sigpipe_pending() -> bool {
    let mut pending = empty_signal_set();
    // SAFETY: there is room for a set.
    unsafe { libc::sigpending(&raw mut pending) };
    // SAFETY: the set is initialised and the signal exists.
    let is_member: c_int = unsafe { libc::sigismember(&raw const pending, libc::SIGPIPE) };
    is_member == 1
}
