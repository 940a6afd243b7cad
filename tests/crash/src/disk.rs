//! A small disk that can be filled and freed: a file system in memory where one may be mounted, limited files
//! where not.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::error::CrashError;
use crate::limits::{DISK_SIZE, FULL_FILE_BYTES};
use crate::report::say;

/// A disk for one service.
pub(crate) struct Disk {
    folder: TempDir,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Mounted,
    /// The service's files are limited; its own process is told so.
    Limited,
}

impl Disk {
    /// A disk with some room.
    pub(crate) fn new(limit_files: bool) -> Result<Self, CrashError> {
        let folder = tempfile::tempdir().map_err(CrashError::system("make a folder"))?;
        let why_not = if limit_files { Some("asked not to".to_owned()) } else { mount(folder.path()).err() };
        let kind = if why_not.is_none() { Kind::Mounted } else { Kind::Limited };
        if let Some(why) = why_not {
            say(&format!(
                "skipped aloud: no disk of {DISK_SIZE} is mounted ({why}); files are limited instead"
            ));
        }
        Ok(Self { folder, kind })
    }

    /// Where the service may keep its data.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Whether it is one of its own, that is full for everybody.
    pub(crate) fn is_mounted(&self) -> bool {
        self.kind == Kind::Mounted
    }

    /// Leaves no room to the process `id`. To be called again and again: the service gives room back when it
    /// closes and opens its files.
    pub(crate) fn fill(&self, id: u32) -> Result<(), CrashError> {
        match self.kind {
            Kind::Mounted => fill(&self.ballast()).map_err(CrashError::system("fill the disk")),
            Kind::Limited => limit(id, &FULL_FILE_BYTES.to_string()),
        }
    }

    /// Gives the room back.
    pub(crate) fn free(&self, id: u32) -> Result<(), CrashError> {
        match self.kind {
            Kind::Mounted => {
                std::fs::remove_file(self.ballast()).map_err(CrashError::system("free the disk"))
            }
            Kind::Limited => limit(id, "unlimited"),
        }
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.kind == Kind::Mounted {
            // Lazily: a process that was just killed may still hold it.
            let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
        }
    }
}

fn mount(path: &Path) -> Result<(), String> {
    let options = format!("size={DISK_SIZE}");
    let output = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(path).output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            Err(String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or_default().to_owned())
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Writes until nothing more goes in, in ever smaller pieces.
fn fill(path: &Path) -> std::io::Result<()> {
    let mut file = File::options().create(true).append(true).open(path)?;
    for piece_bytes in [1 << 20, 64 << 10, 4 << 10] {
        let piece = vec![0x55; piece_bytes];
        loop {
            match file.write_all(&piece) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::StorageFull => break,
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// Limits the size of files of a running process; only softly, so that it can be taken back.
fn limit(id: u32, bytes: &str) -> Result<(), CrashError> {
    let (id, limit) = (id.to_string(), format!("--fsize={bytes}:unlimited"));
    let status = Command::new("prlimit").args(["--pid", &id, &limit]).stdout(Stdio::null()).status();
    let status = status.map_err(CrashError::system("run prlimit"))?;
    if status.success() { Ok(()) } else { Err(CrashError::Setting(format!("prlimit ends with {status}"))) }
}
