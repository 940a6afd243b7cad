//! The folder that key bundles outlive a restart in: one file each, written by a thread of its own, so that nobody
//! who publishes or serves waits for a disk.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use herald_stir::limits::{KEY_BUNDLE_BYTES_MAX, KEY_BUNDLES_MAX_DEFAULT};
use parking_lot::Mutex;

use crate::engine::{Level, Report};
use crate::error::{EngineError, EngineErrorKind};
use crate::limits::{JOURNAL_MODE, KEYS_WRITES_WAITING_MAX};

/// What a file's name ends in.
const EXTENSION: &str = "jws";
/// What the name of a file ends in while it is written.
const DRAFT: &str = "draft";
/// Signs of a signature that make up a file's name: enough to be the only one.
const NAME_SIGNS: usize = 32;

/// The folder and its thread.
pub(super) struct Folder {
    path: PathBuf,
    report: Report,
    writer: Mutex<Writer>,
}

enum Writer {
    /// The engine has not started.
    Idle,
    Running(SyncSender<Write>, JoinHandle<()>),
    /// Nothing is written any more.
    Closed,
}

enum Write {
    Save(PathBuf, String),
    Remove(PathBuf),
}

impl Folder {
    /// Makes the folder if there is none. Starts no thread.
    pub(super) fn open(path: &Path, report: &Report) -> Result<Self, EngineError> {
        DirBuilder::new()
            .recursive(true)
            .mode(JOURNAL_MODE)
            .create(path)
            .map_err(|error| disk(path, &error))?;
        Ok(Self { path: path.to_owned(), report: report.clone(), writer: Mutex::new(Writer::Idle) })
    }

    /// Starts the thread that writes, on the thread that starts the engine: it takes that one's signal mask. A second call
    /// does nothing.
    pub(super) fn start(&self) -> Result<(), EngineError> {
        let mut writer = self.writer.lock();
        if let Writer::Idle = *writer {
            let (sender, receiver) = sync_channel(KEYS_WRITES_WAITING_MAX);
            let report = self.report.clone();
            let thread = std::thread::Builder::new().name("herald-keys".into());
            let thread = thread.spawn(move || write_all(&receiver, &report)).map_err(|error| {
                let why = format!("cannot start the thread that writes key bundles: {error}");
                EngineError::new(EngineErrorKind::Limit, why)
            })?;
            *writer = Writer::Running(sender, thread);
        }
        Ok(())
    }

    /// The texts of its files, at most as many as a table holds, each of bounded size.
    pub(super) fn tokens(&self) -> Result<Vec<String>, EngineError> {
        let mut tokens = Vec::new();
        for file in fs::read_dir(&self.path).map_err(|error| disk(&self.path, &error))? {
            let path = file.map_err(|error| disk(&self.path, &error))?.path();
            if path.extension().is_some_and(|extension| extension == DRAFT) {
                // Left by a process that was killed while it wrote.
                fs::remove_file(&path).map_err(|error| disk(&path, &error))?;
                continue;
            }
            let is_bundle = path.extension().is_some_and(|extension| extension == EXTENSION);
            let fits =
                || fs::metadata(&path).is_ok_and(|facts| facts.len() <= KEY_BUNDLE_BYTES_MAX as u64 + 2);
            if is_bundle && tokens.len() < KEY_BUNDLES_MAX_DEFAULT && fits() {
                let text = fs::read_to_string(&path).map_err(|error| disk(&path, &error))?;
                tokens.push(text.trim_ascii_end().to_owned());
            }
        }
        Ok(tokens)
    }

    /// Has a bundle written. If too much waits already it is left out: it is served until the restart.
    pub(super) fn save(&self, token: &str) {
        self.send(Write::Save(self.file_of(token), token.to_owned()));
    }

    /// Has the file of a bundle removed.
    pub(super) fn remove(&self, token: &str) {
        self.send(Write::Remove(self.file_of(token)));
    }

    /// Removes the file of a bundle at once, for a caller who may wait.
    pub(super) fn remove_now(&self, token: &str) {
        // It is looked at again at the next start.
        let _ = fs::remove_file(self.file_of(token));
    }

    /// Ends the thread once it has written what waits.
    pub(super) fn close(&self) {
        let writer = core::mem::replace(&mut *self.writer.lock(), Writer::Closed);
        if let Writer::Running(sender, thread) = writer {
            drop(sender);
            // It cannot panic, and there is nobody to tell.
            let _ = thread.join();
        }
    }

    fn send(&self, write: Write) {
        let is_sent = match &*self.writer.lock() {
            Writer::Running(sender, _) => sender.try_send(write).is_ok(),
            Writer::Idle | Writer::Closed => false,
        };
        if !is_sent {
            let why = "a key bundle was not written to its folder: the disk is too slow, or the engine does not run";
            (self.report)(Level::Warning, why);
        }
    }

    fn file_of(&self, token: &str) -> PathBuf {
        let signature = token.rsplit('.').next().unwrap_or_default();
        let name = signature.get(..NAME_SIGNS).unwrap_or(signature);
        self.path.join(name).with_extension(EXTENSION)
    }
}

fn write_all(writes: &Receiver<Write>, report: &Report) {
    for write in writes {
        let result = match &write {
            Write::Save(path, token) => {
                let draft = path.with_extension(DRAFT);
                fs::write(&draft, token).and_then(|()| fs::rename(&draft, path))
            }
            Write::Remove(path) => fs::remove_file(path).or_else(|error| match error.kind() {
                std::io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            }),
        };
        if let Err(error) = result {
            report(Level::Warning, &format!("the folder of key bundles cannot be written: {error}"));
        }
    }
}

fn disk(path: &Path, error: &std::io::Error) -> EngineError {
    EngineError::new(EngineErrorKind::Disk, format!("the folder of key bundles, {}: {error}", path.display()))
}
