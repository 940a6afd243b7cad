//! Instances: opened, read again and closed alike, whatever the kind of plugin.

use core::ffi::{CStr, c_void};

use crate::abi;
use crate::barrier::{give_reason, guarded};
use crate::host::{Host, Level};
use crate::settings::Settings;

/// What the trait of a kind does for an instance.
pub(crate) trait Kind<P>: 'static {
    /// Makes one, or says why not.
    fn open(host: Host, settings: &Settings<'_>) -> Result<P, String>;

    /// Has it read its files again.
    fn reload(plugin: &P) -> Result<(), String>;
}

/// An instance and its host.
pub(crate) struct Instance<P> {
    pub(crate) host: Host,
    pub(crate) plugin: P,
}

impl<P> Instance<P> {
    /// The instance at `instance`.
    ///
    /// # Safety
    /// [`head`]'s open made it of this type, and it is not closed during `'a`.
    pub(crate) unsafe fn at<'a>(instance: *mut c_void) -> &'a Self {
        // SAFETY: the caller's promise.
        unsafe { &*instance.cast::<Self>() }
    }
}

/// What a table of kind `K` begins with. `names` are its name, version and summary.
pub(crate) const fn head<K: Kind<P>, P>(
    kind: u32,
    struct_size: usize,
    names: [&'static CStr; 3],
) -> abi::Plugin {
    let [name, version, summary] = names;
    abi::Plugin {
        abi_major: abi::ABI_MAJOR,
        abi_minor: abi::ABI_MINOR,
        struct_size: struct_size as u32,
        kind,
        flags: abi::THREADS,
        name: name.as_ptr(),
        version: version.as_ptr(),
        summary: summary.as_ptr(),
        open: Some(open::<K, P>),
        close: Some(close::<P>),
        reload: Some(reload::<K, P>),
    }
}

unsafe extern "C-unwind" fn open<K: Kind<P>, P>(
    host: *const abi::Host,
    settings: *const abi::Setting,
    count: usize,
    instance: *mut *mut c_void,
    reason: *mut abi::Reason,
) -> i32 {
    guarded(&|words| give_reason(reason, words), abi::FAILED, || {
        // SAFETY: the header's contract for open.
        let Some(host) = (unsafe { Host::at(host) }) else {
            give_reason(reason, "the host speaks another version of the plugin interface");
            return abi::FAILED;
        };
        // SAFETY: the header's contract for open.
        let settings = unsafe { Settings::at(settings, count) };
        match K::open(host, &settings) {
            Ok(plugin) => {
                let made = Box::into_raw(Box::new(Instance { host, plugin }));
                // SAFETY: the header's contract for open: a place for the instance.
                unsafe { instance.write(made.cast()) };
                abi::OK
            }
            Err(words) => {
                give_reason(reason, &words);
                abi::FAILED
            }
        }
    })
}

unsafe extern "C-unwind" fn close<P>(instance: *mut c_void) {
    // SAFETY: made by open, and the host closes an instance once, when nothing else is under way.
    let instance = unsafe { Box::from_raw(instance.cast::<Instance<P>>()) };
    let host = instance.host;
    guarded(&|words| host.log(Level::Error, words), (), || drop(instance));
}

unsafe extern "C-unwind" fn reload<K: Kind<P>, P>(instance: *mut c_void, reason: *mut abi::Reason) -> i32 {
    // SAFETY: made by open and not yet closed.
    let instance = unsafe { Instance::<P>::at(instance) };
    guarded(&|words| give_reason(reason, words), abi::FAILED, || match K::reload(&instance.plugin) {
        Ok(()) => abi::OK,
        Err(words) => {
            give_reason(reason, &words);
            abi::FAILED
        }
    })
}
