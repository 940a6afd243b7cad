//! Subscriptions as C sees them: a function of the host hears of placements as they come. What waits for it, and what
//! makes room, is the runtime's.

#![expect(unsafe_code, reason = "no_mangle counts as unsafe; tests/tidy allows no other here")]

use std::sync::{Arc, Weak};

use herald_runtime::core::NumberBlock;
use herald_runtime::limits::SUBSCRIPTION_QUEUE_LEN_DEFAULT;
use herald_runtime::{Arrival, Subscription as Ear, Watched};

use crate::boundary::{
    self, ArrivedFn, Callback, Engine, Error, Scope, SubscribeOptions, Subscription, Text,
};
use crate::call::call;
use crate::engine::{OpenEngine, kept, with};
use crate::failure::Failure;
use crate::gate::Gate;
use crate::handle::{Shared, Table};
use crate::limits::{BLOCK_BYTES_MAX, SUBSCRIPTIONS_MAX};
use crate::sealing::called_number;
use crate::services::size_of_struct;
use crate::status::Status;

/// A placement that came. All of it is valid until the function it is given to returns. Since 0.1.
#[repr(C)]
pub struct Arrived {
    /// sizeof(herald_arrived) of the library; newer ones append.
    pub struct_size: u32,
    /// The called number: digits, * and #.
    pub number: Text,
    /// Its id: 32 hexadecimal digits.
    pub id: Text,
    /// The sealed PASSporT.
    pub body: *const u8,
    /// Bytes of it.
    pub body_len: usize,
    /// From this moment on it is gone, in milliseconds since 1970.
    pub expires_at_ms: u64,
    /// Placements of this subscription that made room in its queue so far, and are not told.
    pub left_out_count: u64,
}

/// A subscription, until it or its engine is closed.
struct Kept {
    ear: Ear,
    gate: Arc<Gate<ArrivedFn>>,
    engine: Weak<OpenEngine>,
}

/// The handle of a subscription, as a number, kept by its engine.
pub(crate) struct Handle(usize);

static SUBSCRIPTIONS: Table<Kept> = Table::new(6, "subscription", SUBSCRIPTIONS_MAX);

/// [any thread] Has a function of the host hear of each placement that comes from now on: under one number, under a block
/// of numbers, or all. Calls and messages are told alike. Since 0.1.
///
/// options is copied. *subscription is written on success; close it with herald_subscription_close, or with its engine.
/// After HERALD_OK user is the engine's until then; after anything else it stays the caller's. Before the start it is
/// fine; of a client it is HERALD_BAD_VALUE. A store never waits for a subscriber, see herald_arrived_fn.
#[unsafe(no_mangle)]
pub extern "C" fn herald_subscribe(
    engine: *mut Engine,
    options: *const SubscribeOptions,
    subscription: *mut *mut Subscription,
    error: *mut *mut Error,
) -> Status {
    call(error, |scope| {
        let out = scope.out(subscription, "subscription")?;
        let options: SubscribeOptions = scope.options(options)?;
        let watched = watched(scope, &options)?;
        let queue_len = match usize::try_from(options.queue_len).unwrap_or(usize::MAX) {
            0 => SUBSCRIPTION_QUEUE_LEN_DEFAULT,
            len => len,
        };
        let gate = Arc::new(Gate::new(Callback::for_arrivals(&options)?));
        let engine_kept = kept(engine)?;
        with(engine, |open| {
            // Who closes has it too, so that the finalizer is not forgotten.
            let mut subscriptions = open.subscriptions.lock();
            SUBSCRIPTIONS.require_room()?;
            let told = gate.clone();
            let hear = move |arrival: &Arrival, left_out| tell(&told, arrival, left_out);
            let ear = boundary::with_signals_blocked(|| open.engine.subscribe(watched, queue_len, hear))?;
            let kept = Kept { ear: ear.clone(), gate: gate.clone(), engine: Arc::downgrade(&engine_kept) };
            let handle: *mut Subscription = SUBSCRIPTIONS.insert(kept).inspect_err(|_| {
                // Another thread took the last place; user stays the caller's.
                ear.end();
                gate.close_unfinalized();
            })?;
            subscriptions.push(Handle(handle.addr()));
            out.set(handle);
            Ok(())
        })
    })
}

/// [any thread] How many placements of a subscription made room in its queue and are not told. Since 0.1.
///
/// *count is written on success.
#[unsafe(no_mangle)]
pub extern "C" fn herald_subscription_left_out(
    subscription: *const Subscription,
    count: *mut u64,
    error: *mut *mut Error,
) -> Status {
    call(error, |scope| {
        let out = scope.out(count, "count")?;
        out.set(SUBSCRIPTIONS.get(subscription)?.ear.left_out_count());
        Ok(())
    })
}

/// [any thread] Ends a subscription: waits for its function if that runs, then calls the finalizer. What waits in its queue
/// is not told. NULL is fine. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn herald_subscription_close(subscription: *mut Subscription) -> Status {
    if subscription.is_null() {
        return Status::Ok;
    }
    call(core::ptr::null_mut(), |_| {
        let kept = SUBSCRIPTIONS.remove(subscription)?;
        if let Some(engine) = kept.engine.upgrade() {
            engine.subscriptions.lock().retain(|handle| handle.0 != subscription.addr());
        }
        end(&kept);
        Ok(())
    })
}

impl Handle {
    /// The subscription, unless it was closed; then it has this handle no more.
    fn take(&self) -> Option<Shared<Kept>> {
        SUBSCRIPTIONS.remove(core::ptr::without_provenance::<Subscription>(self.0)).ok()
    }
}

/// Ends all subscriptions of an engine that has stopped, so that what waited has been told.
pub(crate) fn close_all(open: &OpenEngine) {
    let handles = core::mem::take(&mut *open.subscriptions.lock());
    // Who closes one at this moment takes it away, and does what is to be done.
    for kept in handles.iter().filter_map(|handle| handle.take()) {
        end(&kept);
    }
}

fn end(kept: &Kept) {
    kept.ear.end();
    kept.gate.close();
}

fn watched(scope: &Scope, options: &SubscribeOptions) -> Result<Watched, Failure> {
    match (options.number.len, options.block.len) {
        (0, 0) => Ok(Watched::All),
        (_, 0) => Ok(Watched::Number(called_number(scope, options.number.data, options.number.len)?)),
        (0, len) => {
            let block = scope.bytes(options.block.data.cast(), len, BLOCK_BYTES_MAX, "block")?;
            let block = NumberBlock::parse(block);
            Ok(Watched::Block(block.map_err(|error| Failure::new(Status::BadNumber, error))?))
        }
        _ => Err(Failure::new(Status::BadValue, "number and block are set; leave one of them empty")),
    }
}

fn tell(gate: &Gate<ArrivedFn>, arrival: &Arrival, left_out_count: u64) {
    let (number, id) = (arrival.number.to_string(), arrival.id.to_string());
    let arrived = Arrived {
        struct_size: size_of_struct::<Arrived>(),
        number: Text::of(&number),
        id: Text::of(&id),
        body: arrival.body.as_ptr(),
        body_len: arrival.body.len(),
        expires_at_ms: arrival.expires_at.as_millis(),
        left_out_count,
    };
    // Nobody hears what comes after the end.
    let _ = gate.through(|callback| callback.arrived(&arrived));
}
