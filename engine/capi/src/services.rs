//! Placing and checking calls (RFC 8816 sections 8.1 and 8.2): a call returns at once, and a function of the host hears
//! what became of it. What a call does is the runtime's.

#![expect(unsafe_code, reason = "no_mangle counts as unsafe; tests/tidy allows no other here")]

use herald_runtime::core::limits::NUMBER_TEXT_BYTES_MAX;
use herald_runtime::stir::services::{
    CheckRequest, Checked as Found, CollectionFault, DeliveryFault, IoFault, LookupFault, PlaceFailure,
    PlaceFault, PlaceRequest, Placed as Stored, new_origid,
};
use herald_runtime::stir::{Attestation, CallFacts, CallToken, Claims, Fault, Identity};
use herald_runtime::{CallHandle, CallLost, SystemRandom, checked_json};

use crate::boundary::{Call, CheckOptions, Completion, Engine, Error, PlaceOptions, Scope, Text};
use crate::call::{call, free, inside_callback};
use crate::engine::with;
use crate::failure::Failure;
use crate::handle::Table;
use crate::limits::{
    CALL_ID_BYTES_MAX, CALLS_MAX, IDENTITY_BYTES_MAX, IDENTITY_VALUES_MAX, PASSPORT_BYTES_MAX, URL_BYTES_MAX,
};
use crate::sealing::called_number;
use crate::status::Status;

/// What a check may come to, with its name in C and what it means.
pub const VERDICTS: &[(i32, &str, &str)] = &[
    (0, "HERALD_VERDICT_NONE", "The call came without a PASSporT."),
    (1, "HERALD_VERDICT_ACCEPT", "A PASSporT holds for the call."),
    (2, "HERALD_VERDICT_REJECT", "The call came with PASSporTs and none holds for it."),
    (3, "HERALD_VERDICT_UNKNOWN", "The check was cancelled or lost: nothing is known of the call."),
];

/// What became of a call that was placed. All of it is valid until the function it is given to returns. Since 0.1.
#[repr(C)]
pub struct Placed {
    /// sizeof(herald_placed) of the library; newer ones append.
    pub struct_size: u32,
    /// HERALD_OK only after a service acknowledged every copy: now the call may go out.
    pub status: Status,
    /// Why not, in words; empty if it was placed.
    pub message: Text,
    /// The PASSporT in full form, which may go in band as well; empty if it was not placed.
    pub passport: Text,
    /// Copies that a service acknowledged. After a failure they stay there until they expire.
    pub stored_count: u32,
    /// Copies there should be: one for each sealing key of the called side. 0 if it did not come to that.
    pub copies_count: u32,
}

/// What was found of a call. All of it is valid until the function it is given to returns. Since 0.1.
#[repr(C)]
pub struct Checked {
    /// sizeof(herald_checked) of the library; newer ones append.
    pub struct_size: u32,
    /// HERALD_OK if all was looked at; else why not, and the verdict is on what came to hand.
    pub status: Status,
    /// One of HERALD_VERDICT_*.
    pub verdict: i32,
    /// The SIP response code that stands for it (RFC 8224 section 6.2.2): 200 if a PASSporT holds, else 403, 428, 436,
    /// 437, 438 or another failure; 0 with HERALD_VERDICT_UNKNOWN.
    pub sip_code: i32,
    /// How well the signer knows the caller, as a letter of RFC 8588: 'A', 'B', 'C'; 0 if nobody says.
    pub attestation: i32,
    /// The reason, one sentence.
    pub reason: Text,
    /// The PASSporT that decided, in compact form, for a Reason header field (RFC 9410); empty if there is none.
    pub ppi: Text,
    /// All that was found, as one JSON object: docs/CAPI.md has its members. It names the parties of the call.
    pub details: Text,
}

static CALLS: Table<CallHandle> = Table::new(4, "call", CALLS_MAX);

