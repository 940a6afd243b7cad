//! A file system of its own in a file, whose power can be cut: what had not been forced to its disk by then is gone
//! when it is mounted again.
//!
//! The disk below keeps its promises: it is a file of the machine. A disk that lies about its cache is not simulated.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::error::CrashError;
use crate::limits::{IMAGE_BYTES, UNMOUNT_TRIES};

/// A mounted file system.
pub(crate) struct Image {
    folder: TempDir,
}

impl Image {
    /// A new one of this kind.
    ///
    /// # Errors
    /// Why there can be none here: no tools, no loop devices, no rights.
    pub(crate) fn new(kind: &str) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let image = Self { folder };
        let file = std::fs::File::create(image.file()).map_err(|error| error.to_string())?;
        file.set_len(IMAGE_BYTES).map_err(|error| error.to_string())?;
        std::fs::create_dir(image.path()).map_err(|error| error.to_string())?;
        run(Command::new(format!("mkfs.{kind}")).arg("-q").arg(image.file()))?;
        image.mount()?;
        Ok(image)
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    /// Takes away what only memory has and mounts what the disk has. The power has been cut, and no process has a
    /// file open on it.
    pub(crate) fn mount_again(&self) -> Result<(), CrashError> {
        let mut tries = 0;
        while let Err(why) = run(Command::new("umount").arg(self.path())) {
            tries += 1;
            if tries == UNMOUNT_TRIES {
                return Err(CrashError::Setting(why));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.mount().map_err(CrashError::Setting)
    }

    fn mount(&self) -> Result<(), String> {
        run(Command::new("mount").args(["-o", "loop"]).arg(self.file()).arg(self.path()))
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("image")
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        // Lazily: a process that was just killed may still hold it.
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).output();
    }
}

/// Whether it ends well; otherwise what it says.
fn run(command: &mut Command) -> Result<(), String> {
    let name = Path::new(command.get_program()).display().to_string();
    let output = command.output().map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{name}: {}", said.lines().next().unwrap_or_default()))
}
