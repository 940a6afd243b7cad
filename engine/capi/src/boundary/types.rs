//! The types of the header: handles, structs that C hands in or is given, functions of the host.

use core::ffi::{c_char, c_void};
use core::ptr;

use crate::discovery::Discovered;
use crate::gateway::{GatewayFetched, GatewayStored};
use crate::services::{Checked, Placed};
use crate::status::Status;
use crate::subscriptions::Arrived;
use crate::supply::CertificateWanted;

/// An engine: a Call Placement Service in process, or a client of one elsewhere. Open one, start it, close it.
pub struct Engine(());

/// What was retrieved under one number: placements among cover, in the order of their ids. Free it.
pub struct Items(());

/// Why a call failed, in words. Free it.
pub struct Error(());

/// The counters and gauges of an engine at one moment. Free it.
pub struct Stats(());

/// A function of the host that hears of placements. Close it.
pub struct Subscription(());

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
/// It runs on a thread of the engine, or on one of the host's inside a call, mostly one that opens, starts, reloads, stops or
/// closes it; on several at once if it must.
/// It must not unwind. Of the functions that can fail only the _free functions do their work inside it, others answer
/// HERALD_IN_CALLBACK.
pub type ReportFn =
    Option<unsafe extern "C" fn(level: i32, text: *const c_char, text_len: usize, user: *mut c_void)>;

/// Is called once with the user pointer when it is used no more: at the end of herald_engine_close or of
/// herald_subscription_close, on its thread. Not called if the function that was given it fails. The rules of
/// herald_report_fn hold.
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
    /// The path of a configuration file (TOML), whose settings come before properties. Empty: none. The file is read
    /// once, here.
    pub file: Text,
}

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

/// Hears of one placement, once retrievals can find it; with durability synced that is before it is acknowledged.
///
/// It runs on a thread of the engine, or in herald_engine_turn, herald_engine_drain and herald_engine_drain_begin on the loop
/// thread if herald_engine_start_hosted was called, and in herald_engine_stop and herald_engine_close, which tell what waits;
/// of one subscription one at a time, in order. So it must not take a lock that a thread holds while it drains, stops or
/// closes the engine. It may block: up to queue_len placements wait for it, and then the oldest makes room. The other rules
/// of herald_placed_fn hold.
pub type ArrivedFn = Option<unsafe extern "C" fn(arrived: *const Arrived, user: *mut c_void)>;

/// A subscription to be made. Set all of it to zero, then what is needed. Since 0.1.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct SubscribeOptions {
    /// sizeof(herald_subscribe_options).
    pub struct_size: u32,
    /// Placements that wait for the function at most, each with its body; 0: 1,024. At most 16,384.
    pub queue_len: u32,
    /// The called number. Empty with block empty too: all numbers.
    pub number: Text,
    /// A block of called numbers, as "12025550100-100" (first and count) or "1202555xxxx".
    pub block: Text,
    /// Hears of each placement.
    pub arrived: ArrivedFn,
    /// What arrived and finalizer are given.
    pub user: *mut c_void,
    /// Releases user, or NULL.
    pub finalizer: FinalizerFn,
}

/// A call on its way: it can be cancelled. Free it, whether or not it is over.
pub struct Call(());

impl EngineOptions {
    /// No settings, and nobody hears reports.
    pub(crate) const NONE: Self = Self {
        struct_size: 0,
        properties: ptr::null(),
        property_count: 0,
        report: None,
        user: ptr::null_mut(),
        finalizer: None,
        file: Text { data: ptr::null(), len: 0 },
    };
}

impl Text {
    /// `text`, for as long as it lives.
    pub(crate) const fn of(text: &str) -> Self {
        Self { data: text.as_ptr().cast(), len: text.len() }
    }
}
