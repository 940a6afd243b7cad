//! The status codes of the C interface: one table with code, name and meaning.

/// Declares the codes, and the table that the header and `herald_status_name` are made of.
macro_rules! statuses {
    ($($(#[doc = $meaning:literal])+ $status:ident = $code:literal, $name:literal;)+) => {
        /// What a call came to. The meanings are for those who call from C.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(i32)]
        pub enum Status { $($(#[doc = $meaning])+ $status = $code,)+ }

        /// Every code with its name in C and its meaning.
        pub const STATUSES: &[(Status, &str, &str)] =
            &[$((Status::$status, $name, concat!($($meaning),+)),)+];
    };
}

statuses! {
    /// Done.
    Ok = 0, "HERALD_OK";

    /// A pointer that must not be NULL is NULL.
    NullArgument = -101, "HERALD_NULL_ARGUMENT";
    /// struct_size is not that of a version of the struct this library knows.
    StructSize = -102, "HERALD_STRUCT_SIZE";
    /// A text is not UTF-8.
    NotUtf8 = -103, "HERALD_NOT_UTF8";
    /// No property has this name; the message tells the nearest one.
    UnknownProperty = -104, "HERALD_UNKNOWN_PROPERTY";
    /// A property's value has the wrong form, or two properties contradict each other.
    BadValue = -105, "HERALD_BAD_VALUE";
    /// Not a telephone number.
    BadNumber = -106, "HERALD_BAD_NUMBER";
    /// A body has none of the sizes of a sealed PASSporT, or an input is longer than any valid one.
    BadSize = -107, "HERALD_BAD_SIZE";
    /// Not a sealing key in the form of a JWK.
    BadKey = -108, "HERALD_BAD_KEY";
    /// An index is past the end.
    OutOfRange = -109, "HERALD_OUT_OF_RANGE";
    /// Not a handle that this library has given out, or one of another kind.
    BadHandle = -110, "HERALD_BAD_HANDLE";
    /// The handle was closed or freed before.
    Closed = -111, "HERALD_CLOSED";
    /// The engine is not started, was started before, or is started in another way.
    WrongState = -112, "HERALD_WRONG_STATE";
    /// Only the thread that started the engine for its own loop may do this.
    WrongThread = -113, "HERALD_WRONG_THREAD";
    /// Called from inside a callback.
    InCallback = -114, "HERALD_IN_CALLBACK";
    /// The handle is of a process that this one was forked from; or that one opened a data folder and this one may not.
    Forked = -115, "HERALD_FORKED";

    /// The buffer is too small; the length that is needed was written.
    BufferTooSmall = -201, "HERALD_BUFFER_TOO_SMALL";
    /// The number or the memory holds no more placements; some expire within a retention.
    Full = -202, "HERALD_FULL";
    /// More threads are inside the engine than it serves at a moment, or a service elsewhere has too much to do; try again.
    Busy = -203, "HERALD_BUSY";
    /// The system refuses memory or threads, or too many handles are open.
    Limit = -204, "HERALD_LIMIT";
    /// The disk fails or is full, of a client that of its service. Nothing was acknowledged; stores resume by themselves.
    Disk = -205, "HERALD_DISK";
    /// Another engine, here or in another process, has the folder open.
    InUse = -206, "HERALD_IN_USE";
    /// The call was cancelled, by the host or because the engine closes. What was sent to a service may have been stored.
    Cancelled = -207, "HERALD_CANCELLED";
    /// The time for it was over. What was stored before stays stored.
    TimedOut = -208, "HERALD_TIMED_OUT";

    /// An address cannot be bound, a socket failed, or a service elsewhere refuses.
    Network = -301, "HERALD_NETWORK";
    /// The item does not open with this key under this number: most are cover, or for somebody else.
    DoesNotOpen = -302, "HERALD_DOES_NOT_OPEN";
    /// Stored data is damaged or of another version.
    Data = -303, "HERALD_DATA";
    /// No credential may sign for the caller, or no service or sealing key is known for the called party.
    Unserved = -304, "HERALD_UNSERVED";

    /// The engine failed before. Only closing it is allowed.
    Failed = -401, "HERALD_FAILED";
    /// An invariant was broken in this call. If it was given an engine, only closing that is allowed.
    Panic = -402, "HERALD_PANIC";
}

impl Status {
    /// Its name in C.
    pub fn name(self) -> &'static str {
        STATUSES.iter().find(|row| row.0 == self).map_or("", |row| row.1)
    }
}
