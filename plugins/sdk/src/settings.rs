//! The settings of a plugin, as they stand in the configuration.

use core::ffi::CStr;

use crate::abi;
use crate::memory;

/// Names and values, in the order of the configuration.
#[derive(Clone, Debug)]
pub struct Settings<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Settings<'a> {
    /// These settings.
    pub fn of(pairs: &[(&'a str, &'a str)]) -> Self {
        Self(pairs.to_vec())
    }

    /// The settings at `settings`. What is no UTF-8 counts as not there.
    ///
    /// # Safety
    /// `settings` points to `count` settings of NUL-terminated texts that live for `'a`, or `count` is 0.
    pub(crate) unsafe fn at(settings: *const abi::Setting, count: usize) -> Self {
        let mut pairs = Vec::with_capacity(count);
        // SAFETY: the caller's promise.
        for setting in unsafe { memory::values(settings, count) } {
            if setting.name.is_null() || setting.value.is_null() {
                continue;
            }
            // SAFETY: the caller's promise.
            let name = unsafe { CStr::from_ptr(setting.name) };
            // SAFETY: the caller's promise.
            let value = unsafe { CStr::from_ptr(setting.value) };
            if let (Ok(name), Ok(value)) = (name.to_str(), value.to_str()) {
                pairs.push((name, value));
            }
        }
        Self(pairs)
    }

    /// The value of `name`: the last one, if it is set several times.
    pub fn value(&self, name: &str) -> Option<&'a str> {
        self.0.iter().rev().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    /// All values of `name`, in order.
    pub fn values<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'a str> + 's {
        self.0.iter().filter(move |(known, _)| *known == name).map(|(_, value)| *value)
    }

    /// The value of `name`.
    ///
    /// # Errors
    /// Words for the operator if it is not set.
    pub fn require(&self, name: &str) -> Result<&'a str, String> {
        self.value(name).ok_or_else(|| format!("set {name}"))
    }

    /// Nothing but `names` is set.
    ///
    /// # Errors
    /// Words for the operator that name the first setting which is not known, and those that are.
    pub fn only(&self, names: &[&str]) -> Result<(), String> {
        match self.0.iter().find(|(name, _)| !names.contains(name)) {
            None => Ok(()),
            Some((name, _)) => Err(format!("there is no setting {name:?}; there are {}", names.join(", "))),
        }
    }
}
