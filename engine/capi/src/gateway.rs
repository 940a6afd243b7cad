//! Gateways between SIP and the telephone network (RFC 8816 section 8.3): a request goes in as bytes, and a function of
//! the host hears what became of its PASSporTs, or what to insert. What is done with them is the runtime's.

#![expect(unsafe_code, reason = "no_mangle counts as unsafe; tests/tidy allows no other here")]

use herald_runtime::stir::services::{DeliveryFault, GatewayFault, Judging};
use herald_runtime::{GatewayFetchOutcome, GatewayStoreOutcome, checked_json};

use crate::boundary::{
    Call, Completion, Engine, Error, GatewayFetchOptions, GatewayStoreOptions, Scope, Text,
};
use crate::call::{call, inside_callback};
use crate::engine::with;
use crate::failure::Failure;
use crate::limits::SIP_BYTES_MAX;
use crate::sealing::called_number;
use crate::services::{hand_over, io_status, lookup_status, size_of_struct, verdict_of};
use crate::status::Status;

/// What became of the PASSporTs of a request that leaves SIP. Valid until the function it is given to returns. Since 0.1.
#[repr(C)]
pub struct GatewayStored {
    /// sizeof(herald_gateway_stored) of the library; newer ones append.
    pub struct_size: u32,
    /// HERALD_OK only after a service acknowledged every copy. HERALD_BAD_VALUE with a sip_code if the PASSporTs do
    /// not hold.
    pub status: Status,
    /// Why not, in words; empty if it was done.
    pub message: Text,
    /// If the PASSporTs do not hold, the SIP response code that stands for it (RFC 8224 section 6.2.2); else 0.
    pub sip_code: i32,
    /// PASSporTs that were placed, each in a copy for each sealing key.
    pub placed_count: u32,
    /// PASSporTs that were there already.
    pub present_count: u32,
    /// PASSporTs that were left out: they do not hold, or are of another call.
    pub left_out_count: u32,
    /// Copies that a service acknowledged. After a failure they stay there until they expire.
    pub stored_count: u32,
    /// Copies there should be. 0 if it did not come to that.
    pub copies_count: u32,
}

/// What a request that comes into SIP gets. Valid until the function it is given to returns. Since 0.1.
#[repr(C)]
pub struct GatewayFetched {
    /// sizeof(herald_gateway_fetched) of the library; newer ones append.
    pub struct_size: u32,
    /// HERALD_OK if all was looked at; else why not.
    pub status: Status,
    /// One of HERALD_VERDICT_*, on the request's own PASSporTs and those found together.
    pub verdict: i32,
    /// PASSporTs that hold and fit no header field, since they bring their certificate (x5c).
    pub left_out_count: u32,
    /// Identity header field values to insert behind those that are there, in this order, a field each.
    pub identity_values: *const Text,
    /// How many there are.
    pub identity_count: usize,
    /// The reason of the verdict, one sentence.
    pub reason: Text,
    /// All that was found, as in herald_checked.
    pub details: Text,
    /// The SIP response code that stands for the verdict, as in herald_checked.
    pub sip_code: i32,
}

/// [any thread] Takes the PASSporTs of a SIP request to the called side before the call leaves SIP: judges them, seals a
/// copy of each for each key of the number the call goes to, and stores them (RFC 8816 section 8.3). Since 0.1.
///
/// As herald_place; the property roots must be set, and signing_key to divert. A request that cannot be read is
/// HERALD_BAD_VALUE.
#[unsafe(no_mangle)]
pub extern "C" fn herald_gateway_store(
    engine: *mut Engine,
    options: *const GatewayStoreOptions,
    started: *mut *mut Call,
    error: *mut *mut Error,
) -> Status {
    call(error, |scope| {
        let options = scope.options(options)?;
        let completion = Completion::new(options.done, options.user)?;
        let judging = if options.unjudged == 0 { Judging::Here } else { Judging::CalledSide };
        let divert_to = match options.divert_to.len {
            0 => None,
            len => Some(called_number(scope, options.divert_to.data, len)?),
        };
        let told = move |outcome| tell_stored(completion, outcome);
        let sip = request(scope, options.sip)?;
        hand_over(scope, started, || {
            with(engine, |open| {
                Ok(open.engine.gateway_store(sip, divert_to, judging, options.deadline_ms.into(), told)?)
            })
        })
    })
}