/// [any thread] Places a call: signs its PASSporT, seals a copy for each key of the called side and stores them
/// (RFC 8816 section 8.1). Since 0.1.
///
/// Returns at once. After HERALD_OK, done is called exactly once; after anything else never. options and what it points
/// to is copied, but for user. *started, unless started is NULL, is written on success, which may be after done has run
/// on its thread: who uses the handle in done waits for it first. Free it with herald_call_free. It is NULL if other
/// threads took the last of the 65,536 handles meanwhile: the call goes on and cannot be cancelled.
/// Only between herald_engine_start and herald_engine_close, and if the property signing_key is set.
#[unsafe(no_mangle)]
pub extern "C" fn herald_place(
    engine: *mut Engine,
    options: *const PlaceOptions,
    started: *mut *mut Call,
    error: *mut *mut Error,
) -> Status {
    call(error, |scope| {
        let options = scope.options(options)?;
        let completion = Completion::new(options.done, options.user)?;
        let request = place_request(scope, &options)?;
        let told = move |outcome| tell_placed(completion, outcome);
        hand_over(scope, started, || with(engine, |open| Ok(open.engine.place(request, told)?)))
    })
}

/// [any thread] Checks a call: retrieves what waits under the called number, opens what opens, and judges it together
/// with what came in band (RFC 8816 section 8.2). Since 0.1.
///
/// As herald_place; the property roots must be set.
#[unsafe(no_mangle)]
pub extern "C" fn herald_check(
    engine: *mut Engine,
    options: *const CheckOptions,
    started: *mut *mut Call,
    error: *mut *mut Error,
) -> Status {
    call(error, |scope| {
        let options = scope.options(options)?;
        let completion = Completion::new(options.done, options.user)?;
        let request = check_request(scope, &options)?;
        let told = move |outcome| tell_checked(completion, outcome);
        hand_over(scope, started, || with(engine, |open| Ok(open.engine.check(request, told)?)))
    })
}

/// [any thread] Ends a call early: if it is not over, done soon hears HERALD_CANCELLED. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn herald_call_cancel(started: *mut Call, error: *mut *mut Error) -> Status {
    call(error, |_| {
        CALLS.get(started)?.cancel();
        Ok(())
    })
}

/// [any thread] Frees the handle of a call, which goes on. NULL is fine. Allowed inside callbacks. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn herald_call_free(started: *mut Call) -> Status {
    if started.is_null() {
        return Status::Ok;
    }
    free(|| CALLS.remove(started).map(drop))
}

/// Gives C the handle of what `start` starts, if C wants it. It is there before the call begins, so that nothing is left
/// to fail afterwards.
pub(crate) fn hand_over(
    scope: &Scope,
    place: *mut *mut Call,
    start: impl FnOnce() -> Result<CallHandle, Failure>,
) -> Result<(), Failure> {
    if place.is_null() {
        return start().map(drop);
    }
    let out = scope.out(place, "started")?;
    CALLS.require_room()?;
    let handle = start()?;
    // Another thread may have taken the room: then the call goes on without a handle, which C is told by NULL.
    out.set(CALLS.insert(handle).unwrap_or(core::ptr::null_mut()));
    Ok(())
}

fn place_request(scope: &Scope, options: &PlaceOptions) -> Result<PlaceRequest, Failure> {
    let payload =
        scope.bytes(options.payload.data.cast(), options.payload.len, PASSPORT_BYTES_MAX, "payload")?;
    let claims = if payload.is_empty() { shaken(scope, options)? } else { given(scope, options, payload)? };
    Ok(PlaceRequest { deadline_ms: options.deadline_ms.into(), ..PlaceRequest::new(claims) })
}

fn shaken(scope: &Scope, options: &PlaceOptions) -> Result<Claims, Failure> {
    let number = |text: Text| called_number(scope, text.data, text.len);
    let (orig, dest) = (number(options.orig)?, number(options.dest)?);
    let letter = if options.attestation == 0 { Some('A') } else { letter_of(options.attestation) };
    let attest = letter.and_then(|letter| Attestation::from_letter(letter.encode_utf8(&mut [0; 4])));
    let attest = attest.ok_or_else(|| Failure::new(Status::BadValue, "attestation is 'A', 'B', 'C' or 0"))?;
    let origid = scope.text(options.origid.data, options.origid.len, CALL_ID_BYTES_MAX, "origid")?;
    let origid = if origid.is_empty() { new_origid(&SystemRandom) } else { origid.to_owned() };
    Ok(Claims::shaken(orig.into(), dest.into(), 0, attest, origid))
}

