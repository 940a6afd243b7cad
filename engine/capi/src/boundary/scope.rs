//! What C hands in is read here, and what C gets is written here, within the time of one call.

#![expect(unsafe_code, reason = "the boundary to C: its data is read and written here")]

use core::ffi::c_char;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};

use super::{
    CheckOptions, DiscoverOptions, EngineOptions, GatewayFetchOptions, GatewayStoreOptions, Number,
    PlaceOptions, Placement, Property, SubscribeOptions, Text, null,
};
use crate::failure::Failure;
use crate::limits::{OPTIONS_BYTES_MAX, PROPERTIES_MAX, PROPERTY_NAME_BYTES_MAX, PROPERTY_VALUE_BYTES_MAX};
use crate::status::Status;

/// Structs that C hands in, of which any bytes are a valid one: integers, pointers and nullable functions.
pub(crate) trait Given: Copy {}
impl Given for Property {}
impl Given for Placement {}
impl Given for Number {}
impl Given for Text {}
impl Given for EngineOptions {}
impl Given for PlaceOptions {}
impl Given for CheckOptions {}
impl Given for GatewayStoreOptions {}
impl Given for GatewayFetchOptions {}
impl Given for DiscoverOptions {}
impl Given for SubscribeOptions {}

/// A struct of options: it begins with a u32 that holds its size.
pub(crate) trait Options: Given {
    /// Its name in C.
    const NAME: &str;
    /// Sizes it had in older headers. Fields are only appended.
    const BYTES_BEFORE: &[usize] = &[];
}

impl Options for EngineOptions {
    const NAME: &str = "herald_engine_options";
    const BYTES_BEFORE: &[usize] = &[core::mem::offset_of!(EngineOptions, file)];
}
impl Options for PlaceOptions {
    const NAME: &str = "herald_place_options";
}
impl Options for CheckOptions {
    const NAME: &str = "herald_check_options";
}
impl Options for GatewayStoreOptions {
    const NAME: &str = "herald_gateway_store_options";
}
impl Options for GatewayFetchOptions {
    const NAME: &str = "herald_gateway_fetch_options";
}
impl Options for SubscribeOptions {
    const NAME: &str = "herald_subscribe_options";
}
impl Options for DiscoverOptions {
    const NAME: &str = "herald_discover_options";
}

/// The time of one call from C. What is read from C lives no longer.
pub(crate) struct Scope(());

impl Scope {
    /// Begins a call.
    pub(crate) const fn new() -> Self {
        Self(())
    }

    /// The `len` bytes at `data`, at most `len_max`; `what` names them in errors.
    pub(crate) fn bytes(
        &self,
        data: *const u8,
        len: usize,
        len_max: usize,
        what: &str,
    ) -> Result<&[u8], Failure> {
        if len > len_max {
            let message = format!("{what}: {len} bytes; {len_max} is the most");
            return Err(Failure::new(Status::BadSize, message));
        }
        if len == 0 {
            return Ok(&[]);
        }
        if data.is_null() {
            return Err(null(what));
        }
        // SAFETY: C promises `len` readable bytes there, unchanged until the call returns, which `self` does not
        // outlive; `len` is below `isize::MAX`, as every `len_max` is.
        Ok(unsafe { core::slice::from_raw_parts(data, len) })
    }

    /// Like [`bytes`](Self::bytes), for UTF-8.
    pub(crate) fn text(
        &self,
        data: *const c_char,
        len: usize,
        len_max: usize,
        what: &str,
    ) -> Result<&str, Failure> {
        core::str::from_utf8(self.bytes(data.cast(), len, len_max, what)?).map_err(|error| {
            let message = format!("{what} is not UTF-8 from byte {} on", error.valid_up_to());
            Failure::new(Status::NotUtf8, message)
        })
    }

    /// A copy of the options, once their size is one we know. Fields that an older program does not have are zero.
    pub(crate) fn options<T: Options>(&self, options: *const T) -> Result<T, Failure> {
        if options.is_null() {
            return Err(null("options"));
        }
        // SAFETY: every option struct begins with its size.
        let size = unsafe { options.cast::<u32>().read_unaligned() };
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let is_older = T::BYTES_BEFORE.contains(&size);
        if !is_older && !(size_of::<T>()..=OPTIONS_BYTES_MAX).contains(&size) {
            let message = format!("struct_size is {size}; set it to sizeof({}), {}", T::NAME, size_of::<T>());
            return Err(Failure::new(Status::StructSize, message));
        }
        let all = self.bytes(options.cast(), size, OPTIONS_BYTES_MAX, "options")?;
        let (known, newer) = all.split_at(size.min(size_of::<T>()));
        if newer.iter().any(|&byte| byte != 0) {
            let message = "options sets fields that a newer library knows; leave them zero or use that one";
            return Err(Failure::new(Status::StructSize, message));
        }
        let mut copy = MaybeUninit::<T>::zeroed();
        // SAFETY: `known` is no longer than `T`, and the copy is not C's.
        unsafe { ptr::copy_nonoverlapping(known.as_ptr(), copy.as_mut_ptr().cast(), known.len()) };
        // SAFETY: any bytes make a valid `T`, as `Given` says, and all of them were set.
        Ok(unsafe { copy.assume_init() })
    }

