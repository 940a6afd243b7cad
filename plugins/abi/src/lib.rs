//! `include/herald_plugin.h` mirrored in Rust: the tables between the engine and its plugins, and nothing else.
//!
//! The header is the contract and carries the documentation of every field; what stands here has the same names, the
//! same order and the same layout, which a test compares from both sides. It knows neither the engine nor the loader,
//! and makes no promise safe: `herald-plugin-sdk` does for plugins, the loader for the engine.
#![no_std]
#![expect(missing_docs, reason = "the header documents every field")]

use core::ffi::{c_char, c_void};

/// The major version of the interface: another one is refused.
pub const ABI_MAJOR: u16 = 1;
/// The minor version: grows with each field that is appended.
pub const ABI_MINOR: u16 = 0;

/// A plugin that finds the Call Placement Services of a number.
pub const DISCOVERY: u32 = 1;
/// A plugin that makes, issues and redeems anonymous tokens.
pub const RATE_CONTROL: u32 = 2;

/// Several threads may call the functions of one instance at once.
pub const THREADS: u32 = 1;

/// It was done.
pub const OK: i32 = 0;
/// The answer follows through [`Host::answer`].
pub const PENDING: i32 = 1;
/// This source knows of nothing.
pub const NOT_FOUND: i32 = 2;
/// This token, request or response is not valid.
pub const REFUSED: i32 = 3;
/// The caller's memory is too small: its `len` says what is needed.
pub const SMALL: i32 = 4;
/// The plugin does not do that.
pub const UNSUPPORTED: i32 = 5;
/// Anything else; counts against the plugin.
pub const FAILED: i32 = -1;

/// Something does not work until somebody acts.
pub const LOG_ERROR: u32 = 1;
/// Something needs an eye.
pub const LOG_WARNING: u32 = 2;
/// The plugin goes on as it should.
pub const LOG_INFO: u32 = 3;

/// The calling side asks, to store.
pub const SIDE_CALLING: u32 = 1;
/// The called side asks, to retrieve.
pub const SIDE_CALLED: u32 = 2;

/// Signed by somebody with authority over the number, which the plugin has verified.
pub const ANSWER_PROVEN: u32 = 1;
/// Bytes of the URIs of an answer.
pub const ANSWER_URIS_BYTES: usize = 4096;
/// Bytes of the note of an answer.
pub const ANSWER_NOTE_BYTES: usize = 256;
/// Bytes of a reason.
pub const REASON_BYTES: usize = 512;

/// DER of a signer's certificate, after its chain was verified.
pub const OBSERVED_CERTIFICATE: u32 = 1;

/// Type, nonce, challenge digest and key id of a token (RFC 9577).
pub const TOKEN_INPUT_BYTES: usize = 98;
/// SHA-256 of a public key (RFC 9578).
pub const KEY_ID_BYTES: usize = 32;
/// Bytes of an authenticator at most.
pub const AUTHENTICATOR_BYTES_MAX: usize = 512;
/// Bytes of a proof at most.
pub const PROOF_BYTES_MAX: usize = 256;
/// Bytes of a token's secret at most.
pub const SECRET_BYTES_MAX: usize = 128;

/// The authenticator is shown; good for one store, opens no session.
pub const MODE_BEARER: u32 = 1;
/// The authenticator is not shown: both sides derive the MAC key from it.
pub const MODE_WITHHELD: u32 = 2;
/// The nonce commits to a MAC key, which the proof shows inside TLS.
pub const MODE_COMMITTED: u32 = 4;
/// The nonce commits to a public key in the proof; the MAC key is agreed with it.
pub const MODE_AGREED: u32 = 8;
/// The nonce commits to a public key in the proof, which signs every store.
pub const MODE_SIGNED: u32 = 16;

/// `herald_plugin_entry`. A function of a plugin is called as one that unwinds, although it must not: C++ may throw, and
/// the engine's barrier stops it only if the frames between let it pass.
pub type Entry = unsafe extern "C-unwind" fn() -> *const Plugin;
/// An entry function of this program: that its table is what the header says is the promise of who declares it safe.
pub type LinkedEntry = extern "C-unwind" fn() -> *const Plugin;
/// The name of the one symbol that a plugin exports, with its NUL.
pub const ENTRY_SYMBOL: &[u8] = b"herald_plugin_entry\0";

/// `herald_reason`.
#[repr(C)]
pub struct Reason {
    pub struct_size: usize,
    pub len: usize,
    pub text: [u8; REASON_BYTES],
}

/// `herald_bytes`.
#[repr(C)]
pub struct Bytes {
    pub struct_size: usize,
    pub data: *mut u8,
    pub capacity: usize,
    pub len: usize,
}

/// `herald_setting`.
#[repr(C)]
pub struct Setting {
    pub name: *const c_char,
    pub value: *const c_char,
}

/// `herald_host`.
#[repr(C)]
pub struct Host {
    pub abi_major: u16,
    pub abi_minor: u16,
    pub struct_size: u32,
    pub kind: u32,
    pub reserved: u32,
    pub context: *mut c_void,
    pub log: Option<unsafe extern "C" fn(*mut c_void, u32, *const c_char, usize)>,
    pub random: Option<unsafe extern "C" fn(*mut c_void, *mut u8, usize)>,
    pub wall_ms: Option<unsafe extern "C" fn(*mut c_void) -> u64>,
    pub steady_ms: Option<unsafe extern "C" fn(*mut c_void) -> u64>,
    pub answer: Option<unsafe extern "C" fn(*mut c_void, u64, i32, *const Answer) -> i32>,
}

