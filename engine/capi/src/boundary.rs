//! All raw pointers of the C interface: what C hands in is read here, what C gets is written here.
//!
//! Nothing else of this crate follows a pointer. The helpers are safe to call from Rust because their pointers
//! come from C alone, through exported functions whose documentation states what they must point to: text and
//! data of the length given, and places to write to, all valid until the function returns. What can be checked is
//! checked: NULL, lengths beyond any valid one (before a byte is read), text that is not UTF-8, the sizes of
//! structs. It does not know what the data means.

#![expect(unsafe_code, reason = "the boundary to C: its pointers are followed here and nowhere else")]

use core::ffi::{c_char, c_int, c_void};
use core::marker::PhantomData;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use herald_runtime::plugin_abi::LinkedEntry;
use parking_lot::Mutex;

use crate::discovery::Discovered;
use crate::failure::Failure;
use crate::gateway::{GatewayFetched, GatewayStored};
use crate::limits::{OPTIONS_BYTES_MAX, PROPERTIES_MAX, PROPERTY_NAME_BYTES_MAX, PROPERTY_VALUE_BYTES_MAX};
use crate::services::{Checked, Placed};
use crate::status::Status;
use crate::supply::CertificateWanted;

/// An engine: a Call Placement Service in process. Open one, start it, close it.
pub struct Engine(());

/// What was retrieved under one number: placements among cover, in the order of their ids. Free it.
pub struct Items(());

/// Why a call failed, in words. Free it.
pub struct Error(());

/// The table of a plugin: herald_plugin.h.
pub struct Plugin(());

/// One setting. This pair never grows, so that arrays of it stay what they are.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Property {
    /// The name, UTF-8: see herald_property_text.
    pub name: *const c_char,
    /// Bytes of the name.
    pub name_len: usize,
    /// The value, UTF-8.
    pub value: *const c_char,
    /// Bytes of the value.
    pub value_len: usize,
}

/// One placement of a batch. This struct never grows, so that arrays of it stay what they are.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Placement {
    /// The called number, as people or SIP write it.
    pub number: *const c_char,
    /// Bytes of the number.
    pub number_len: usize,
    /// The sealed PASSporT: 640, 1024, 2048, 4096 or 8192 bytes.
    pub body: *const u8,
    /// Bytes of it.
    pub body_len: usize,
}

/// One called number of a batch. This struct never grows, so that arrays of it stay what they are.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Number {
    /// The number, as people or SIP write it.
    pub number: *const c_char,
    /// Bytes of the number.
    pub number_len: usize,
}

/// What came of one placement of a batch. This struct never grows, so that arrays of it stay what they are.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Stored {
    /// HERALD_OK, or why it was not stored.
    pub status: Status,
    /// Its id: 32 hexadecimal digits and a NUL (HERALD_ID_CAPACITY); empty if it was not stored.
    pub id: [c_char; 33],
}

/// Hears what an operator should know: one plain line, UTF-8, without a line end, valid until the function
/// returns; never a secret nor a full telephone number. level is one of HERALD_LEVEL_*.
///
/// It runs on a thread of the engine, or inside open, start and close on theirs, on several at once if it must.
/// It must not unwind. Of the functions that can fail only the _free functions do their work inside it, others answer
/// HERALD_IN_CALLBACK.
pub type ReportFn =
    Option<unsafe extern "C" fn(level: i32, text: *const c_char, text_len: usize, user: *mut c_void)>;

/// Is called once with the user pointer when it is used no more: at the end of herald_engine_close, on its thread. Not
/// called if the function that was given it fails. The rules of herald_report_fn hold.
pub type FinalizerFn = Option<unsafe extern "C" fn(user: *mut c_void)>;

/// Says what a host has of a certificate chain that is wanted: one of HERALD_SUPPLY_*. Anything else counts as
/// HERALD_SUPPLY_NONE.
///
/// It runs on a thread of the engine, on several at once if there are several (the property worker_threads), while calls
/// wait behind it: it looks into the host's memory and no further. It must not unwind or be left by longjmp, and must call
/// no function with an engine: they answer HERALD_IN_CALLBACK. wanted is valid until it returns.
pub type SupplierFn = Option<unsafe extern "C" fn(wanted: *mut CertificateWanted, user: *mut c_void) -> i32>;

