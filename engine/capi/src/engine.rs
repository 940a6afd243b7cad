//! Engines as C sees them: opened, started, served, stored into, retrieved from, closed.
//!
//! What only one thread may do is bound to that thread here: an engine that its host serves leaves its reactor
//! with the thread that started it. Who may call what, and when, is decided here; what a call does is the
//! runtime's.

#![expect(unsafe_code, reason = "no_mangle counts as unsafe; tests/tidy allows no other here")]

use core::ffi::c_char;
use core::fmt::Display;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::cell::RefCell;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use herald_runtime::core::limits::{BODY_BUCKETS_BYTES, BODY_BYTES_MAX};
use herald_runtime::net::Address;
use herald_runtime::net::sync::Mutex;
use herald_runtime::{Config, Environment, Hosted, Level, property};

use crate::boundary::{self, Callback, Engine, EngineOptions, Error, Items, Scope, SupplierFn};
use crate::call::{call, caught, remember_panic_place};
use crate::failure::Failure;
use crate::gate::Gate;
use crate::handle::{Shared, Table};
use crate::items;
use crate::limits::{CONFIG_FILE_BYTES_MAX, ENGINES_MAX, PROPERTY_VALUE_BYTES_MAX};
use crate::reports::{Reporter, without_lock};
use crate::sealing::called_number;
use crate::status::Status;
use crate::subscriptions;

/// Bytes of an id with its NUL.
const ID_TEXT_BYTES: usize = 32;

/// A thread looks here for an engine that is not the one it had last.
static ENGINES: Table<OpenEngine, 16> = Table::new(1, "engine", ENGINES_MAX);

pub(crate) struct OpenEngine {
    pub(crate) engine: herald_runtime::Engine,
    reporter: Arc<Reporter>,
    pub(crate) subscriptions: Mutex<Vec<subscriptions::Handle>>,
    pub(crate) supplier: OnceLock<Arc<Gate<SupplierFn>>>,
    /// Held while the engine is prepared, starts or closes.
    life: Mutex<()>,
    /// A call panicked: only closing is left.
    is_failed: AtomicBool,
    /// It was taken out of the table; calls that are inside go on.
    is_closed: AtomicBool,
    /// Whether a thread of the host serves it; false again once that thread has ended.
    is_hosted: AtomicBool,
    /// What the host polls; -1 while there is none.
    descriptor: AtomicI32,
}

/// An engine's reactor, on the thread that serves it.
struct LoopEnd {
    engine: Arc<OpenEngine>,
    /// Of the process whose thread serves it.
    generation: usize,
    /// `None` only while it is being dropped.
    hosted: Option<Hosted>,
}

impl Drop for LoopEnd {
    fn drop(&mut self) {
        if !boundary::enter() || boundary::generation() != self.generation {
            // The sockets are the parent's, and so is the file of its Unix socket.
            core::mem::forget(self.hosted.take());
        }
        self.engine.is_hosted.store(false, Ordering::Release);
    }
}

/// The engine that a thread had last: found again without the table and its lock, and not kept alive.
struct LastHad {
    handle: *const Engine,
    /// Of the process that had it.
    generation: usize,
    engine: Weak<Arc<OpenEngine>>,
}

thread_local! {
    static LOOP_ENDS: RefCell<Vec<LoopEnd>> = const { RefCell::new(Vec::new()) };
    static LAST_HAD: RefCell<LastHad> =
        const { RefCell::new(LastHad { handle: core::ptr::null(), generation: 0, engine: Weak::new() }) };
}

impl LastHad {
    fn get(&self, handle: *const Engine) -> Option<Shared<OpenEngine>> {
        let is_it = self.handle == handle && self.generation == boundary::generation();
        if is_it { self.engine.upgrade() } else { None }
    }
}

/// What the handle stands for.
fn find(handle: *const Engine) -> Result<Shared<OpenEngine>, Failure> {
    match LAST_HAD.try_with(|last| last.borrow().get(handle)) {
        // Relaxed: who was told that it is closed sees that it is.
        Ok(Some(open)) if !open.is_closed.load(Ordering::Relaxed) => Ok(open),
        // Also on a thread that ends, which has had none any more.
        _ => find_anew(handle),
    }
}

#[cold]
fn find_anew(handle: *const Engine) -> Result<Shared<OpenEngine>, Failure> {
    let open = ENGINES.get(handle)?;
    let last = LastHad { handle, generation: boundary::generation(), engine: Arc::downgrade(&open) };
    let _ = LAST_HAD.try_with(|had| had.replace(last));
    Ok(open)
}

