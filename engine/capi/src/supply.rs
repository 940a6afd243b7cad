//! Certificate chains that the host has: given ahead of any call, or when one is wanted. Where else they come from is
//! the runtime's.

#![expect(unsafe_code, reason = "no_mangle counts as unsafe; tests/tidy allows no other here")]

use core::ffi::{c_char, c_void};
use std::sync::Arc;
use std::time::Duration;

use herald_runtime::Supply;
use herald_runtime::stir::services::Fetched;

use crate::boundary::{Callback, Engine, Error, FinalizerFn, SupplierFn, Text};
use crate::call::call;
use crate::engine::with;
use crate::gate::Gate;
use crate::limits::{CHAIN_BYTES_MAX, URL_BYTES_MAX};
use crate::services::size_of_struct;
use crate::status::Status;

/// What a supplier may say, with its name in C and what it means.
pub const SUPPLIES: &[(i32, &str, &str)] = &[
    (
        0,
        "HERALD_SUPPLY_FETCH",
        "The host has none: it is fetched, if the property fetch_hosts allows its host.",
    ),
    (1, "HERALD_SUPPLY_GIVEN", "The chain is in chain_pem, its length in chain_pem_len."),
    (2, "HERALD_SUPPLY_NONE", "There is none, and none is to be fetched."),
    (
        3,
        "HERALD_SUPPLY_LATER",
        "The host brings it with herald_certificate_keep; for five seconds it is not asked again.",
    ),
];

/// How long a chain holds that the host says nothing more of, in seconds.
const FRESH_UNSAID_S: u32 = 3600;

/// A certificate chain that is wanted, and the place for it. Since 0.1.
#[repr(C)]
pub struct CertificateWanted {
    /// sizeof(herald_certificate_wanted) of the library; newer ones append.
    pub struct_size: u32,
    /// For how many seconds the chain holds; an hour unless it is set.
    pub fresh_s: u32,
    /// Where it is said to be (an x5u): a stranger's text.
    pub url: Text,
    /// Takes the chain, PEM.
    pub chain_pem: *mut u8,
    /// Bytes there is room for.
    pub capacity: usize,
    /// How many bytes the chain has.
    pub chain_pem_len: usize,
}

/// [any thread] Has supplier asked for each certificate chain that a call needs and that is not known, before it is
/// fetched. Between herald_engine_open and herald_engine_start, once. Since 0.1.
///
/// After HERALD_OK user is the engine's until finalizer, which may be NULL, is called at the end of herald_engine_close;
/// after anything else it stays the caller's. The property roots or signing_key must be set. A call that waits for a chain
/// keeps its deadline.
#[unsafe(no_mangle)]
pub extern "C" fn herald_certificate_supplier_set(
    engine: *mut Engine,
    supplier: SupplierFn,
    user: *mut c_void,
    finalizer: FinalizerFn,
    error: *mut *mut Error,
) -> Status {
    call(error, |_| {
        let callback = Callback::for_supplier(supplier, finalizer, user)?;
        with(engine, |open| {
            // Who closes has it too, so that the finalizer is not forgotten.
            open.living(|| {
                let gate = Arc::new(Gate::new(callback));
                let asked = gate.clone();
                open.engine.supply_by(Arc::new(move |url: &str, kind| supplied(&asked, url, kind)))?;
                // The engine takes one only.
                let _ = open.supplier.set(gate);
                Ok(())
            })
        })
    })
}

/// [any thread] Keeps a certificate chain, PEM, as what url serves (an x5u), so that it need not be fetched for fresh_s
/// seconds. Since 0.1.
///
/// Calls that wait for it go on: so a supplier's HERALD_SUPPLY_LATER is kept, and a chain that is replaced is given anew.
/// Kept for a minute at least and a day at most. HERALD_BAD_VALUE if it is no chain. Towards the end of fresh_s it is
/// asked for again while calls use it (the supplier first, then its host if fetch_hosts allows it); until it is replaced
/// it is used.
#[unsafe(no_mangle)]
pub extern "C" fn herald_certificate_keep(
    engine: *mut Engine,
    url: *const c_char,
    url_len: usize,
    chain_pem: *const u8,
    chain_pem_len: usize,
    fresh_s: u32,
    error: *mut *mut Error,
) -> Status {
    call(error, |scope| {
        let url = scope.text(url, url_len, URL_BYTES_MAX, "url")?;
        let chain = scope.bytes(chain_pem, chain_pem_len, CHAIN_BYTES_MAX, "chain_pem")?;
        let fresh = Duration::from_secs(fresh_s.into());
        with(engine, |open| Ok(open.engine.keep_certificate(url, chain, fresh)?))
    })
}

fn supplied(supplier: &Gate<SupplierFn>, url: &str, kind: Fetched) -> Supply {
    if kind != Fetched::Certificate {
        return Supply::Fetch;
    }
    let mut chain = vec![0; CHAIN_BYTES_MAX];
    let mut wanted = CertificateWanted {
        struct_size: size_of_struct::<CertificateWanted>(),
        fresh_s: FRESH_UNSAID_S,
        url: Text::of(url),
        chain_pem: chain.as_mut_ptr(),
        capacity: chain.len(),
        chain_pem_len: 0,
    };
    let said = supplier.through(|callback| callback.ask(&mut wanted)).flatten();
    match said.and_then(|said| SUPPLIES.get(usize::try_from(said).ok()?)) {
        Some((_, "HERALD_SUPPLY_FETCH", _)) => Supply::Fetch,
        Some((_, "HERALD_SUPPLY_LATER", _)) => Supply::Later,
        Some((_, "HERALD_SUPPLY_GIVEN", _)) if wanted.chain_pem_len <= chain.len() => {
            chain.truncate(wanted.chain_pem_len);
            Supply::Document { body: chain, fresh_s: wanted.fresh_s.into() }
        }
        _ => Supply::Absent,
    }
}