/// The entry function of a plugin, as herald_plugin.h declares it.
pub type PluginEntryFn = Option<unsafe extern "C" fn() -> *const Plugin>;

/// How an engine is to be opened. Set all of it to zero, then what is needed. Since 0.1.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct EngineOptions {
    /// sizeof(herald_engine_options).
    pub struct_size: u32,
    /// Settings; later ones override earlier ones. May be NULL if property_count is 0.
    pub properties: *const Property,
    /// How many there are.
    pub property_count: usize,
    /// Hears reports, or NULL.
    pub report: ReportFn,
    /// What report and finalizer are given.
    pub user: *mut c_void,
    /// Releases user, or NULL.
    pub finalizer: FinalizerFn,
}

/// Structs that C hands in, of which any bytes are a valid one: integers, pointers and nullable functions.
pub(crate) trait Given: Copy {}
impl Given for Property {}
impl Given for Placement {}
impl Given for Number {}
impl Given for Text {}

/// Text, UTF-8, without a NUL. This pair never grows, so that arrays of it stay what they are.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Text {
    /// Its bytes. May be NULL if len is 0.
    pub data: *const c_char,
    /// How many there are.
    pub len: usize,
}

/// Hears once what became of a call that was placed, on a thread of the engine, at the latest while
/// herald_engine_close runs; it may run before the function that began the call has returned. It must not unwind or
/// block. Of the functions that can fail only the _free functions do their work inside it, others answer
/// HERALD_IN_CALLBACK.
pub type PlacedFn = Option<unsafe extern "C" fn(placed: *const Placed, user: *mut c_void)>;

/// Hears once what was found of a call. The rules of herald_placed_fn hold.
pub type CheckedFn = Option<unsafe extern "C" fn(checked: *const Checked, user: *mut c_void)>;

/// A call to be placed. Set all of it to zero, then what is needed. Since 0.1.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct PlaceOptions {
    /// sizeof(herald_place_options).
    pub struct_size: u32,
    /// How long it may take, in milliseconds; 0: the property place_deadline.
    pub deadline_ms: u32,
    /// The calling number, as people or SIP write it.
    pub orig: Text,
    /// The called number.
    pub dest: Text,
    /// How well the caller is known: 'A' fully, 'B' partially, 'C' only where the call came in (RFC 8588); 0: 'A'.
    pub attestation: i32,
    /// Where the call came from, opaque: a UUID. Empty: a new one.
    pub origid: Text,
    /// What is signed instead, with orig, dest and iat in it: a JSON object (RFC 8225 section 5). iat is
    /// set anew when it is signed. The four before are then not read. Empty: a shaken PASSporT of them.
    pub payload: Text,
    /// The type of a PASSporT with that payload, such as rcd. Empty: none.
    pub ppt: Text,
    /// Hears what became of it.
    pub done: PlacedFn,
    /// What done is given.
    pub user: *mut c_void,
}

/// A call to be checked. Set all of it to zero, then what is needed. Since 0.1.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CheckOptions {
    /// sizeof(herald_check_options).
    pub struct_size: u32,
    /// How long it may take, in milliseconds; 0: the property check_deadline.
    pub deadline_ms: u32,
    /// The calling party as signalled: a number as people or SIP write it, or a URI.
    pub orig: Text,
    /// The called party: where the call goes now.
    pub dest: Text,
    /// The party that was called at first, if it is another one. Empty: none.
    pub to: Text,
    /// The values of the Identity header fields that came with the call. May be NULL if identity_count is 0.
    pub identity_values: *const Text,
    /// How many there are.
    pub identity_count: usize,
    /// The Date of the request in seconds since 1970, which compact PASSporTs need; 0: none.
    pub date_s: i64,
    /// Names the call, as the Call-ID does: a PASSporT that comes again under another name is a copy. Empty: copies are
    /// not looked for.
    pub call_id: Text,
    /// Hears what was found.
    pub done: CheckedFn,
    /// What done is given.
    pub user: *mut c_void,
}