/// [any thread] Opens an engine and recovers what its data folder holds. Binds nothing, starts no thread. Since 0.1.
///
/// *engine is written on success; close it with herald_engine_close. options and what it points to is copied.
/// Blocks while it recovers, and while it touches the memory for placements. Only if there is a data folder, RocksDB
/// starts threads of its own, once for the process; they block all signals.
#[unsafe(no_mangle)]
pub extern "C" fn herald_engine_open(
    options: *const EngineOptions,
    engine: *mut *mut Engine,
    error: *mut *mut Error,
) -> Status {
    call(error, |scope| {
        let out = scope.out(engine, "engine")?;
        let options: EngineOptions = scope.options(options)?;
        let config = config(scope, &options)?;
        out.set(open(config, &options)?);
        Ok(())
    })
}

/// Opens an engine, or a client, as `config` says.
pub(crate) fn open(config: Config, options: &EngineOptions) -> Result<*mut Engine, Failure> {
    keep_panics_quiet();
    let callback = Callback::new(options.report, options.finalizer, options.user);
    let reporter = Arc::new(Reporter::new(callback));
    let reports = reporter.clone();
    let environment = Environment::system(move |level, text| reports.report(level, text));
    let prepared = herald_runtime::Engine::prepare(config, environment)?;
    if prepared.folder().is_some() {
        claim_folders()?;
        // Whoever waits for that in vain is a child of one that is at it, and was refused above.
        boundary::construct_globals();
    }
    let opened = OpenEngine {
        engine: boundary::with_signals_blocked(|| prepared.open())?,
        reporter,
        subscriptions: Mutex::default(),
        supplier: OnceLock::new(),
        life: Mutex::new(()),
        is_failed: AtomicBool::new(false),
        is_closed: AtomicBool::new(false),
        is_hosted: AtomicBool::new(false),
        descriptor: AtomicI32::new(-1),
    };
    ENGINES.insert(opened)
}

/// Refuses a data folder in a child of a process that opened one: RocksDB's threads did not come along.
fn claim_folders() -> Result<(), Failure> {
    /// The generation that opened a folder first, and one.
    static FIRST: AtomicUsize = AtomicUsize::new(0);
    let own = boundary::generation() + 1;
    // Relaxed: an ancestor's store was made before the fork.
    match FIRST.compare_exchange(0, own, Ordering::Relaxed, Ordering::Relaxed) {
        Err(first) if first < own => Err(Failure::new(
            Status::Forked,
            "a process that this one was forked from opened a data folder; open this engine in one that is started \
             anew, or a client of it here",
        )),
        _ => Ok(()),
    }
}

/// [any thread] Binds the listeners and serves them on threads of the engine, which block all signals. Since 0.1.
///
/// All or nothing: after an error it may be called again. An engine without listeners serves the calls below alone.
#[unsafe(no_mangle)]
pub extern "C" fn herald_engine_start(engine: *mut Engine, error: *mut *mut Error) -> Status {
    call(error, |_| {
        with(engine, |open| open.living(|| Ok(boundary::with_signals_blocked(|| open.engine.start())?)))
    })
}

/// [any thread] Binds the listeners for the calling thread to serve, which becomes the loop thread. Since 0.1.
///
/// It polls herald_engine_descriptor and calls herald_engine_turn. When it ends, the listeners do. With durability
/// other than memory the engine has one thread of its own, for the disk, and if it places or checks calls others for
/// that; they block all signals.
#[unsafe(no_mangle)]
pub extern "C" fn herald_engine_start_hosted(engine: *mut Engine, error: *mut *mut Error) -> Status {
    call(error, |_| {
        let kept = kept(engine)?;
        with(engine, |open| {
            open.living(|| {
                let hosted = boundary::with_signals_blocked(|| open.engine.start_hosted())?;
                open.descriptor.store(hosted.descriptor(), Ordering::Relaxed);
                open.is_hosted.store(true, Ordering::Release);
                let generation = boundary::generation();
                let end = LoopEnd { engine: kept, generation, hosted: Some(hosted) };
                LOOP_ENDS
                    .try_with(|ends| ends.borrow_mut().push(end))
                    .map_err(|_| Failure::new(Status::WrongThread, "this thread is ending; close the engine"))
            })
        })
    })
}

