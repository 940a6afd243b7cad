//! The barrier: what a plugin throws ends here, and its words become one line.

use core::ffi::{c_char, c_int, c_void};

use crate::limits::{PLUGIN_LOG_BYTES_MAX, PLUGIN_TEXT_BYTES_MAX};

unsafe extern "C-unwind" {
    fn herald_runtime_guarded(
        work: unsafe extern "C-unwind" fn(*mut c_void),
        context: *mut c_void,
        what: *mut c_char,
        what_bytes: usize,
    ) -> c_int;
}

/// Runs `work`, which calls a plugin and nothing else. What it throws comes back in words.
pub(super) fn guarded<F: FnMut()>(mut work: F) -> Result<(), String> {
    unsafe extern "C-unwind" fn run<F: FnMut()>(work: *mut c_void) {
        // SAFETY: the closure below, which waits for us.
        unsafe { (*work.cast::<F>())() }
    }
    let mut what = [0; PLUGIN_TEXT_BYTES_MAX];
    // SAFETY: the barrier hands `work` through to `run` of its type and writes no further than it is told.
    let code =
        unsafe { herald_runtime_guarded(run::<F>, (&raw mut work).cast(), what.as_mut_ptr(), what.len()) };
    if code == 0 {
        return Ok(());
    }
    let words: Vec<_> = what.iter().take_while(|&&byte| byte != 0).map(|byte| byte.cast_unsigned()).collect();
    Err(format!("threw an exception: {}", plain(&words)))
}

/// A plugin's words in one line of bounded length.
pub(crate) fn plain(words: &[u8]) -> String {
    let words = &words[..words.len().min(PLUGIN_LOG_BYTES_MAX)];
    String::from_utf8_lossy(words).chars().map(|sign| if sign.is_control() { ' ' } else { sign }).collect()
}