/// Hears once what became of a request's PASSporTs. The rules of herald_placed_fn hold.
pub type GatewayStoredFn = Option<unsafe extern "C" fn(stored: *const GatewayStored, user: *mut c_void)>;

/// Hears once what a request gets. The rules of herald_placed_fn hold.
pub type GatewayFetchedFn = Option<unsafe extern "C" fn(fetched: *const GatewayFetched, user: *mut c_void)>;

/// A request that leaves SIP. Set all of it to zero, then what is needed. Since 0.1.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct GatewayStoreOptions {
    /// sizeof(herald_gateway_store_options).
    pub struct_size: u32,
    /// How long it may take, in milliseconds; 0: the property place_deadline.
    pub deadline_ms: u32,
    /// The request, as bytes from its request line to at least the empty line behind its header.
    pub sip: Text,
    /// The number this gateway sends the call to in place of the one that was called: a diversion, which is signed
    /// (RFC 8946). Empty: it goes where the Request-URI says.
    pub divert_to: Text,
    /// Not 0: nothing is judged here, that is left to the called side.
    pub unjudged: i32,
    /// Hears what became of it.
    pub done: GatewayStoredFn,
    /// What done is given.
    pub user: *mut c_void,
}

/// A request that comes into SIP. Set all of it to zero, then what is needed. Since 0.1.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct GatewayFetchOptions {
    /// sizeof(herald_gateway_fetch_options).
    pub struct_size: u32,
    /// How long it may take, in milliseconds; 0: the property check_deadline.
    pub deadline_ms: u32,
    /// The request that goes on, as bytes.
    pub sip: Text,
    /// Hears what it gets.
    pub done: GatewayFetchedFn,
    /// What done is given.
    pub user: *mut c_void,
}

/// Hears once which services a number has. The rules of herald_placed_fn hold.
pub type DiscoveredFn = Option<unsafe extern "C" fn(discovered: *const Discovered, user: *mut c_void)>;

/// A number to be looked up. Set all of it to zero, then what is needed. Since 0.1.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct DiscoverOptions {
    /// sizeof(herald_discover_options).
    pub struct_size: u32,
    /// How long a call would have, in milliseconds: half of it goes on this at most; 0: the property place_deadline or
    /// check_deadline.
    pub deadline_ms: u32,
    /// The called number.
    pub number: Text,
    /// Not 0: as the calling side, which stores; else as the called side, which retrieves.
    pub calling: i32,
    /// Hears what was found.
    pub done: DiscoveredFn,
    /// What done is given.
    pub user: *mut c_void,
}

/// A call on its way: it can be cancelled. Free it, whether or not it is over.
pub struct Call(());

impl Text {
    /// `text`, for as long as it lives.
    pub(crate) const fn of(text: &str) -> Self {
        Self { data: text.as_ptr().cast(), len: text.len() }
    }
}

/// A struct of options: it begins with a u32 that holds its size.
pub(crate) trait Options: Given {
    /// Its name in C.
    const NAME: &str;
}

impl Given for EngineOptions {}
impl Given for PlaceOptions {}
impl Given for CheckOptions {}
impl Given for GatewayStoreOptions {}
impl Given for GatewayFetchOptions {}
impl Given for DiscoverOptions {}

impl Options for EngineOptions {
    const NAME: &str = "herald_engine_options";
}
impl Options for PlaceOptions {
    const NAME: &str = "herald_place_options";
}
impl Options for CheckOptions {
    const NAME: &str = "herald_check_options";
}
impl Options for GatewayStoreOptions {
    const NAME: &str = "herald_gateway_store_options";
}
impl Options for GatewayFetchOptions {
    const NAME: &str = "herald_gateway_fetch_options";
}
impl Options for DiscoverOptions {
    const NAME: &str = "herald_discover_options";
}