/// [any thread] The one descriptor to poll for reading: readable when herald_engine_turn has work. Since 0.1.
///
/// *descriptor is written on success. It stays the engine's, and valid until the engine closes.
#[unsafe(no_mangle)]
pub extern "C" fn herald_engine_descriptor(
    engine: *mut Engine,
    descriptor: *mut i32,
    error: *mut *mut Error,
) -> Status {
    call(error, |scope| {
        let out = scope.out(descriptor, "descriptor")?;
        with(engine, |open| {
            if !open.is_hosted.load(Ordering::Acquire) {
                return Err(not_hosted());
            }
            out.set(open.descriptor.load(Ordering::Relaxed));
            Ok(())
        })
    })
}

/// [loop thread] Serves what is ready, waiting up to timeout_ms milliseconds for it (0: not at all). Since 0.1.
///
/// The work of one turn is bounded; the descriptor stays readable while some is left. Raises no SIGPIPE.
#[unsafe(no_mangle)]
pub extern "C" fn herald_engine_turn(engine: *mut Engine, timeout_ms: u32, error: *mut *mut Error) -> Status {
    call(error, |_| {
        with(engine, |open| {
            let patience = Duration::from_millis(timeout_ms.into());
            with_hosted(open, |hosted| Ok(boundary::without_sigpipe(|| hosted.turn(patience))?))
        })
    })
}

/// [any thread] Copies the address of listener index, counted from 0, as in "https://127.0.0.1:8443" or
/// "unix:/run/herald.sock", with the port that the kernel chose. Since 0.1.
///
/// buffer takes capacity bytes: the text and a NUL. *length, unless length is NULL, is told the bytes without the NUL,
/// also with HERALD_BUFFER_TOO_SMALL. HERALD_OUT_OF_RANGE past the last one, and before the start.
#[unsafe(no_mangle)]
pub extern "C" fn herald_engine_address(
    engine: *mut Engine,
    index: usize,
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
    error: *mut *mut Error,
) -> Status {
    call(error, |scope| {
        with(engine, |open| {
            let addresses = open.engine.addresses();
            let none = || {
                let message = format!("index {index} of {} addresses", addresses.len());
                Failure::new(Status::OutOfRange, message)
            };
            let address = match addresses.get(index).ok_or_else(none)? {
                Address::Tcp(address) => format!("https://{address}"),
                Address::Unix(path) => format!("unix:{}", path.display()),
            };
            scope.buffer(buffer.cast(), capacity, length).text(&address)
        })
    })
}

/// [any thread] Reads again the files that the configuration names: certificates and keys (of TLS, for signing, for sealing),
/// roots, revocation lists, the directory, and what plugins read; plugins whose own file is another one are replaced.
/// Since 0.1.
///
/// Requests and calls under way go on as they began. Of the files all are taken or none: one that is wrong keeps all of
/// them as they were; each plugin is replaced by itself. HERALD_BAD_VALUE if any stays as it was, for a fault of its own or
/// because too many calls are under way; the error names it. Not read again are the configuration itself, cps_authorities
/// and fetch_authorities. Blocks while files are read and plugins open. HERALD_WRONG_STATE before the start and after the
/// stop.
#[unsafe(no_mangle)]
pub extern "C" fn herald_engine_reload(engine: *mut Engine, error: *mut *mut Error) -> Status {
    call(error, |_| with(engine, |open| boundary::with_signals_blocked(|| Ok(open.engine.reload()?))))
}

/// [any thread; loop thread if herald_engine_start_hosted was called] Ends the listeners, and goes on serving the calls
/// below. Since 0.1.
///
/// No new connections; requests under way may finish for grace_ms milliseconds, and this blocks until they have: it returns
/// when no connection is left, but for those of metrics_listen, which goes on until the stop. With a loop thread the loop is
/// held up as long (herald_engine_drain_begin does not); subscribers hear meanwhile, and later in turns as before. Before the
/// start, and once no connection is left, it does nothing. Without a loop thread it waits for a drain that is under way.
#[unsafe(no_mangle)]
pub extern "C" fn herald_engine_drain(engine: *mut Engine, grace_ms: u32, error: *mut *mut Error) -> Status {
    call(error, |_| {
        let grace = Duration::from_millis(grace_ms.into());
        with(engine, |open| {
            open.living(|| match open.is_hosted.load(Ordering::Acquire) {
                true => with_hosted(open, |hosted| Ok(boundary::without_sigpipe(|| hosted.drain(grace))?)),
                false => Ok(open.engine.drain(grace)?),
            })
        })
    })
}

