//! The disk as the journal sees it.

use core::fmt;

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
}

impl Meta {
    /// The name it is stored under.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::Cover => "cover",
            Self::Clock => "clock",
        }
    }
}

/// One value to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The generation all its placements expire in, in units of [`GENERATION_MS`](crate::limits::GENERATION_MS).
    pub generation: u64,
    /// Its key.
    pub key: BlockKey,
    /// Its bytes: see [`block_records`](crate::block_records).
    pub value: Vec<u8>,
}

/// Where blocks are kept. One thread at a time.
///
/// After an error nothing more may be assumed of what was written since the last successful
/// [`sync`](Self::sync): the journal then [reopens](Self::reopen) and writes it again.
pub trait BlockStore: Send {
    /// Makes room for a generation, if there is none yet. Called before its first block.
    ///
    /// # Errors
    /// If the disk refuses.
    fn open_generation(&mut self, generation: u64) -> Result<(), Fault>;

    /// Hands blocks of open generations to the kernel, all or none.
    ///
    /// # Errors
    /// If the disk refuses.
    fn write(&mut self, blocks: &[Block]) -> Result<(), Fault>;

    /// Returns when everything written is on the disk.
    ///
    /// # Errors
    /// If the disk refuses. A later success says nothing about what was written before the failure.
    fn sync(&mut self) -> Result<(), Fault>;

    /// Drops every generation before `generation`, whole.
    ///
    /// # Errors
    /// If the disk refuses.
    fn drop_generations_before(&mut self, generation: u64) -> Result<(), Fault>;

    /// Hands a small value to the kernel; [`sync`](Self::sync) makes it durable.
    ///
    /// # Errors
    /// If the disk refuses.
    fn put_meta(&mut self, meta: Meta, value: &[u8]) -> Result<(), Fault>;

    /// Makes the small values durable by themselves and lets go of what dropped generations and overwritten
    /// values still hold on the disk.
    ///
    /// # Errors
    /// If the disk refuses.
    fn compact(&mut self) -> Result<(), Fault>;

    /// Begins again from what the disk has, after a failure. There must be something: a folder that has gone is
    /// not made anew.
    ///
    /// # Errors
    /// If the disk still refuses.
    fn reopen(&mut self) -> Result<(), Fault>;

    /// Throws everything away and begins empty. Only called when every placement on the disk has expired.
    ///
    /// # Errors
    /// If the disk still refuses.
    fn recreate(&mut self) -> Result<(), Fault>;
}

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
            FaultKind::Format => f.write_str(&self.message),
            FaultKind::Damaged => write!(f, "the journal is damaged: {}", self.message),
            FaultKind::Io => write!(f, "the journal cannot be read or written: {}", self.message),
        }
    }
}

impl core::error::Error for Fault {}