/// The time of one call from C. What is read from C lives no longer.
pub(crate) struct Scope(());

impl Scope {
    /// Begins a call.
    pub(crate) const fn new() -> Self {
        Self(())
    }

    /// The `len` bytes at `data`, at most `len_max`; `what` names them in errors.
    pub(crate) fn bytes(
        &self,
        data: *const u8,
        len: usize,
        len_max: usize,
        what: &str,
    ) -> Result<&[u8], Failure> {
        if len > len_max {
            let message = format!("{what}: {len} bytes; {len_max} is the most");
            return Err(Failure::new(Status::BadSize, message));
        }
        if len == 0 {
            return Ok(&[]);
        }
        if data.is_null() {
            return Err(null(what));
        }
        // SAFETY: C promises `len` readable bytes there, unchanged until the call returns, which `self` does not
        // outlive; `len` is below `isize::MAX`, as every `len_max` is.
        Ok(unsafe { core::slice::from_raw_parts(data, len) })
    }

    /// Like [`bytes`](Self::bytes), for UTF-8.
    pub(crate) fn text(
        &self,
        data: *const c_char,
        len: usize,
        len_max: usize,
        what: &str,
    ) -> Result<&str, Failure> {
        core::str::from_utf8(self.bytes(data.cast(), len, len_max, what)?).map_err(|error| {
            let message = format!("{what} is not UTF-8 from byte {} on", error.valid_up_to());
            Failure::new(Status::NotUtf8, message)
        })
    }

    /// A copy of the options, once their size is one we know.
    pub(crate) fn options<T: Options>(&self, options: *const T) -> Result<T, Failure> {
        if options.is_null() {
            return Err(null("options"));
        }
        // SAFETY: every option struct begins with its size.
        let size = unsafe { options.cast::<u32>().read_unaligned() };
        let known = size_of::<T>();
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if !(known..=OPTIONS_BYTES_MAX).contains(&size) {
            let message = format!("struct_size is {size}; set it to sizeof({}), {known}", T::NAME);
            return Err(Failure::new(Status::StructSize, message));
        }
        let all = self.bytes(options.cast(), size, OPTIONS_BYTES_MAX, "options")?;
        if all[known..].iter().any(|&byte| byte != 0) {
            let message = "options sets fields that a newer library knows; leave them zero or use that one";
            return Err(Failure::new(Status::StructSize, message));
        }
        // SAFETY: `known` bytes are readable, and any bytes make a valid `T`, as `Given` says.
        Ok(unsafe { options.read_unaligned() })
    }

    /// The settings of `options`.
    pub(crate) fn properties(&self, options: &EngineOptions) -> Result<Vec<(&str, &str)>, Failure> {
        self.array(options.properties, options.property_count, PROPERTIES_MAX, "properties")?
            .into_iter()
            .map(|Property { name, name_len, value, value_len }| {
                let name = self.text(name, name_len, PROPERTY_NAME_BYTES_MAX, "a property's name")?;
                let value = self.text(value, value_len, PROPERTY_VALUE_BYTES_MAX, "a property's value")?;
                Ok((name, value))
            })
            .collect()
    }

    /// The `count` structs at `first`, at most `count_max`; `what` names them in errors.
    pub(crate) fn array<T: Given>(
        &self,
        first: *const T,
        count: usize,
        count_max: usize,
        what: &str,
    ) -> Result<Vec<T>, Failure> {
        if count > count_max {
            let message = format!("{count} {what}; {count_max} is the most");
            return Err(Failure::new(Status::BadSize, message));
        }
        if count > 0 && first.is_null() {
            return Err(null(what));
        }
        let read = |index| {
            // SAFETY: C promises `count` structs there.
            let place = unsafe { first.add(index) };
            // SAFETY: as above; any bytes make a valid `T`, as `Given` says.
            unsafe { place.read_unaligned() }
        };
        Ok((0..count).map(read).collect())
    }

