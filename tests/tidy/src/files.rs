//! The files that git knows: tracked, or new and not ignored. It does not know what is in them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::limits::FILE_BYTES_MAX;

/// A text file of the checkout.
#[derive(Clone, Debug)]
pub struct TextFile {
    /// Relative to the root of the checkout, with `/` between its parts.
    pub path: String,
    /// All of it.
    pub text: String,
}

impl TextFile {
    /// Whether the name ends in one of `extensions` (written without the dot).
    pub fn has_extension(&self, extensions: &[&str]) -> bool {
        Path::new(&self.path)
            .extension()
            .and_then(|extension| extension.to_str())
            .is_some_and(|extension| extensions.contains(&extension))
    }
}

/// The root of the checkout this crate was built from.
pub fn root() -> PathBuf {
    let tidy = Path::new(env!("CARGO_MANIFEST_DIR"));
    tidy.ancestors().nth(2).expect("this crate lies two folders below the root").to_path_buf()
}

/// Every text file under `root` that git knows, in git's order.
///
/// Binary files, files above [`FILE_BYTES_MAX`], links and files deleted but still in the index are left out.
///
/// # Errors
/// When git cannot be run or `root` is not a checkout, and when a listed file cannot be read.
pub fn known_to_git(root: &Path) -> io::Result<Vec<TextFile>> {
    // The clone may belong to another user than the one who tests it.
    let listing = Command::new("git")
        .args(["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()?;
    if !listing.status.success() {
        let reason = String::from_utf8_lossy(&listing.stderr).into_owned();
        return Err(io::Error::other(format!("git ls-files failed, run the tests in a checkout: {reason}")));
    }
    let names = String::from_utf8_lossy(&listing.stdout).into_owned();
    let mut files = Vec::new();
    for path in names.split('\0').filter(|name| !name.is_empty()) {
        if let Some(text) = read_text(&root.join(path))? {
            files.push(TextFile { path: path.to_owned(), text });
        }
    }
    Ok(files)
}

fn read_text(path: &Path) -> io::Result<Option<String>> {
    let about = match fs::symlink_metadata(path) {
        Ok(about) => about,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !about.is_file() || about.len() > FILE_BYTES_MAX {
        return Ok(None);
    }
    Ok(String::from_utf8(fs::read(path)?).ok())
}