/// [loop thread] Begins what herald_engine_drain waits for, and holds up the loop no longer than a turn. Since 0.1.
///
/// It takes a turn that waits for nothing, in which subscribers hear as in any. No new connections from now on; turns go on
/// serving the requests under way, and after grace_ms milliseconds close what is left. How many connections are left is the
/// value herald_connections of herald_engine_stats; it is done when that is 0. Called again it sets grace_ms anew.
/// HERALD_WRONG_STATE if no loop thread serves the engine.
#[unsafe(no_mangle)]
pub extern "C" fn herald_engine_drain_begin(
    engine: *mut Engine,
    grace_ms: u32,
    error: *mut *mut Error,
) -> Status {
    call(error, |_| {
        let grace = Duration::from_millis(grace_ms.into());
        with(engine, |open| {
            with_hosted(open, |hosted| Ok(boundary::without_sigpipe(|| hosted.begin_drain(grace))?))
        })
    })
}

/// [any thread; loop thread if herald_engine_start_hosted was called] Stops an engine: all that herald_engine_close does,
/// but for the finalizers and the handle. Since 0.1.
///
/// From then on its calls answer HERALD_WRONG_STATE, so that threads of the host can leave it before it is closed. A second
/// stop does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn herald_engine_stop(engine: *mut Engine, error: *mut *mut Error) -> Status {
    call(error, |_| with(engine, |open| open.living(|| shut_down(open, take_loop_end(open)?))))
}

/// [any thread; loop thread if herald_engine_start_hosted was called] Closes an engine. NULL is fine. Since 0.1.
///
/// No new calls and connections; requests under way may finish for drain_grace; then the disk's last write; subscribers
/// hear what waits for them and are closed; then the finalizers. Whatever it returns the engine is closed, except with
/// HERALD_WRONG_THREAD, HERALD_IN_CALLBACK and HERALD_FORKED, which leave it as it is: what a parent process opened is the
/// parent's to close.
#[unsafe(no_mangle)]
pub extern "C" fn herald_engine_close(engine: *mut Engine) -> Status {
    if engine.is_null() {
        return Status::Ok;
    }
    call(core::ptr::null_mut(), |_| {
        let open = find(engine)?;
        let stopped = open.living(|| {
            let end = take_loop_end(&open)?;
            ENGINES.remove(engine)?;
            open.is_closed.store(true, Ordering::Relaxed);
            // Whatever becomes of it, the engine is closed.
            Ok::<_, Failure>(shut_down(&open, end))
        })?;
        subscriptions::close_all(&open);
        if let Some(supplier) = open.supplier.get() {
            supplier.close();
        }
        open.reporter.close();
        stopped
    })
}

/// Ends listeners, what they serve, calls on their way and the disk's last write; on the thread that has the right to.
fn shut_down(open: &OpenEngine, mut end: Option<LoopEnd>) -> Result<(), Failure> {
    let drained = caught(|| match end.as_mut().and_then(|end| end.hosted.as_mut()) {
        Some(hosted) => Ok(boundary::without_sigpipe(|| hosted.drain(open.engine.drain_grace()))?),
        None => Ok(()),
    });
    drained.and(caught(|| Ok(open.engine.stop()?)))
}

/// [any thread] Stores a sealed PASSporT under the called number (RFC 8816 section 9). Since 0.1.
///
/// number is a telephone number as people or SIP write it; body has 640, 1024, 2048, 4096 or 8192 bytes, as
/// herald_seal makes them. id takes id_capacity bytes: 32 hexadecimal digits and a NUL, HERALD_ID_CAPACITY; NULL with 0
/// if the id is not wanted. Returns when the placement is as durable as the property durability says; with synced
/// that is when the disk has it.
#[unsafe(no_mangle)]
pub extern "C" fn herald_store(
    engine: *mut Engine,
    number: *const c_char,
    number_len: usize,
    body: *const u8,
    body_len: usize,
    id: *mut c_char,
    id_capacity: usize,
    error: *mut *mut Error,
) -> Status {
    call(error, |scope| {
        let called = called_number(scope, number, number_len)?;
        let body = sealed_body(scope, body, body_len)?;
        let id = scope.buffer(id.cast(), id_capacity, core::ptr::null_mut());
        if id.is_wanted() {
            id.require(ID_TEXT_BYTES, 1)?;
        }
        let stored = with(engine, |open| Ok(open.engine.store(called, body)?))?;
        if id.is_wanted() { id.ascii(&stored.to_hex()) } else { Ok(()) }
    })
}