    /// Places for `count` values side by side, which must not be NULL unless there are none.
    pub(crate) fn outs<T>(&self, first: *mut T, count: usize, what: &str) -> Result<Outs<'_, T>, Failure> {
        if count > 0 && first.is_null() {
            return Err(null(what));
        }
        Ok(Outs { first, count, scope: PhantomData })
    }

    /// A place for one value, which must not be NULL.
    pub(crate) fn out<T>(&self, place: *mut T, what: &str) -> Result<Out<'_, T>, Failure> {
        let place = NonNull::new(place).ok_or_else(|| null(what))?;
        Ok(Out { place, scope: PhantomData })
    }

    /// A place for bytes. `length`, if not NULL, is told how many there are, also when they do not fit.
    pub(crate) fn buffer(&self, data: *mut u8, capacity: usize, length: *mut usize) -> Buffer<'_> {
        Buffer { data, capacity, length, scope: PhantomData }
    }
}

/// A place of C's for one value.
pub(crate) struct Out<'a, T> {
    place: NonNull<T>,
    scope: PhantomData<&'a Scope>,
}

impl<T> Out<'_, T> {
    /// Writes the value.
    pub(crate) fn set(self, value: T) {
        // SAFETY: C promises a place for a `T` there.
        unsafe { self.place.write_unaligned(value) };
    }
}

/// Places of C's for values side by side.
pub(crate) struct Outs<'a, T> {
    first: *mut T,
    count: usize,
    scope: PhantomData<&'a Scope>,
}

impl<T> Outs<'_, T> {
    /// Writes the values, one for each place.
    pub(crate) fn set(self, values: impl IntoIterator<Item = T>) {
        for (index, value) in values.into_iter().take(self.count).enumerate() {
            // SAFETY: C promises `count` places there.
            let place = unsafe { self.first.add(index) };
            // SAFETY: as above.
            unsafe { place.write_unaligned(value) };
        }
    }
}

/// A place of C's for bytes.
pub(crate) struct Buffer<'a> {
    data: *mut u8,
    capacity: usize,
    length: *mut usize,
    scope: PhantomData<&'a Scope>,
}

impl Buffer<'_> {
    /// Whether C wants the bytes at all: no buffer and no place for the length means no.
    pub(crate) fn is_wanted(&self) -> bool {
        !self.data.is_null() || self.capacity > 0 || !self.length.is_null()
    }

    /// Refuses, and tells the length, unless `len` bytes and `extra` behind them fit.
    pub(crate) fn require(&self, len: usize, extra: usize) -> Result<(), Failure> {
        if self.data.is_null() && self.capacity > 0 {
            return Err(null("the buffer"));
        }
        if self.capacity < len + extra {
            self.tell(len);
            let message = format!("the buffer has {} bytes; {} are needed", self.capacity, len + extra);
            return Err(Failure::new(Status::BufferTooSmall, message));
        }
        Ok(())
    }

    /// Writes bytes.
    pub(crate) fn bytes(self, bytes: &[u8]) -> Result<(), Failure> {
        self.require(bytes.len(), 0)?;
        self.write(bytes);
        self.tell(bytes.len());
        Ok(())
    }

    /// Writes text and a NUL behind it that the length does not count.
    pub(crate) fn text(self, text: &str) -> Result<(), Failure> {
        self.ascii(text.as_bytes())
    }

    /// As [`text`](Self::text), of ASCII.
    pub(crate) fn ascii(self, text: &[u8]) -> Result<(), Failure> {
        self.require(text.len(), 1)?;
        self.write(text);
        // SAFETY: `capacity` is more than the text's length, so the place is inside the buffer.
        let end = unsafe { self.data.add(text.len()) };
        // SAFETY: C promises `capacity` writable bytes.
        unsafe { end.write(0) };
        self.tell(text.len());
        Ok(())
    }

    fn write(&self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        // SAFETY: C promises `capacity` writable bytes, `require` saw that they are enough, and our bytes are not
        // C's. (`copy`, which allows overlap, so that a wrong promise about that is harmless.)
        unsafe { ptr::copy(bytes.as_ptr(), self.data, bytes.len()) };
    }

    fn tell(&self, len: usize) {
        if !self.length.is_null() {
            // SAFETY: C promises a place for a length, or NULL.
            unsafe { self.length.write_unaligned(len) };
        }
    }
}

