//! Instances: opened, asked, read again and closed.

use core::ffi::c_void;
use std::ffi::CString;
use std::sync::Arc;

use herald_plugin_abi as abi;
use parking_lot::RwLock;

use super::barrier::{guarded, plain};
use super::host::{Context, HostServices};
use super::{Functions, Table};

/// An instance of a plugin. Calls of one that may not be shared wait for each other here; those after its close are
/// refused.
pub(crate) struct Instance {
    pub(super) functions: Functions,
    may_share: bool,
    pub(super) instance: *mut c_void,
    /// Whether it is closed. Held for reading, or for writing if it may not be shared, by whoever is inside.
    gate: RwLock<bool>,
}

// SAFETY: the header lets an instance be called from any thread, one at a time unless its table says otherwise; the gate
// sees to it.
unsafe impl Send for Instance {}
// SAFETY: as above.
unsafe impl Sync for Instance {}

/// What a function of a plugin returned, or that it threw.
pub(crate) type Returned = Result<i32, String>;

/// What a question asks.
#[derive(Clone, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) ticket: u64,
    pub(crate) deadline_ms: u64,
    pub(crate) side: u32,
    pub(crate) number: &'a str,
    pub(crate) spc: Option<&'a str>,
}

impl Instance {
    /// Opens an instance of `table` with its settings. May take its time.
    pub(crate) fn open(
        table: &Table,
        services: Arc<dyn HostServices>,
        settings: &[(String, String)],
    ) -> Result<Self, String> {
        let head = *table.functions.head();
        let text = |text: &str| CString::new(text).map_err(|_| "a setting has a NUL in it".to_owned());
        let texts: Vec<_> = settings
            .iter()
            .map(|(name, value)| Ok((text(name)?, text(value)?)))
            .collect::<Result<_, String>>()?;
        let settings: Vec<_> = texts
            .iter()
            .map(|(name, value)| abi::Setting { name: name.as_ptr(), value: value.as_ptr() })
            .collect();
        let (host, mut instance, mut reason) =
            (Context::leaked(head.kind, services), core::ptr::null_mut(), empty_reason());
        let open = head.open.expect("the table was checked");
        let mut result = abi::FAILED;
        guarded(|| {
            // SAFETY: the header's contract for open; the host lives for ever.
            result =
                unsafe { open(host, settings.as_ptr(), settings.len(), &raw mut instance, &raw mut reason) };
        })?;
        if result != abi::OK {
            return Err(words(&reason, result));
        }
        Ok(Self {
            functions: table.functions,
            may_share: table.may_share,
            instance,
            gate: RwLock::new(false),
        })
    }

    /// Ends it. `false` if somebody is inside: then it is never ended.
    pub(crate) fn close(&self) -> Result<bool, String> {
        let Some(mut is_closed) = self.gate.try_write() else { return Ok(false) };
        if core::mem::replace(&mut *is_closed, true) {
            return Ok(true);
        }
        let Some(close) = self.functions.head().close else { return Ok(true) };
        // SAFETY: open made it, nobody is inside, and nobody comes in any more.
        guarded(|| unsafe { close(self.instance) })?;
        Ok(true)
    }

    /// Has it read its files again, if it does that.
    pub(crate) fn reload(&self) -> Result<(), String> {
        let Some(reload) = self.functions.head().reload else { return Ok(()) };
        let mut reason = empty_reason();
        // SAFETY: the header's contract for reload.
        let result = self.inside(|instance| unsafe { reload(instance, &raw mut reason) })?;
        match result {
            abi::OK => Ok(()),
            _ => Err(words(&reason, result)),
        }
    }

    /// Asks a discovery plugin.
    pub(crate) fn find(&self, asked: &Asked<'_>, answer: &mut abi::Answer) -> Returned {
        let find = self.discovery()?.find.expect("the table was checked");
        let question = abi::Question {
            struct_size: size_of::<abi::Question>(),
            ticket: asked.ticket,
            deadline_ms: asked.deadline_ms,
            side: asked.side,
            reserved: 0,
            number: asked.number.as_ptr().cast(),
            number_len: asked.number.len(),
            spc: asked.spc.map_or(core::ptr::null(), |spc| spc.as_ptr().cast()),
            spc_len: asked.spc.map_or(0, str::len),
        };
        // SAFETY: the header's contract for find.
        self.inside(|instance| unsafe { find(instance, &raw const question, answer) })
    }

    /// Tells a discovery plugin that a question is over.
    pub(crate) fn cancel(&self, ticket: u64) -> Returned {
        let Some(cancel) = self.discovery()?.cancel else { return Ok(abi::OK) };
        self.inside(|instance| {
            // SAFETY: the header's contract for cancel.
            unsafe { cancel(instance, ticket) };
            abi::OK
        })
    }

    /// Shows a discovery plugin something that was verified.
    pub(crate) fn observe(&self, what: u32, data: &[u8]) -> Returned {
        let Some(observe) = self.discovery()?.observe else { return Ok(abi::OK) };
        self.inside(|instance| {
            // SAFETY: the header's contract for observe.
            unsafe { observe(instance, what, data.as_ptr(), data.len()) };
            abi::OK
        })
    }

    /// Runs `call`, which calls one function of the plugin, and nothing of ours.
    pub(super) fn inside(&self, mut call: impl FnMut(*mut c_void) -> i32) -> Returned {
        let mut result = abi::FAILED;
        let run = || result = call(self.instance);
        if self.may_share {
            let is_closed = self.gate.read_recursive();
            not_closed(*is_closed)?;
            guarded(run)?;
        } else {
            let is_closed = self.gate.write();
            not_closed(*is_closed)?;
            guarded(run)?;
        }
        Ok(result)
    }

    fn discovery(&self) -> Result<&abi::Discovery, String> {
        match &self.functions {
            Functions::Discovery(table) => Ok(table),
            Functions::RateControl(_) => Err("is no discovery plugin".to_owned()),
        }
    }
}

fn not_closed(is_closed: bool) -> Result<(), String> {
    if is_closed { Err("was closed".to_owned()) } else { Ok(()) }
}

fn empty_reason() -> abi::Reason {
    abi::Reason { struct_size: size_of::<abi::Reason>(), len: 0, text: [0; abi::REASON_BYTES] }
}

fn words(reason: &abi::Reason, result: i32) -> String {
    match plain(&reason.text[..reason.len.min(abi::REASON_BYTES)]) {
        words if words.is_empty() => format!("it answers {result} and gives no reason"),
        words => words,
    }
}