/// [any thread] Retrieves everything under the called number, placements among cover. Since 0.1.
///
/// number is a telephone number as people or SIP write it. *items is written on success; there is at least one item.
/// Free it with herald_items_free; it needs the engine no more. About 10 microseconds for each item that is cover.
#[unsafe(no_mangle)]
pub extern "C" fn herald_retrieve(
    engine: *mut Engine,
    number: *const c_char,
    number_len: usize,
    items: *mut *mut Items,
    error: *mut *mut Error,
) -> Status {
    call(error, |scope| {
        scope.out(items, "items")?;
        let called = called_number(scope, number, number_len)?;
        let found = with(engine, |open| Ok(open.engine.retrieve(called)?))?;
        items::hand_over(scope, items, found)
    })
}

/// Reads a sealed body as C gives it.
pub(crate) fn sealed_body(scope: &Scope, body: *const u8, body_len: usize) -> Result<&[u8], Failure> {
    let body = scope.bytes(body, body_len, BODY_BYTES_MAX, "the body")?;
    if BODY_BUCKETS_BYTES.contains(&body.len()) {
        return Ok(body);
    }
    let message =
        format!("the body has {body_len} bytes; a sealed PASSporT has one of {BODY_BUCKETS_BYTES:?}");
    Err(Failure::new(Status::BadSize, message))
}

/// An open engine, for who has it for longer than a call.
pub(crate) fn kept(engine: *mut Engine) -> Result<Arc<OpenEngine>, Failure> {
    find(engine).map(|open| Arc::clone(&*open))
}

impl OpenEngine {
    /// Does what changes the engine's life, one after the other. What is to be reported meanwhile is told once that is
    /// over, so that a host may hold locks of its own where it hears reports.
    pub(crate) fn living<T>(&self, work: impl FnOnce() -> T) -> T {
        without_lock(&self.reporter, || {
            let _life = self.life.lock();
            work()
        })
    }
}

/// Works with an open engine. If the work panics, only closing is left.
pub(crate) fn with<T>(
    engine: *mut Engine,
    work: impl FnOnce(&OpenEngine) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let open = find(engine)?;
    if open.is_failed.load(Ordering::Relaxed) {
        return Err(Failure::new(Status::Failed, "the engine failed; close it and open another"));
    }
    let result = caught(|| {
        #[cfg(test)]
        crate::call::on_purpose::perhaps(crate::call::on_purpose::Place::Engine);
        work(&open)
    });
    if matches!(&result, Err(failure) if failure.status == Status::Panic) {
        open.is_failed.store(true, Ordering::Relaxed);
    }
    result
}

/// Works with the reactor of `open`, which is on this thread or not to be worked with.
fn with_hosted(
    open: &OpenEngine,
    work: impl FnOnce(&mut Hosted) -> Result<(), Failure>,
) -> Result<(), Failure> {
    if !open.is_hosted.load(Ordering::Acquire) {
        return Err(not_hosted());
    }
    LOOP_ENDS
        .try_with(|ends| {
            let mut ends = ends.borrow_mut();
            let end = ends.iter_mut().find(|end| core::ptr::eq(&*end.engine, open));
            work(end.and_then(|end| end.hosted.as_mut()).ok_or_else(wrong_thread)?)
        })
        .unwrap_or_else(|_| Err(wrong_thread()))
}

/// The reactor of `open` if a thread serves it: this one, or else it is not to be taken.
fn take_loop_end(open: &OpenEngine) -> Result<Option<LoopEnd>, Failure> {
    let take = |ends: &RefCell<Vec<LoopEnd>>| {
        let mut ends = ends.borrow_mut();
        let index = ends.iter().position(|end| core::ptr::eq(&*end.engine, open))?;
        Some(ends.swap_remove(index))
    };
    let end = LOOP_ENDS.try_with(take).ok().flatten();
    if end.is_none() && open.is_hosted.load(Ordering::Acquire) { Err(wrong_thread()) } else { Ok(end) }
}

pub(crate) fn config(scope: &Scope, options: &EngineOptions) -> Result<Config, Failure> {
    let mut config = Config::default();
    let file = scope.text(options.file.data, options.file.len, PROPERTY_VALUE_BYTES_MAX, "file")?;
    if !file.is_empty() {
        set_from_file(&mut config, Path::new(file))?;
    }
    for (name, value) in scope.properties(options)? {
        config.set(name, value).map_err(|error| {
            let status = if property(name).is_some() { Status::BadValue } else { Status::UnknownProperty };
            Failure::new(status, error)
        })?;
    }
    Ok(config)
}