#[cold]
fn null(what: &str) -> Failure {
    Failure::new(Status::NullArgument, format!("{what} is NULL"))
}

/// The entry function of a plugin that the host has linked in.
pub(crate) fn plugin_entry(entry: PluginEntryFn) -> Result<LinkedEntry, Failure> {
    let entry = entry.ok_or_else(|| null("entry"))?;
    // SAFETY: the host promises a function as herald_plugin.h declares it, which is of that type.
    Ok(unsafe { core::mem::transmute::<unsafe extern "C" fn() -> *const Plugin, LinkedEntry>(entry) })
}

/// A function of the host that is kept, with its user pointer.
pub(crate) struct Callback<F> {
    function: F,
    finalizer: FinalizerFn,
    user: *mut c_void,
}

// SAFETY: the pointer is only handed back to the host, whose functions may run on any thread by their contract.
unsafe impl<F: Send> Send for Callback<F> {}
// SAFETY: as above; they may run on several threads at once.
unsafe impl<F: Sync> Sync for Callback<F> {}

impl<F> Callback<F> {
    pub(crate) const fn new(function: F, finalizer: FinalizerFn, user: *mut c_void) -> Self {
        Self { function, finalizer, user }
    }

    /// To be called once, after the last call of the function.
    pub(crate) fn finalize(&self) {
        if let Some(finalizer) = self.finalizer {
            // SAFETY: the host promises a function of this type, to be called once with its `user`.
            unsafe { finalizer(self.user) };
        }
    }
}

impl Callback<ReportFn> {
    pub(crate) fn report(&self, level: i32, text: &str) {
        if let Some(report) = self.function {
            // SAFETY: the host promises a function of this type that may be called with its `user` until the
            // finalizer ran; the text lives until it returns.
            unsafe { report(level, text.as_ptr().cast(), text.len(), self.user) };
        }
    }
}

impl Callback<SupplierFn> {
    /// The host's `supplier` with its `user`; it must not be NULL.
    pub(crate) fn for_supplier(
        supplier: SupplierFn,
        finalizer: FinalizerFn,
        user: *mut c_void,
    ) -> Result<Self, Failure> {
        supplier.ok_or_else(|| null("supplier")).map(|_| Self::new(supplier, finalizer, user))
    }

    /// Asks for what `wanted` says. Its places for outputs are valid for as long as this runs.
    pub(crate) fn ask(&self, wanted: &mut CertificateWanted) -> Option<i32> {
        let supplier = self.function?;
        // SAFETY: the host promises a function of this type that may be called with its `user` until the finalizer
        // ran; the struct, and what it points to, lives until it returns.
        Some(unsafe { supplier(ptr::from_mut(wanted), self.user) })
    }
}

/// A function of the host that hears once what became of a call.
pub(crate) struct Completion<R> {
    done: unsafe extern "C" fn(result: *const R, user: *mut c_void),
    user: *mut c_void,
}

// SAFETY: the pointer is only handed back to the host, whose function may run on any thread by its contract.
unsafe impl<R> Send for Completion<R> {}

impl<R> Completion<R> {
    /// The host's `done` with its `user`.
    pub(crate) fn new(
        done: Option<unsafe extern "C" fn(result: *const R, user: *mut c_void)>,
        user: *mut c_void,
    ) -> Result<Self, Failure> {
        Ok(Self { done: done.ok_or_else(|| null("done"))?, user })
    }

    /// Tells the host, once.
    pub(crate) fn tell(self, result: &R) {
        // SAFETY: the host promises a function of this type, to be called once with its `user`; the result lives until
        // it returns.
        unsafe { (self.done)(ptr::from_ref(result), self.user) };
    }
}

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
