//! The folder of the journal: whether it still is where it was opened.
//!
//! RocksDB makes a folder that has gone anew without a word, and goes on writing into the file it has open in the old
//! one; no restart would find either part.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::store::{Fault, FaultKind};

/// A folder as it was when it was opened.
#[derive(Clone)]
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

impl Folder {
    /// The folder that is at `path` now.
    pub(crate) fn at(path: &Path) -> Result<Self, Fault> {
        let identity = identity(path).map_err(|error| Fault::new(FaultKind::Io, error.to_string()))?;
        Ok(Self { path: path.to_owned(), identity })
    }

    /// Whether the same folder is at its path still. One system call.
    ///
    /// # Errors
    /// [`FaultKind::Io`] if it has gone or another is there.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        if identity(&self.path).is_ok_and(|found| found == self.identity) {
            Ok(())
        } else {
            Err(self.moved())
        }
    }

    #[cold]
    fn moved(&self) -> Fault {
        let path = self.path.display();
        let why = format!(
            "{path} is no longer the folder that was opened: it was moved, removed or replaced; put it back, or stop \
             the engine first and then move it"
        );
        Fault::new(FaultKind::Io, why)
    }
}

fn identity(path: &Path) -> std::io::Result<(u64, u64)> {
    let metadata = std::fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_was_moved_or_replaced_is_told_apart_and_one_put_back_is_not() {
        let parent = tempfile::tempdir().expect("a folder");
        let (path, elsewhere) = (parent.path().join("journal"), parent.path().join("elsewhere"));
        std::fs::create_dir(&path).expect("a folder");
        let folder = Folder::at(&path).expect("it is there");
        assert_eq!(folder.check(), Ok(()));
        std::fs::rename(&path, &elsewhere).expect("a move");
        assert_eq!(folder.check().map_err(|fault| fault.kind()), Err(FaultKind::Io), "moved");
        std::fs::create_dir(&path).expect("another folder");
        assert!(folder.check().is_err_and(|fault| fault.to_string().contains("put it back")), "replaced");
        std::fs::remove_dir(&path).expect("empty");
        std::fs::rename(&elsewhere, &path).expect("a move back");
        assert_eq!(folder.check(), Ok(()));
    }
}
