//! What a plugin may ask its host for.

use core::fmt;

use crate::abi;
use crate::discovery::{Answer, Ticket, write_answer};

/// How weighty something said to the operator is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Something does not work until somebody acts.
    Error,
    /// Something needs an eye.
    Warning,
    /// The plugin goes on as it should.
    Info,
}

/// The host. To be used until the plugin's instance is dropped, from any thread.
#[derive(Clone, Copy)]
pub struct Host(&'static abi::Host);

// SAFETY: the header promises that every function of the host may be called from any thread.
unsafe impl Send for Host {}
// SAFETY: as above.
unsafe impl Sync for Host {}

/// The question is over, or was answered before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLate;

impl Host {
    /// The host at `host`, if it speaks this interface and has all of its functions.
    ///
    /// # Safety
    /// `host` is null or points to a table that lives until the instance that is being opened has been closed.
    pub(crate) unsafe fn at(host: *const abi::Host) -> Option<Self> {
        // SAFETY: the caller's promise; an instance does not use it once it is closed.
        let host = unsafe { host.as_ref::<'static>() }?;
        let is_known = host.abi_major == abi::ABI_MAJOR
            && usize::try_from(host.struct_size).is_ok_and(|size| size >= size_of::<abi::Host>())
            && host.log.is_some()
            && host.random.is_some()
            && host.wall_ms.is_some()
            && host.steady_ms.is_some()
            && host.answer.is_some();
        is_known.then_some(Self(host))
    }

    /// Says something to the operator: no secrets, no full telephone numbers.
    pub fn log(&self, level: Level, text: &str) {
        let level = match level {
            Level::Error => abi::LOG_ERROR,
            Level::Warning => abi::LOG_WARNING,
            Level::Info => abi::LOG_INFO,
        };
        let log = self.0.log.expect("checked when it was opened");
        // SAFETY: the header's contract; the text is borrowed for the call.
        unsafe { log(self.0.context, level, text.as_ptr().cast(), text.len()) };
    }

    /// Fills `out` with randomness for keys.
    pub fn random(&self, out: &mut [u8]) {
        let random = self.0.random.expect("checked when it was opened");
        // SAFETY: the header's contract; `out` is ours for the call.
        unsafe { random(self.0.context, out.as_mut_ptr(), out.len()) };
    }

    /// Milliseconds since the Unix epoch.
    pub fn wall_ms(&self) -> u64 {
        let wall_ms = self.0.wall_ms.expect("checked when it was opened");
        // SAFETY: the header's contract.
        unsafe { wall_ms(self.0.context) }
    }

    /// Milliseconds of a clock that never steps back; deadlines are on it.
    pub fn steady_ms(&self) -> u64 {
        let steady_ms = self.0.steady_ms.expect("checked when it was opened");
        // SAFETY: the header's contract.
        unsafe { steady_ms(self.0.context) }
    }

    /// Answers a question that [`find`](crate::Discovery::find) left pending; `None` if it cannot be answered.
    ///
    /// # Errors
    /// [`TooLate`]; the host has counted it.
    pub fn answer(&self, ticket: Ticket, answer: Option<&Answer>) -> Result<(), TooLate> {
        let answer_function = self.0.answer.expect("checked when it was opened");
        let mut place = Box::new(abi::Answer {
            struct_size: size_of::<abi::Answer>(),
            flags: 0,
            fresh_s: 0,
            note_len: 0,
            uris_len: 0,
            note: [0; abi::ANSWER_NOTE_BYTES],
            uris: [0; abi::ANSWER_URIS_BYTES],
        });
        let result = answer.map_or(abi::FAILED, |answer| write_answer(&mut place, answer));
        // SAFETY: the header's contract; the answer is borrowed for the call.
        match unsafe { answer_function(self.0.context, ticket.0, result, &raw const *place) } {
            abi::OK => Ok(()),
            _ => Err(TooLate),
        }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Host")
    }
}