/// `herald_plugin`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Plugin {
    pub abi_major: u16,
    pub abi_minor: u16,
    pub struct_size: u32,
    pub kind: u32,
    pub flags: u32,
    pub name: *const c_char,
    pub version: *const c_char,
    pub summary: *const c_char,
    pub open: Option<
        unsafe extern "C-unwind" fn(*const Host, *const Setting, usize, *mut *mut c_void, *mut Reason) -> i32,
    >,
    pub close: Option<unsafe extern "C-unwind" fn(*mut c_void)>,
    pub reload: Option<unsafe extern "C-unwind" fn(*mut c_void, *mut Reason) -> i32>,
}

/// `herald_question`.
#[repr(C)]
pub struct Question {
    pub struct_size: usize,
    pub ticket: u64,
    pub deadline_ms: u64,
    pub side: u32,
    pub reserved: u32,
    pub number: *const c_char,
    pub number_len: usize,
    pub spc: *const c_char,
    pub spc_len: usize,
}

/// `herald_answer`.
#[repr(C)]
pub struct Answer {
    pub struct_size: usize,
    pub flags: u32,
    pub fresh_s: u32,
    pub note_len: u32,
    pub uris_len: u32,
    pub note: [u8; ANSWER_NOTE_BYTES],
    pub uris: [u8; ANSWER_URIS_BYTES],
}

/// `herald_discovery`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Discovery {
    pub plugin: Plugin,
    pub find: Option<unsafe extern "C-unwind" fn(*mut c_void, *const Question, *mut Answer) -> i32>,
    pub cancel: Option<unsafe extern "C-unwind" fn(*mut c_void, u64)>,
    pub observe: Option<unsafe extern "C-unwind" fn(*mut c_void, u32, *const u8, usize)>,
}

/// `herald_token_key`.
#[repr(C)]
pub struct TokenKey {
    pub struct_size: usize,
    pub id: [u8; KEY_ID_BYTES],
    pub public_key: Bytes,
    pub agreement_key: Bytes,
    pub secret: Bytes,
}

/// `herald_redemption`.
#[repr(C)]
pub struct Redemption {
    pub struct_size: usize,
    pub key: u64,
    pub mode: u32,
    pub reserved: u32,
    pub token_input: *const u8,
    pub authenticator: *const u8,
    pub authenticator_len: usize,
    pub proof: *const u8,
    pub proof_len: usize,
}

/// `herald_redeemed`.
#[repr(C)]
pub struct Redeemed {
    pub struct_size: usize,
    pub result: i32,
    pub secret_len: u32,
    pub secret: [u8; SECRET_BYTES_MAX],
}

/// `herald_want`.
#[repr(C)]
pub struct Want {
    pub struct_size: usize,
    pub mode: u32,
    pub count: u32,
    pub public_key: *const u8,
    pub public_key_len: usize,
    pub agreement_key: *const u8,
    pub agreement_key_len: usize,
    pub challenge_digest: *const u8,
}

/// `herald_token`.
#[repr(C)]
pub struct Token {
    pub struct_size: usize,
    pub authenticator_len: u32,
    pub proof_len: u32,
    pub secret_len: u32,
    pub reserved: u32,
    pub token_input: [u8; TOKEN_INPUT_BYTES],
    pub authenticator: [u8; AUTHENTICATOR_BYTES_MAX],
    pub proof: [u8; PROOF_BYTES_MAX],
    pub secret: [u8; SECRET_BYTES_MAX],
}

/// `herald_rate_control`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RateControl {
    pub plugin: Plugin,
    pub token_type: u32,
    pub modes: u32,
    pub count_max: u32,
    pub key_cost_ms: u32,
    pub request_type: *const c_char,
    pub response_type: *const c_char,
    pub key_make: Option<unsafe extern "C-unwind" fn(*mut c_void, *mut TokenKey) -> i32>,
    pub key_add: Option<unsafe extern "C-unwind" fn(*mut c_void, u64, *const u8, usize) -> i32>,
    pub key_drop: Option<unsafe extern "C-unwind" fn(*mut c_void, u64)>,
    pub request_count: Option<unsafe extern "C-unwind" fn(*mut c_void, *const u8, usize) -> u32>,
    pub issue: Option<unsafe extern "C-unwind" fn(*mut c_void, u64, *const u8, usize, *mut Bytes) -> i32>,
    pub redeem:
        Option<unsafe extern "C-unwind" fn(*mut c_void, *const Redemption, usize, *mut Redeemed) -> i32>,
    pub request: Option<unsafe extern "C-unwind" fn(*mut c_void, *const Want, *mut Bytes, *mut Bytes) -> i32>,
    pub finish: Option<
        unsafe extern "C-unwind" fn(
            *mut c_void,
            *const u8,
            usize,
            *const u8,
            usize,
            *mut Token,
            *mut usize,
        ) -> i32,
    >,
}

// SAFETY: tables are never written after they are made, and what they point to lives as long as the process.
unsafe impl Sync for Plugin {}
// SAFETY: as above.
unsafe impl Sync for Discovery {}
// SAFETY: as above.
unsafe impl Sync for RateControl {}