fn given(scope: &Scope, options: &PlaceOptions, payload: &[u8]) -> Result<Claims, Failure> {
    let ppt = scope.text(options.ppt.data, options.ppt.len, CALL_ID_BYTES_MAX, "ppt")?;
    let claims = Claims::from_payload(payload, Some(ppt).filter(|ppt| !ppt.is_empty()));
    claims.map_err(|fault| Failure::new(Status::BadValue, format!("payload: {fault}")))
}

fn letter_of(attestation: i32) -> Option<char> {
    u32::try_from(attestation).ok().and_then(char::from_u32)
}

fn check_request(scope: &Scope, options: &CheckOptions) -> Result<CheckRequest, Failure> {
    let mut call = CallFacts::new(party(scope, options.orig, "orig")?, party(scope, options.dest, "dest")?);
    if options.to.len > 0 {
        call.to = Some(party(scope, options.to, "to")?);
    }
    let (first, count) = (options.identity_values, options.identity_count);
    let values = scope.array(first, count, IDENTITY_VALUES_MAX, "identity_values")?;
    let value = |text: &Text| {
        scope.bytes(text.data.cast(), text.len, IDENTITY_BYTES_MAX, "an identity value").map(<[u8]>::to_vec)
    };
    let name = scope.bytes(options.call_id.data.cast(), options.call_id.len, CALL_ID_BYTES_MAX, "call_id")?;
    Ok(CheckRequest {
        in_band: values.iter().map(value).collect::<Result<_, _>>()?,
        date_s: Some(options.date_s).filter(|&date_s| date_s != 0),
        name: (!name.is_empty()).then(|| CallToken::of(name)),
        deadline_ms: options.deadline_ms.into(),
        ..CheckRequest::new(call)
    })
}

/// A number, or else a URI.
fn party(scope: &Scope, text: Text, what: &str) -> Result<Identity, Failure> {
    let text = scope.text(text.data, text.len, URL_BYTES_MAX, what)?;
    let wrong = |error| Failure::new(Status::BadNumber, format!("{what}: {error}"));
    match text.len() <= NUMBER_TEXT_BYTES_MAX && !text.contains([':', '@']) {
        true => text.parse().map(Identity::Tn).map_err(wrong),
        false => Ok(Identity::Uri(text.to_owned())),
    }
}

fn tell_placed(completion: Completion<Placed>, outcome: Result<Result<Stored, PlaceFailure>, CallLost>) {
    let (status, message) = match &outcome {
        Ok(Ok(_)) => (Status::Ok, String::new()),
        Ok(Err(failure)) => (place_status(&failure.cause), failure.to_string()),
        Err(lost) => (Status::Panic, lost.to_string()),
    };
    let (passport, stored, wanted) = match &outcome {
        Ok(Ok(placed)) => (placed.passport.as_str(), placed.copies.len(), placed.copies.len()),
        Ok(Err(failure)) => ("", failure.stored.len(), failure.copies_count),
        Err(_) => ("", 0, 0),
    };
    let placed = Placed {
        struct_size: size_of_struct::<Placed>(),
        status,
        message: Text::of(&message),
        passport: Text::of(passport),
        stored_count: u32::try_from(stored).unwrap_or(u32::MAX),
        copies_count: u32::try_from(wanted).unwrap_or(u32::MAX),
    };
    inside_callback(|| completion.tell(&placed));
}