    /// The settings of `options`.
    pub(crate) fn properties(&self, options: &EngineOptions) -> Result<Vec<(&str, &str)>, Failure> {
        self.array(options.properties, options.property_count, PROPERTIES_MAX, "properties")?
            .into_iter()
            .map(|Property { name, name_len, value, value_len }| {
                let name = self.text(name, name_len, PROPERTY_NAME_BYTES_MAX, "a property's name")?;
                let value = self.text(value, value_len, PROPERTY_VALUE_BYTES_MAX, "a property's value")?;
                Ok((name, value))
            })
            .collect()
    }

    /// The `count` structs at `first`, at most `count_max`; `what` names them in errors.
    pub(crate) fn array<T: Given>(
        &self,
        first: *const T,
        count: usize,
        count_max: usize,
        what: &str,
    ) -> Result<Vec<T>, Failure> {
        if count > count_max {
            let message = format!("{count} {what}; {count_max} is the most");
            return Err(Failure::new(Status::BadSize, message));
        }
        if count > 0 && first.is_null() {
            return Err(null(what));
        }
        let read = |index| {
            // SAFETY: C promises `count` structs there.
            let place = unsafe { first.add(index) };
            // SAFETY: as above; any bytes make a valid `T`, as `Given` says.
            unsafe { place.read_unaligned() }
        };
        Ok((0..count).map(read).collect())
    }

    /// Places for `count` values side by side, which must not be NULL unless there are none.
    pub(crate) fn outs<T>(&self, first: *mut T, count: usize, what: &str) -> Result<Outs<'_, T>, Failure> {
        if count > 0 && first.is_null() {
            return Err(null(what));
        }
        Ok(Outs { first, count, scope: PhantomData })
    }

    /// A place for one value, which must not be NULL.
    pub(crate) fn out<T>(&self, place: *mut T, what: &str) -> Result<Out<'_, T>, Failure> {
        let place = NonNull::new(place).ok_or_else(|| null(what))?;
        Ok(Out { place, scope: PhantomData })
    }

    /// A place for bytes. `length`, if not NULL, is told how many there are, also when they do not fit.
    pub(crate) fn buffer(&self, data: *mut u8, capacity: usize, length: *mut usize) -> Buffer<'_> {
        Buffer { data, capacity, length, scope: PhantomData }
    }
}

/// A place of C's for one value.
pub(crate) struct Out<'a, T> {
    place: NonNull<T>,
    scope: PhantomData<&'a Scope>,
}

impl<T> Out<'_, T> {
    /// Writes the value.
    pub(crate) fn set(self, value: T) {
        // SAFETY: C promises a place for a `T` there.
        unsafe { self.place.write_unaligned(value) };
    }
}

/// Places of C's for values side by side.
pub(crate) struct Outs<'a, T> {
    first: *mut T,
    count: usize,
    scope: PhantomData<&'a Scope>,
}

impl<T> Outs<'_, T> {
    /// Writes the values, one for each place.
    pub(crate) fn set(self, values: impl IntoIterator<Item = T>) {
        for (index, value) in values.into_iter().take(self.count).enumerate() {
            // SAFETY: C promises `count` places there.
            let place = unsafe { self.first.add(index) };
            // SAFETY: as above.
            unsafe { place.write_unaligned(value) };
        }
    }
}

/// A place of C's for bytes.
pub(crate) struct Buffer<'a> {
    data: *mut u8,
    capacity: usize,
    length: *mut usize,
    scope: PhantomData<&'a Scope>,
}

impl Buffer<'_> {
    /// Whether C wants the bytes at all: no buffer and no place for the length means no.
    pub(crate) fn is_wanted(&self) -> bool {
        !self.data.is_null() || self.capacity > 0 || !self.length.is_null()
    }

    /// Refuses, and tells the length, unless `len` bytes and `extra` behind them fit.
    pub(crate) fn require(&self, len: usize, extra: usize) -> Result<(), Failure> {
        if self.data.is_null() && self.capacity > 0 {
            return Err(null("the buffer"));
        }
        if self.capacity < len + extra {
            self.tell(len);
            let message = format!("the buffer has {} bytes; {} are needed", self.capacity, len + extra);
            return Err(Failure::new(Status::BufferTooSmall, message));
        }
        Ok(())
    }

    /// Writes bytes.
    pub(crate) fn bytes(self, bytes: &[u8]) -> Result<(), Failure> {
        self.require(bytes.len(), 0)?;
        self.write(bytes);
        self.tell(bytes.len());
        Ok(())
    }

    /// Writes text and a NUL behind it that the length does not count.
    pub(crate) fn text(self, text: &str) -> Result<(), Failure> {
        self.ascii(text.as_bytes())
    }

    /// As [`text`](Self::text), of ASCII.
    pub(crate) fn ascii(self, text: &[u8]) -> Result<(), Failure> {
        self.require(text.len(), 1)?;
        self.write(text);
        // SAFETY: `capacity` is more than the text's length, so the place is inside the buffer.
        let end = unsafe { self.data.add(text.len()) };
        // SAFETY: C promises `capacity` writable bytes.
        unsafe { end.write(0) };
        self.tell(text.len());
        Ok(())
    }

    fn write(&self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        // SAFETY: C promises `capacity` writable bytes, `require` saw that they are enough, and our bytes are not
        // C's. (`copy`, which allows overlap, so that a wrong promise about that is harmless.)
        unsafe { ptr::copy(bytes.as_ptr(), self.data, bytes.len()) };
    }

    fn tell(&self, len: usize) {
        if !self.length.is_null() {
            // SAFETY: C promises a place for a length, or NULL.
            unsafe { self.length.write_unaligned(len) };
        }
    }
}
