//! Clients: engines whose placements are elsewhere. Everything but how one is opened is in `engine`.

#![expect(unsafe_code, reason = "no_mangle counts as unsafe; tests/tidy allows no other here")]

use core::ffi::c_char;

use herald_runtime::Config;

use crate::boundary::{Engine, EngineOptions, Error};
use crate::call::call;
use crate::engine::{config, open};
use crate::failure::Failure;
use crate::limits::PROPERTY_VALUE_BYTES_MAX;
use crate::status::Status;

/// [any thread] Opens a client of an engine elsewhere: service is "unix:PATH" or "https://HOST[:PORT]". Connects to
/// nobody, starts no thread. Since 0.1.
///
/// *engine is written on success: an engine like any other for every function, but that placements are at the service.
/// Store, retrieve and their batches wait for it, for the property service_deadline at most: HERALD_TIMED_OUT, or at once
/// HERALD_NETWORK if it is away or refuses; what was sent may have been stored then, and nothing is sent twice. The next
/// call connects again. A stop or close lets those that wait have their answers for the property drain_grace; those that
/// have none then get HERALD_CANCELLED, and may have been stored too. Calls are placed and checked here, on the client's own
/// threads. There is nothing to listen on, and no placement to hear of: herald_engine_start_hosted and herald_subscribe are
/// HERALD_BAD_VALUE, and herald_engine_drain does nothing.
/// options may be NULL: no more settings. herald_engine_open with the property service is the same. A forked child may
/// open its own. Over HTTPS the property cps_authorities must be set.
#[unsafe(no_mangle)]
pub extern "C" fn herald_client_open(
    service: *const c_char,
    service_len: usize,
    options: *const EngineOptions,
    engine: *mut *mut Engine,
    error: *mut *mut Error,
) -> Status {
    call(error, |scope| {
        let out = scope.out(engine, "engine")?;
        let service = scope.text(service, service_len, PROPERTY_VALUE_BYTES_MAX, "service")?;
        let options = if options.is_null() { EngineOptions::NONE } else { scope.options(options)? };
        let mut config: Config = config(scope, &options)?;
        config.set("service", service).map_err(|wrong| Failure::new(Status::BadValue, wrong))?;
        out.set(open(config, &options)?);
        Ok(())
    })
}
