//! Orders to the shim that is preloaded into a service: when to kill it, cut its power, lie to it or fail it, and
//! how far its clocks are off. `shim.c` is the other side and says what each order does.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::CrashError;

/// Calls that are counted, as a set.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Calls(u64);

impl Calls {
    pub(crate) const WRITES: Self = Self(1);
    /// `fsync` and `fdatasync`.
    pub(crate) const SYNCS: Self = Self(2);
    /// Those, and whatever makes, renames, removes, lengthens or shortens a file.
    pub(crate) const ALL: Self = Self(15);
}

/// What happens at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    KillBefore = 1,
    /// Half of a write is done, then the process dies.
    KillTorn = 3,
    CutBefore = 4,
    CutAfter = 5,
    /// `EIO`.
    FailIo = 6,
    /// `ENOSPC`.
    FailFull = 7,
    /// Half of a write is done, then `ENOSPC`.
    FailTorn = 8,
    /// Half of a write is done, and it says so.
    Short = 9,
    /// Nothing is done, and success is claimed.
    Swallow = 10,
    /// As [`FailIo`](Self::FailIo); later syncs of the same file do nothing and claim success.
    FailGone = 11,
}

/// From the call `first` to the call `last`, counted from 1.
#[derive(Clone, Copy)]
pub(crate) struct Order {
    pub(crate) calls: Calls,
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) act: Act,
}

impl Order {
    /// At one call only.
    pub(crate) const fn once(calls: Calls, at: u64, act: Act) -> Self {
        Self { calls, first: at, last: at, act }
    }

    /// At this call and every later one.
    pub(crate) const fn from(calls: Calls, first: u64, act: Act) -> Self {
        Self { calls, first, last: u64::MAX, act }
    }
}

/// The shim of one service. It takes two orders at once; where both speak of a call, the first decides.
pub(crate) struct Shim {
    library: PathBuf,
    control: NamedTempFile,
    folder: PathBuf,
}

impl Shim {
    /// A shim without orders that watches the files below `folder`.
    pub(crate) fn new(library: &Path, folder: &Path) -> Result<Self, CrashError> {
        let control = NamedTempFile::new().map_err(CrashError::system("make a control file"))?;
        control.as_file().set_len(CONTROL_BYTES).map_err(CrashError::system("make a control file"))?;
        Ok(Self { library: library.to_owned(), control, folder: folder.to_owned() })
    }

    /// What a service's environment has to hold.
    pub(crate) fn environment(&self) -> Vec<(&'static str, OsString)> {
        vec![
            ("LD_PRELOAD", self.library.clone().into()),
            ("CRASH_SHIM_CONTROL", self.control.path().into()),
            ("CRASH_SHIM_FOLDER", self.folder.clone().into()),
        ]
    }

    /// Gives the first order and forgets what it counted.
    pub(crate) fn order(&self, order: Order) -> Result<(), CrashError> {
        self.give(FIRST, order)
    }

    /// Gives the second order.
    pub(crate) fn also_order(&self, order: Order) -> Result<(), CrashError> {
        self.give(SECOND, order)
    }

    /// Takes all orders back. What they counted stays.
    pub(crate) fn lift(&self) -> Result<(), CrashError> {
        self.put(FIRST, 0)?;
        self.put(SECOND, 0)
    }

    /// How often the first order was carried out.
    pub(crate) fn fired(&self) -> Result<u64, CrashError> {
        self.take(FIRST + FIRED)
    }

    /// Sets the wall clock off by so many milliseconds.
    pub(crate) fn step_wall(&self, ms: i64) -> Result<(), CrashError> {
        self.put(WALL, ms.cast_unsigned())
    }

    /// Sets the monotonic clock off, which no machine does.
    pub(crate) fn step_monotonic(&self, ms: i64) -> Result<(), CrashError> {
        self.put(MONOTONIC, ms.cast_unsigned())
    }

    fn give(&self, at: u64, order: Order) -> Result<(), CrashError> {
        self.put(at, 0)?;
        let rest = [order.first, order.last, order.act as u64, 0, 0];
        for (place, word) in (at + WORD_BYTES..).step_by(8).zip(rest) {
            self.put(place, word)?;
        }
        // Last: from here it stands.
        self.put(at, order.calls.0)
    }

    fn put(&self, at: u64, word: u64) -> Result<(), CrashError> {
        let written = self.file().write_all_at(&word.to_ne_bytes(), at);
        written.map_err(CrashError::system("write to a control file"))
    }

    fn take(&self, at: u64) -> Result<u64, CrashError> {
        let mut word = [0; 8];
        self.file().read_exact_at(&mut word, at).map_err(CrashError::system("read a control file"))?;
        Ok(u64::from_ne_bytes(word))
    }

    fn file(&self) -> &File {
        self.control.as_file()
    }
}

/// The form of the control file: two orders of six words, then two clocks.
const WORD_BYTES: u64 = 8;
const FIRST: u64 = 0;
const SECOND: u64 = 6 * WORD_BYTES;
const FIRED: u64 = 5 * WORD_BYTES;
const WALL: u64 = 12 * WORD_BYTES;
const MONOTONIC: u64 = 13 * WORD_BYTES;
const CONTROL_BYTES: u64 = 14 * WORD_BYTES;