/// [any thread] Finds the Identity header field values for a SIP request of a call that comes into SIP: retrieves what
/// waits for the called number, opens it and judges it for this call (RFC 8816 sections 5.3 and 8.3). Since 0.1.
///
/// As herald_check. A request that cannot be read is HERALD_BAD_VALUE.
#[unsafe(no_mangle)]
pub extern "C" fn herald_gateway_fetch(
    engine: *mut Engine,
    options: *const GatewayFetchOptions,
    started: *mut *mut Call,
    error: *mut *mut Error,
) -> Status {
    call(error, |scope| {
        let options = scope.options(options)?;
        let completion = Completion::new(options.done, options.user)?;
        let told = move |outcome| tell_fetched(completion, outcome);
        let sip = request(scope, options.sip)?;
        hand_over(scope, started, || {
            with(engine, |open| Ok(open.engine.gateway_fetch(sip, options.deadline_ms.into(), told)?))
        })
    })
}

fn request(scope: &Scope, sip: Text) -> Result<&[u8], Failure> {
    scope.bytes(sip.data.cast(), sip.len, SIP_BYTES_MAX, "sip")
}

fn tell_stored(completion: Completion<GatewayStored>, outcome: GatewayStoreOutcome) {
    let (status, message, sip_code) = match &outcome {
        Ok(Ok(_)) => (Status::Ok, String::new(), 0),
        Ok(Err(failure)) => (store_status(&failure.cause), failure.to_string(), sip_code(&failure.cause)),
        Err(lost) => (Status::Panic, lost.to_string(), 0),
    };
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let (stored, wanted) = match &outcome {
        Ok(Ok(placed)) => (placed.copies.len(), placed.copies.len()),
        Ok(Err(failure)) => (failure.stored.len(), failure.copies_count),
        Err(_) => (0, 0),
    };
    let placed = outcome.ok().and_then(Result::ok).unwrap_or_default();
    let stored = GatewayStored {
        struct_size: size_of_struct::<GatewayStored>(),
        status,
        message: Text::of(&message),
        sip_code,
        placed_count: count(placed.placed_count),
        present_count: count(placed.present_count),
        left_out_count: count(placed.left_out_count),
        stored_count: count(stored),
        copies_count: count(wanted),
    };
    inside_callback(|| completion.tell(&stored));
}

fn tell_fetched(completion: Completion<GatewayFetched>, outcome: GatewayFetchOutcome) {
    let status = match &outcome {
        Ok(fetched) => fetched.checked.lookup.as_ref().map_or_else(lookup_status, |()| Status::Ok),
        Err(_) => Status::Panic,
    };
    let checked = outcome.as_ref().ok().map(|fetched| &fetched.checked);
    let fault = checked.and_then(|checked| checked.verdict.outcome().err());
    let reason = match &outcome {
        Ok(_) => fault.map_or_else(|| "a PASSporT holds for the call".to_owned(), ToString::to_string),
        Err(lost) => lost.to_string(),
    };
    let details = checked.map_or_else(|| "{}".to_owned(), |checked| checked_json(checked).to_string());
    let values: Vec<Text> = outcome
        .as_ref()
        .map_or(&[][..], |fetched| &fetched.identity_values)
        .iter()
        .map(|value| Text::of(value))
        .collect();
    let (verdict, sip_code) = verdict_of(checked);
    let fetched = GatewayFetched {
        struct_size: size_of_struct::<GatewayFetched>(),
        status,
        verdict,
        left_out_count: outcome
            .as_ref()
            .map_or(0, |fetched| u32::try_from(fetched.left_out_count).unwrap_or(u32::MAX)),
        identity_values: values.as_ptr(),
        identity_count: values.len(),
        reason: Text::of(&reason),
        details: Text::of(&details),
        sip_code,
    };
    inside_callback(|| completion.tell(&fetched));
}

const fn store_status(fault: &GatewayFault) -> Status {
    match fault {
        GatewayFault::Refused(_) | GatewayFault::Elsewhere | GatewayFault::Sign(_) => Status::BadValue,
        GatewayFault::NotANumber
        | GatewayFault::NotAuthoritative(_)
        | GatewayFault::Delivery(
            DeliveryFault::NoService | DeliveryFault::NoKeys | DeliveryFault::Undecided(_),
        ) => Status::Unserved,
        GatewayFault::Delivery(DeliveryFault::Seal(_)) => Status::BadSize,
        GatewayFault::Delivery(DeliveryFault::Discovery(fault) | DeliveryFault::Store(fault)) => {
            io_status(fault)
        }
        GatewayFault::Deadline => Status::TimedOut,
        GatewayFault::Cancelled => Status::Cancelled,
    }
}

fn sip_code(fault: &GatewayFault) -> i32 {
    if let GatewayFault::Refused(fault) = fault { fault.sip_code().into() } else { 0 }
}
