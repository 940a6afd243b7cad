//! What the process is: which of those that were forked one from the other, and which signals a thread hears.

#![expect(unsafe_code, reason = "the boundary to the system: pages and signal masks")]

use core::ffi::c_int;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};

/// Generations of processes that can be told apart: this one and its ancestors that called in. In a process with more
/// of them every call is refused.
pub(crate) const GENERATIONS: usize = 8;

/// A page that the kernel empties in a forked child. NULL until the first call, or if the kernel has no such pages.
static MARK: AtomicPtr<AtomicU32> = AtomicPtr::new(ptr::null_mut());
/// Where there are no such pages (before Linux 4.14): the process of the first call, 0 until then. In its children every
/// call is refused.
static CALLER: AtomicU32 = AtomicU32::new(0);
/// Of the process that last called in, which may be an ancestor of this one.
static GENERATION: AtomicUsize = AtomicUsize::new(0);

/// What the page says. A forked child finds it empty.
const FORKED: u32 = 0;
/// A thread of this process begins its generation.
const BEGINNING: u32 = 1;
/// This process has begun its generation.
const BEGUN: u32 = 2;

/// Lets a call in; the first in a forked child begins a new [`generation`]. False if it cannot be let in. No system call
/// and no lock, but for the first call of a process.
pub(crate) fn enter() -> bool {
    // Acquire: pairs with the Release in `mark_process`, so that whoever sees the page sees what it says.
    let mark = MARK.load(Ordering::Acquire);
    if mark.is_null() {
        return mark_process();
    }
    // SAFETY: the page is mapped, aligned and never unmapped.
    let mark = unsafe { &*mark };
    // Acquire: pairs with the Release in `begin_generation`, so that whoever sees that it has begun sees which.
    if mark.load(Ordering::Acquire) != BEGUN {
        begin_generation(mark);
    }
    generation() < GENERATIONS
}

/// How manieth this process is, counted from 0, of those forked one from the other that called in. Of one that did not
/// call in: that of its parent.
pub(crate) fn generation() -> usize {
    GENERATION.load(Ordering::Relaxed)
}

/// The first call of a process that was not forked from one that had called in.
#[cold]
fn mark_process() -> bool {
    let caller = CALLER.load(Ordering::Relaxed);
    if caller != 0 {
        return caller == std::process::id();
    }
    let Some(page) = page_wiped_on_fork() else {
        CALLER.store(std::process::id(), Ordering::Relaxed);
        return true;
    };
    // Release: pairs with the Acquire in `enter`. Who comes second keeps a page that nobody looks at.
    let _ = MARK.compare_exchange(ptr::null_mut(), page, Ordering::Release, Ordering::Relaxed);
    true
}

/// The first call of a forked child. Other threads of it wait for the two stores between its beginning and its end.
#[cold]
fn begin_generation(mark: &AtomicU32) {
    if mark.compare_exchange(FORKED, BEGINNING, Ordering::Acquire, Ordering::Acquire).is_ok() {
        GENERATION.store((generation() + 1).min(GENERATIONS), Ordering::Relaxed);
        // Release: pairs with the Acquire here and in `enter`.
        mark.store(BEGUN, Ordering::Release);
    }
    while mark.load(Ordering::Acquire) != BEGUN {
        std::thread::yield_now();
    }
}

/// A page that says that the generation has begun, which a forked child finds empty. It stays for the life of the process.
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
    unsafe { mark.write(AtomicU32::new(BEGUN)) };
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
