//! The host that a plugin meets in a test, and an instance on it.

use core::ffi::{CStr, c_char, c_void};
use core::slice;
use std::collections::HashMap;
use std::ffi::CString;
use std::fs::File;
use std::io::Read;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::abi;
use crate::host::Host;
use crate::memory;

/// How long a question waits for its answer, in ms.
pub const WAIT_MS: u64 = 5_000;

/// The entry function of a plugin in Rust.
pub(super) type Entry = extern "C-unwind" fn() -> *const abi::Plugin;

type RandomFn = dyn FnMut(&mut [u8]) + Send;

/// A host for tests. It is never freed, so that a plugin that comes late does no harm.
pub struct Stage {
    began: Instant,
    random: Mutex<Box<RandomFn>>,
    heard: Mutex<Vec<String>>,
    questions: Mutex<Questions>,
    changed: Condvar,
}

#[derive(Default)]
struct Questions {
    last: u64,
    /// The open ones; answered ones with what the plugin said.
    answers: HashMap<u64, Option<(i32, Box<abi::Answer>)>>,
    late_count: usize,
}

impl Stage {
    /// With the system's randomness.
    pub fn new() -> &'static Self {
        let source = Mutex::new(File::open("/dev/urandom").expect("the system has randomness"));
        Self::with_random(move |out| lock(&source).read_exact(out).expect("the system has randomness"))
    }

    /// With randomness from `random`: for test vectors.
    pub fn with_random(random: impl FnMut(&mut [u8]) + Send + 'static) -> &'static Self {
        Box::leak(Box::new(Self {
            began: Instant::now(),
            random: Mutex::new(Box::new(random)),
            heard: Mutex::default(),
            questions: Mutex::default(),
            changed: Condvar::new(),
        }))
    }

    /// It as plugins see it, to make one without its table.
    pub fn host(&'static self, kind: u32) -> Host {
        // SAFETY: the table is never freed and has every function.
        unsafe { Host::at(self.table(kind)) }.expect("the table is whole")
    }

    /// What the plugin said to the operator, from the beginning.
    pub fn heard(&self) -> Vec<String> {
        lock(&self.heard).clone()
    }

    /// How many answers came for questions that were over.
    pub fn late_count(&self) -> usize {
        lock(&self.questions).late_count
    }

    /// Milliseconds on the clock of deadlines.
    pub fn steady_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn table(&'static self, kind: u32) -> &'static abi::Host {
        Box::leak(Box::new(abi::Host {
            abi_major: abi::ABI_MAJOR,
            abi_minor: abi::ABI_MINOR,
            struct_size: u32::try_from(size_of::<abi::Host>()).expect("it is small"),
            kind,
            reserved: 0,
            context: core::ptr::from_ref(self).cast_mut().cast(),
            log: Some(log),
            random: Some(fill),
            wall_ms: Some(wall_ms),
            steady_ms: Some(steady_ms),
            answer: Some(answer),
        }))
    }

    /// Opens a question and gives its ticket.
    pub(super) fn ask(&self) -> u64 {
        let mut questions = lock(&self.questions);
        questions.last += 1;
        let ticket = questions.last;
        questions.answers.insert(ticket, None);
        ticket
    }

    /// Waits for the answer of a question that is pending, and closes it.
    pub(super) fn answered(&self, ticket: u64) -> Option<(i32, Box<abi::Answer>)> {
        let questions = lock(&self.questions);
        let is_open = |questions: &mut Questions| matches!(questions.answers.get(&ticket), Some(None));
        let waited = self.changed.wait_timeout_while(questions, Duration::from_millis(WAIT_MS), is_open);
        let (mut questions, _) = waited.unwrap_or_else(PoisonError::into_inner);
        questions.answers.remove(&ticket).flatten()
    }

    /// Closes a question that needs no other answer.
    pub(super) fn close(&self, ticket: u64) {
        lock(&self.questions).answers.remove(&ticket);
    }
}

/// A plugin on a stage.
pub(super) struct Opened {
    pub(super) stage: &'static Stage,
    pub(super) plugin: &'static abi::Plugin,
    pub(super) instance: *mut c_void,
}

impl Opened {
    pub(super) fn open(
        entry: Entry,
        kind: u32,
        stage: &'static Stage,
        settings: &[(&str, &str)],
    ) -> Result<Self, String> {
        // SAFETY: the SDK's entry functions return tables that live as long as the process.
        let plugin = unsafe { entry().as_ref::<'static>() }.ok_or("it has no table")?;
        if plugin.kind != kind {
            return Err(format!("it is of kind {}, not {kind}", plugin.kind));
        }
        let texts: Vec<_> = settings.iter().map(|(name, value)| (text(name), text(value))).collect();
        let settings: Vec<_> = texts
            .iter()
            .map(|(name, value)| abi::Setting { name: name.as_ptr(), value: value.as_ptr() })
            .collect();
        let mut reason =
            abi::Reason { struct_size: size_of::<abi::Reason>(), len: 0, text: [0; abi::REASON_BYTES] };
        let mut instance = core::ptr::null_mut();
        let open = plugin.open.ok_or("its open is NULL")?;
        // SAFETY: the header's contract for open.
        let result = unsafe {
            open(stage.table(kind), settings.as_ptr(), settings.len(), &raw mut instance, &raw mut reason)
        };
        match result {
            abi::OK => Ok(Self { stage, plugin, instance }),
            _ => Err(words(&reason)),
        }
    }

    pub(super) fn reload(&self) -> Result<(), String> {
        let mut reason =
            abi::Reason { struct_size: size_of::<abi::Reason>(), len: 0, text: [0; abi::REASON_BYTES] };
        let reload = self.plugin.reload.ok_or("its reload is NULL")?;
        // SAFETY: the header's contract for reload.
        match unsafe { reload(self.instance, &raw mut reason) } {
            abi::OK => Ok(()),
            _ => Err(words(&reason)),
        }
    }
}

// SAFETY: plugins of this SDK say HERALD_PLUGIN_THREADS.
unsafe impl Send for Opened {}
// SAFETY: as above.
unsafe impl Sync for Opened {}

impl Drop for Opened {
    fn drop(&mut self) {
        let Some(close) = self.plugin.close else { return };
        // SAFETY: open made it, and nobody has it any more.
        unsafe { close(self.instance) };
    }
}

fn text(text: &str) -> CString {
    CString::new(text).expect("settings have no NUL")
}

fn words(reason: &abi::Reason) -> String {
    String::from_utf8_lossy(&reason.text[..reason.len.min(abi::REASON_BYTES)]).into_owned()
}

/// What a test that panicked left behind is still of use.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The stage behind a table's context.
///
/// # Safety
/// `context` is that of a table of a stage.
unsafe fn at(context: *mut c_void) -> &'static Stage {
    // SAFETY: stages are never freed.
    unsafe { &*context.cast::<Stage>() }
}

unsafe extern "C" fn log(context: *mut c_void, level: u32, text: *const c_char, len: usize) {
    // SAFETY: the header's contract.
    let stage = unsafe { at(context) };
    // SAFETY: the header's contract.
    let text = unsafe { memory::text(text, len) };
    lock(&stage.heard).push(format!("{level} {text}"));
}

unsafe extern "C" fn fill(context: *mut c_void, out: *mut u8, len: usize) {
    if len == 0 {
        return;
    }
    // SAFETY: the header's contract.
    let stage = unsafe { at(context) };
    // SAFETY: the header's contract.
    let out = unsafe { slice::from_raw_parts_mut(out, len) };
    lock(&stage.random)(out);
}

unsafe extern "C" fn wall_ms(_: *mut c_void) -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

unsafe extern "C" fn steady_ms(context: *mut c_void) -> u64 {
    // SAFETY: the header's contract.
    unsafe { at(context) }.steady_ms()
}

unsafe extern "C" fn answer(
    context: *mut c_void,
    ticket: u64,
    result: i32,
    answer: *const abi::Answer,
) -> i32 {
    // SAFETY: the header's contract.
    let stage = unsafe { at(context) };
    // SAFETY: the header's contract: an answer, or null.
    let answer = unsafe { answer.as_ref() };
    let copy = answer.map_or_else(super::discovery::empty, super::discovery::copy);
    let mut questions = lock(&stage.questions);
    match questions.answers.get_mut(&ticket) {
        Some(place @ None) => {
            *place = Some((result, copy));
            stage.changed.notify_all();
            abi::OK
        }
        _ => {
            questions.late_count += 1;
            abi::REFUSED
        }
    }
}

/// The text of a table.
///
/// # Safety
/// `text` is NUL-terminated and lives as long as the process.
pub(super) unsafe fn table_text(text: *const c_char) -> &'static str {
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(text) }.to_str().unwrap_or("")
}
