//! Looking up the services of a number as calls do (RFC 8816 section 10).

#![expect(unsafe_code, reason = "no_mangle counts as unsafe; tests/tidy allows no other here")]

use herald_runtime::stir::services::{FindingFault, LookupRequest, Side};
use herald_runtime::{LookupOutcome, looked_up_json};

use crate::boundary::{Call, Completion, DiscoverOptions, Engine, Error, Text};
use crate::call::{call, inside_callback};
use crate::engine::with;
use crate::sealing::called_number;
use crate::services::{hand_over, io_status, size_of_struct};
use crate::status::Status;

/// Which services a number has. All of it is valid until the function it is given to returns. Since 0.1.
#[repr(C)]
pub struct Discovered {
    /// sizeof(herald_discovered) of the library; newer ones append.
    pub struct_size: u32,
    /// HERALD_OK if there are services; HERALD_UNSERVED if no source knows one, or the policy believes none; else why the
    /// sources could not be asked.
    pub status: Status,
    /// Why there are none, in words; empty if there are.
    pub message: Text,
    /// The services as URIs, the preferred one first, with newlines between them: https, unix:PATH or local.
    pub services: Text,
    /// What each source said, as one JSON object: docs/CAPI.md has its members. Notes of sources may name the number.
    pub details: Text,
}

/// [any thread] Looks up the Call Placement Services of a number as calls do: in the sources that the property discovery
/// names (RFC 8816 section 10). Since 0.1.
///
/// As herald_place; one of the properties discovery, roots and signing_key must be set.
#[unsafe(no_mangle)]
pub extern "C" fn herald_discover(
    engine: *mut Engine,
    options: *const DiscoverOptions,
    started: *mut *mut Call,
    error: *mut *mut Error,
) -> Status {
    call(error, |scope| {
        let options = scope.options(options)?;
        let completion = Completion::new(options.done, options.user)?;
        let number = called_number(scope, options.number.data, options.number.len)?;
        let side = if options.calling == 0 { Side::Called } else { Side::Calling };
        let request = LookupRequest { number, side, deadline_ms: options.deadline_ms.into() };
        let told = move |outcome| tell(completion, outcome);
        hand_over(scope, started, || with(engine, |open| Ok(open.engine.look_up(request, told)?)))
    })
}

fn tell(completion: Completion<Discovered>, outcome: LookupOutcome) {
    let (status, message) = match &outcome {
        Ok(found) if found.is_cancelled => (Status::Cancelled, "it was cancelled".to_owned()),
        Ok(found) => match &found.services {
            Ok(_) => (Status::Ok, String::new()),
            Err(fault) => (finding_status(fault), fault.to_string()),
        },
        Err(lost) => (Status::Panic, lost.to_string()),
    };
    let found = outcome.as_ref().ok();
    let services = found.and_then(|found| found.services.as_deref().ok()).unwrap_or_default();
    let services = services.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let details = found.map_or_else(|| "{}".to_owned(), |found| looked_up_json(found).to_string());
    let discovered = Discovered {
        struct_size: size_of_struct::<Discovered>(),
        status,
        message: Text::of(&message),
        services: Text::of(&services),
        details: Text::of(&details),
    };
    inside_callback(|| completion.tell(&discovered));
}

const fn finding_status(fault: &FindingFault) -> Status {
    match fault {
        FindingFault::NoService | FindingFault::Undecided(_) => Status::Unserved,
        FindingFault::Discovery(fault) => io_status(fault),
    }
}