fn tell_checked(completion: Completion<Checked>, outcome: Result<Found, CallLost>) {
    let status = match &outcome {
        Ok(found) => found.lookup.as_ref().map_or_else(lookup_status, |()| Status::Ok),
        Err(_) => Status::Panic,
    };
    let (verdict, sip_code) = verdict_of(outcome.as_ref().ok());
    let fault = outcome.as_ref().ok().and_then(|found| found.verdict.outcome().err());
    let reason = match &outcome {
        Ok(_) => fault.map_or_else(|| "the PASSporT holds for the call".to_owned(), ToString::to_string),
        Err(lost) => lost.to_string(),
    };
    let details = outcome.as_ref().map_or_else(|_| "{}".to_owned(), |found| checked_json(found).to_string());
    let found = outcome.as_ref().ok();
    let attestation = found.and_then(|found| found.verdict.attestation());
    let ppi = found.and_then(|found| found.verdict.deciding()?.ppi()).unwrap_or_default();
    let checked = Checked {
        struct_size: size_of_struct::<Checked>(),
        status,
        verdict,
        sip_code,
        attestation: attestation.map_or(0, |attest| attest.letter().as_bytes()[0].into()),
        reason: Text::of(&reason),
        ppi: Text::of(ppi),
        details: Text::of(&details),
    };
    inside_callback(|| completion.tell(&checked));
}

/// The verdict on a call, and the SIP response code that stands for it. Of a check that was lost nothing is found.
pub(crate) fn verdict_of(found: Option<&Found>) -> (i32, i32) {
    let Some(found) = found else { return (VERDICTS[3].0, 0) };
    match found.verdict.outcome() {
        Ok(_) => (VERDICTS[1].0, 200),
        Err(Fault::NotJudged) => (VERDICTS[3].0, 0),
        Err(fault) if found.verdict.reports().is_empty() => (VERDICTS[0].0, fault.sip_code().into()),
        Err(fault) => (VERDICTS[2].0, fault.sip_code().into()),
    }
}

const fn place_status(fault: &PlaceFault) -> Status {
    match fault {
        PlaceFault::NotAuthoritative(_) | PlaceFault::NotANumber => Status::Unserved,
        PlaceFault::Sign(_) => Status::BadValue,
        PlaceFault::Delivery(
            DeliveryFault::NoService | DeliveryFault::NoKeys | DeliveryFault::Undecided(_),
        ) => Status::Unserved,
        PlaceFault::Delivery(DeliveryFault::Seal(_)) => Status::BadSize,
        PlaceFault::Delivery(DeliveryFault::Discovery(fault) | DeliveryFault::Store(fault)) => {
            io_status(fault)
        }
        PlaceFault::Deadline => Status::TimedOut,
        PlaceFault::Cancelled => Status::Cancelled,
    }
}

pub(crate) const fn lookup_status(fault: &LookupFault) -> Status {
    match fault {
        LookupFault::NotANumber
        | LookupFault::NoSealingKey
        | LookupFault::Nothing(CollectionFault::NoService | CollectionFault::Undecided(_)) => {
            Status::Unserved
        }
        LookupFault::Nothing(CollectionFault::Discovery(fault) | CollectionFault::Retrieve(fault))
        | LookupFault::Missed(fault) => io_status(fault),
        LookupFault::Deadline => Status::TimedOut,
        LookupFault::Cancelled => Status::Cancelled,
    }
}

pub(crate) const fn io_status(fault: &IoFault) -> Status {
    match fault {
        IoFault::TimedOut => Status::TimedOut,
        IoFault::Busy => Status::Busy,
        _ => Status::Network,
    }
}

pub(crate) fn size_of_struct<T>() -> u32 {
    u32::try_from(size_of::<T>()).expect("a struct is small")
}

#[cfg(test)]
mod tests {
    use herald_runtime::stir::CallVerdict;

    use super::*;

    #[test]
    fn what_is_not_known_is_neither_accepted_nor_a_call_without_a_passport() {
        let refused = |fault| Found {
            verdict: CallVerdict::refused(fault),
            trace: Vec::new(),
            items_count: 0,
            opened_count: 0,
            lookup: Ok(()),
        };
        assert_eq!(verdict_of(None), (3, 0), "a check that was lost");
        assert_eq!(verdict_of(Some(&refused(Fault::NotJudged))), (3, 0));
        assert_eq!(verdict_of(Some(&refused(Fault::NoPassport))), (0, 428));
    }
}
