//! Functions of the host: kept with their user pointers, and called, here and nowhere else.

#![expect(unsafe_code, reason = "the boundary to C: its functions are called here")]

use core::ffi::c_void;
use core::ptr;

use herald_runtime::plugin_abi::LinkedEntry;

use super::{ArrivedFn, FinalizerFn, Plugin, PluginEntryFn, ReportFn, SubscribeOptions, SupplierFn, null};
use crate::failure::Failure;
use crate::subscriptions::Arrived;
use crate::supply::CertificateWanted;

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

impl Callback<ArrivedFn> {
    /// The host's function of `options`; it must not be NULL.
    pub(crate) fn for_arrivals(options: &SubscribeOptions) -> Result<Self, Failure> {
        let &SubscribeOptions { arrived, finalizer, user, .. } = options;
        arrived.ok_or_else(|| null("arrived")).map(|_| Self::new(arrived, finalizer, user))
    }

    /// Tells the host.
    pub(crate) fn arrived(&self, arrived: &Arrived) {
        if let Some(function) = self.function {
            // SAFETY: the host promises a function of this type that may be called with its `user` until the finalizer
            // ran; the struct, and what it points to, lives until it returns.
            unsafe { function(ptr::from_ref(arrived), self.user) };
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
