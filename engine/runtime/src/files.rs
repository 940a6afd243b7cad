//! Reading the files an operator names.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::{EngineError, EngineErrorKind};
use crate::limits::PEM_BYTES_MAX;

/// The bytes of a PEM file of bounded size.
pub(crate) fn read_pem(path: &Path) -> Result<Vec<u8>, EngineError> {
    let wrong =
        |why: String| EngineError::new(EngineErrorKind::Argument, format!("{}: {why}", path.display()));
    let file = File::open(path).map_err(|error| wrong(error.to_string()))?;
    let mut bytes = Vec::new();
    file.take(PEM_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| wrong(error.to_string()))?;
    if bytes.len() as u64 > PEM_BYTES_MAX {
        return Err(wrong(format!(
            "larger than {PEM_BYTES_MAX} bytes; name the certificates that are needed"
        )));
    }
    Ok(bytes)
}
