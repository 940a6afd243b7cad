//! The barrier: no panic leaves a plugin, and the host is told why something failed.

use core::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::abi;
use crate::memory;

/// Runs `work`; a panic is a failure whose words go to `told`.
pub(crate) fn guarded<T>(told: &dyn Fn(&str), failed: T, work: impl FnOnce() -> T) -> T {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(value) => value,
        Err(payload) => {
            let words = words(&*payload);
            // The payload's own drop may panic too; nobody needs it any more.
            core::mem::forget(payload);
            told(&words);
            failed
        }
    }
}

fn words(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("without words"))
}

/// Writes `words` into the host's reason, as much of them as fits.
pub(crate) fn give_reason(reason: *mut abi::Reason, words: &str) {
    // SAFETY: the host hands over a reason that it owns and nobody else uses meanwhile, or null.
    let Some(reason) = (unsafe { reason.as_mut() }) else { return };
    reason.len = memory::copy_text(&mut reason.text, words);
}