fn set_from_file(config: &mut Config, path: &Path) -> Result<(), Failure> {
    let named = |error: &dyn Display| format!("{}: {error}", path.display());
    let unread = |error: std::io::Error| Failure::new(Status::BadValue, named(&error));
    let mut text = String::new();
    let file = File::open(path).map_err(unread)?;
    file.take(CONFIG_FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(unread)?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > CONFIG_FILE_BYTES_MAX {
        let error = format!("more than {CONFIG_FILE_BYTES_MAX} bytes, so no configuration");
        return Err(Failure::new(Status::BadValue, named(&error)));
    }
    config.set_all(&text).map_err(|error| Failure::new(Status::BadValue, named(&error)))
}

#[cold]
fn not_hosted() -> Failure {
    Failure::new(Status::WrongState, "the engine has no loop thread; use herald_engine_start_hosted")
}

#[cold]
fn wrong_thread() -> Failure {
    Failure::new(Status::WrongThread, "only the thread that called herald_engine_start_hosted may do this")
}

/// Sends panics to the engines' reports instead of the host's standard error. The place only: what a panic says may
/// hold more than a host should log.
fn keep_panics_quiet() {
    // Not a `Once`, in which a child forked meanwhile would wait for ever.
    static IS_DONE: AtomicBool = AtomicBool::new(false);
    if IS_DONE.swap(true, Ordering::Relaxed) {
        return;
    }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or(String::new(), ToString::to_string);
        for open in ENGINES.try_all() {
            let line = format!("an invariant is broken at {place}; close the engine and report this");
            open.reporter.report(Level::Error, &line);
        }
        remember_panic_place(place);
    }));
}

#[cfg(test)]
pub(crate) mod tests {
    use core::ptr;

    use super::*;
    use crate::boundary::{Property, Text};

    pub(crate) fn started() -> *mut Engine {
        let property = |name: &'static str, value: &'static str| Property {
            name: name.as_ptr().cast(),
            name_len: name.len(),
            value: value.as_ptr().cast(),
            value_len: value.len(),
        };
        let properties = [property("durability", "memory"), property("memory", "16MiB")];
        let options = EngineOptions {
            struct_size: u32::try_from(size_of::<EngineOptions>()).expect("a struct is small"),
            properties: properties.as_ptr(),
            property_count: properties.len(),
            report: None,
            user: ptr::null_mut(),
            finalizer: None,
            file: Text::of(""),
        };
        let mut engine = ptr::null_mut();
        assert_eq!(herald_engine_open(&raw const options, &raw mut engine, ptr::null_mut()), Status::Ok);
        assert_eq!(herald_engine_start(engine, ptr::null_mut()), Status::Ok);
        engine
    }

    fn retrieve(engine: *mut Engine) -> Status {
        let (number, mut items) = ("12025550123", ptr::null_mut());
        herald_retrieve(engine, number.as_ptr().cast(), number.len(), &raw mut items, ptr::null_mut())
    }

    #[test]
    fn an_engine_that_is_closed_is_not_found_again_by_a_thread_that_is_still_inside() {
        let engine = started();
        let handle = engine.addr();
        with(engine, |_| {
            let closer = std::thread::spawn(move || herald_engine_close(ptr::without_provenance_mut(handle)));
            assert_eq!(closer.join().expect("no panic"), Status::Ok);
            assert_eq!(retrieve(engine), Status::Closed);
            Ok(())
        })
        .expect("it was open at the beginning");
        assert_eq!(retrieve(engine), Status::Closed);
    }

    #[test]
    fn after_a_panic_an_engine_can_only_be_closed_and_another_goes_on() {
        let (engine, other) = (started(), started());
        let panicked = with::<()>(engine, |_| panic!("on purpose")).expect_err("a panic is a failure");
        assert_eq!(panicked.status, Status::Panic);
        assert!(panicked.message.contains("engine.rs:"), "{}", panicked.message);
        assert_eq!(retrieve(engine), Status::Failed);
        assert_eq!(herald_engine_start(engine, ptr::null_mut()), Status::Failed);
        assert_eq!(retrieve(other), Status::Ok);
        assert_eq!(herald_engine_close(engine), Status::Ok);
        assert_eq!(retrieve(engine), Status::Closed);
        assert_eq!(herald_engine_close(other), Status::Ok);
    }
}
