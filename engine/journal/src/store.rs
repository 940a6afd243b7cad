//! The disk as the journal sees it.

use core::fmt;

use herald_core::Timestamp;

use crate::block::BlockKey;

/// Small values that must outlive a restart, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Meta {
    /// The version of the format, 4 bytes.
    Format,
    /// The cover secret.
    Cover,
    /// The engine's clock when it was last written, 8 bytes.
    Clock,
    /// The retentions that the folder was opened with, 16 bytes each.
    Retentions,
}

impl Meta {
    /// The name it is stored under.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::Cover => "cover",
            Self::Clock => "clock",
            Self::Retentions => "retentions",
        }
    }
}

/// One value to be written: whole records, as they stand in the log. All of them expire before `ends_at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block<'a> {
    /// When its generation is over.
    pub ends_at: Timestamp,
    /// Its key.
    pub key: BlockKey,
    /// Its bytes: [`herald_log::records`] reads them.
    pub records: &'a [u8],
}

/// Where blocks are kept. One thread at a time.
///
/// A generation is what is dropped at once: the placements that expire in one span of time. It is named by the
/// moment when that span is over.
///
/// After an error nothing more may be assumed of what was written since the last successful
/// [`sync`](Self::sync): the journal then [reopens](Self::reopen) and writes it again.
pub trait BlockStore: Send {
    /// Makes room for a generation, if there is none yet. Called ahead of time where possible.
    ///
    /// # Errors
    /// If the disk refuses.
    fn open_generation(&mut self, ends_at: Timestamp) -> Result<(), Fault>;

    /// From here on, what is written can go from the disk without what was written before, and the other way
    /// round. Called before the first block of a generation and after generations were dropped.
    ///
    /// # Errors
    /// If the disk refuses.
    fn cut(&mut self) -> Result<(), Fault>;

    /// Adds a block of an open generation to what the next [`write`](Self::write) hands over. Copies it, and does
    /// nothing else.
    ///
    /// # Errors
    /// If the generation is not there.
    fn put(&mut self, block: &Block<'_>) -> Result<(), Fault>;

    /// Adds a small value to what the next [`write`](Self::write) hands over.
    fn put_meta(&mut self, meta: Meta, value: &[u8]);

    /// Hands what was put since the last call to the kernel, all or none.
    ///
    /// # Errors
    /// If the disk refuses.
    fn write(&mut self) -> Result<(), Fault>;

    /// Returns when everything written is on the disk.
    ///
    /// # Errors
    /// If the disk refuses. A later success says nothing about what was written before the failure.
    fn sync(&mut self) -> Result<(), Fault>;

    /// A [`sync`](Self::sync) for another thread to call while this one goes on writing. None where a store has no such
    /// thing.
    fn sync_beside(&self) -> Option<SyncCall> {
        None
    }

    /// Drops every generation that is over at `now`, whole. Returns whether there was one.
    ///
    /// # Errors
    /// If the disk refuses.
    fn drop_over(&mut self, now: Timestamp) -> Result<bool, Fault>;

    /// Takes small values that were overwritten off the disk; where they share a file with blocks, once the generations of
    /// these are dropped.
    ///
    /// # Errors
    /// If the disk refuses.
    fn forget_overwritten(&mut self) -> Result<(), Fault>;

    /// Begins again from what the disk has, after a failure; what was put and not written is forgotten. There must
    /// be something: a folder that has gone is not made anew.
    ///
    /// # Errors
    /// If the disk still refuses.
    fn reopen(&mut self) -> Result<(), Fault>;

    /// What the disk said when a record that had left memory was last read back in vain, once.
    fn take_read_fault(&mut self) -> Option<Fault> {
        None
    }

    /// Throws everything away and begins empty. Only called when every placement on the disk has expired.
    ///
    /// # Errors
    /// If the disk still refuses.
    fn recreate(&mut self) -> Result<(), Fault>;
}

/// Returns when everything that was written before the call is on the disk. One at a time is called, none while the store
/// is reopened or recreated.
pub type SyncCall = Box<dyn FnOnce() -> Result<(), Fault> + Send>;

/// What kind of failure the disk reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// No space is left.
    DiskFull,
    /// Another process or engine has the folder open.
    InUse,
    /// The folder was written by a version this one does not read.
    Format,
    /// What is stored is damaged.
    Damaged,
    /// The processor lacks what the program was compiled for.
    Processor,
    /// Anything else: permissions, input/output errors.
    Io,
}

/// A failure of the disk, with its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    kind: FaultKind,
    message: String,
}

impl Fault {
    /// A failure of this kind, in these words.
    #[cold]
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// Its kind.
    pub const fn kind(&self) -> FaultKind {
        self.kind
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            FaultKind::DiskFull => write!(
                f,
                "no space is left for the journal; free some, stores resume by themselves ({})",
                self.message
            ),
            FaultKind::InUse => write!(
                f,
                "the journal's folder is open in another engine; give each engine its own, or connect to \
                 that one ({})",
                self.message
            ),
            FaultKind::Format | FaultKind::Processor => f.write_str(&self.message),
            FaultKind::Damaged => write!(f, "the journal is damaged: {}", self.message),
            FaultKind::Io => write!(f, "the journal cannot be read or written: {}", self.message),
        }
    }
}

impl core::error::Error for Fault {}
