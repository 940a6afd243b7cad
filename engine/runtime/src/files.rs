//! Reading the files an operator names.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use zeroize::Zeroizing;

use crate::error::{EngineError, EngineErrorKind};
use crate::limits::PEM_BYTES_MAX;

/// The bytes of a PEM file of bounded size.
pub(crate) fn read_pem(path: &Path) -> Result<Vec<u8>, EngineError> {
    read_bounded(path, PEM_BYTES_MAX)
}

/// The text of a file no larger than one of PEM; wiped when dropped, since it may hold a key.
pub(crate) fn read_text(path: &Path) -> Result<Zeroizing<String>, EngineError> {
    let text = String::from_utf8(read_pem(path)?).map_err(|error| {
        drop(Zeroizing::new(error.into_bytes()));
        EngineError::new(EngineErrorKind::Argument, format!("{}: it is not UTF-8", path.display()))
    });
    text.map(Zeroizing::new)
}

/// The bytes of a file of at most `bytes_max`.
pub(crate) fn read_bounded(path: &Path, bytes_max: u64) -> Result<Vec<u8>, EngineError> {
    let wrong =
        |why: String| EngineError::new(EngineErrorKind::Argument, format!("{}: {why}", path.display()));
    let file = File::open(path).map_err(|error| wrong(error.to_string()))?;
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(|error| wrong(error.to_string()))?;
    if bytes.len() as u64 > bytes_max {
        return Err(wrong(format!("larger than {bytes_max} bytes; leave in it what is needed")));
    }
    Ok(bytes)
}
