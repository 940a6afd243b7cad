//! What stands around every call from C: the fork check, the callback check, the barrier against panics, and the
//! way a failure goes out. It follows no pointer.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::boundary::{self, Error, Scope};
use crate::error;
use crate::failure::Failure;
use crate::status::Status;

thread_local! {
    /// The generation of the process in which this thread is inside a callback of the host. A child forked there is not.
    static IN_CALLBACK: Cell<Option<usize>> = const { Cell::new(None) };
    /// Where the last panic of this thread happened.
    static PANIC_PLACE: Cell<Option<String>> = const { Cell::new(None) };
}

/// Runs one call. A failure goes to `error`, unless that is NULL.
pub(crate) fn call(error: *mut *mut Error, work: impl FnOnce(&Scope) -> Result<(), Failure>) -> Status {
    if !boundary::enter() {
        // There are no tables for this process, so not even an error is made.
        return Status::Forked;
    }
    let work = |scope: &Scope| {
        #[cfg(test)]
        on_purpose::perhaps(on_purpose::Place::Call);
        if is_in_callback() { Err(in_callback()) } else { work(scope) }
    };
    let Err(failure) = caught(|| work(&Scope::new())) else { return Status::Ok };
    let status = failure.status;
    // To run out of error objects is no reason to lose the status.
    let _ = caught(|| error::hand_over(&Scope::new(), error, failure));
    status
}

/// Runs a call that frees something, which is allowed inside callbacks: it waits for nothing that the engine may hold.
pub(crate) fn free(work: impl FnOnce() -> Result<(), Failure>) -> Status {
    if !boundary::enter() {
        return Status::Forked;
    }
    let work = || {
        #[cfg(test)]
        on_purpose::perhaps(on_purpose::Place::Call);
        work()
    };
    caught(work).map_or_else(|failure| failure.status, |()| Status::Ok)
}

/// Runs `work`; a panic becomes a failure.
pub(crate) fn caught<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        // A payload may panic when dropped.
        core::mem::forget(payload);
        let place = PANIC_PLACE
            .try_with(Cell::take)
            .ok()
            .flatten()
            .map_or(String::new(), |place| format!(" at {place}"));
        let message = format!("an invariant is broken{place}; if an engine took part, close it");
        Err(Failure::new(Status::Panic, message))
    })
}

/// Runs `callback` of the host; calls from inside it are refused, since the engine may hold what they wait for.
pub(crate) fn inside_callback<T>(callback: impl FnOnce() -> T) -> T {
    let outer = IN_CALLBACK.replace(Some(boundary::generation()));
    let answer = callback();
    IN_CALLBACK.set(outer);
    answer
}

fn is_in_callback() -> bool {
    IN_CALLBACK.get().is_some_and(|inside| inside == boundary::generation())
}

#[cold]
fn in_callback() -> Failure {
    Failure::new(Status::InCallback, "called from inside a callback; return first")
}

/// Remembers where a panic happened, instead of printing it on the host's standard error.
pub(crate) fn remember_panic_place(place: String) {
    // A thread that ends has no place for it any more.
    let _ = PANIC_PLACE.try_with(|last| last.set(Some(place)));
}

/// Panics that tests ask for. The library has none of this.
#[cfg(test)]
pub(crate) mod on_purpose {
    use std::cell::Cell;

    /// Where.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Place {
        /// Behind the barrier of a function.
        Call,
        /// At work with an engine.
        Engine,
    }

    thread_local! {
        static NEXT: Cell<Option<Place>> = const { Cell::new(None) };
    }

    /// The next call of this thread that comes to `place` panics there.
    pub(crate) fn panic_next(place: Place) {
        NEXT.set(Some(place));
    }

    pub(crate) fn perhaps(place: Place) {
        if NEXT.get() == Some(place) {
            NEXT.set(None);
            panic!("on purpose");
        }
    }
}

#[cfg(test)]
mod tests {
    use core::ptr;

    use super::*;

    #[test]
    fn a_panic_becomes_a_status_and_the_next_call_works() {
        assert_eq!(call(ptr::null_mut(), |_| panic!("on purpose")), Status::Panic);
        assert_eq!(call(ptr::null_mut(), |_| Ok(())), Status::Ok);
    }

    #[test]
    fn a_call_from_inside_a_callback_is_refused_and_one_after_it_works() {
        inside_callback(|| {
            assert_eq!(call(ptr::null_mut(), |_| Ok(())), Status::InCallback);
            inside_callback(|| ());
            assert_eq!(call(ptr::null_mut(), |_| Ok(())), Status::InCallback);
        });
        assert_eq!(call(ptr::null_mut(), |_| Ok(())), Status::Ok);
    }
}
