//! The folder of chains.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use herald_core::Timestamp;
use herald_stir::limits::CHAIN_BYTES_MAX;
use herald_stir::{CertificateChain, CpsUriExtension, TrustStore};

use crate::limits::FILES_MAX;
use crate::named::Named;

/// Where certificates are, and what they are verified with.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    pub(crate) roots: PathBuf,
    pub(crate) crls: Vec<PathBuf>,
}

/// What came of reading it.
pub(crate) struct Contents {
    pub(crate) named: Vec<Named>,
    /// What was left out and why, in words.
    pub(crate) faults: Vec<String>,
    pub(crate) files_count: usize,
}

impl Folder {
    /// Reads all of it at `now` on the wall clock. Certificates that do not verify are left out.
    pub(crate) fn read(&self, extension: &CpsUriExtension, now: Timestamp) -> Result<Contents, String> {
        let trust = self.trust()?;
        let mut contents = Contents { named: Vec::new(), faults: Vec::new(), files_count: 0 };
        for path in self.files()? {
            contents.files_count += 1;
            match read_one(&path, extension, &trust, now) {
                Ok(named) => contents.named.extend(named),
                Err(words) => contents.faults.push(words),
            }
        }
        Ok(contents)
    }

    fn trust(&self) -> Result<TrustStore, String> {
        let trust = TrustStore::from_pem(&read_file(&self.roots)?);
        let mut trust = trust.map_err(|error| words(&self.roots, &error))?;
        for path in &self.crls {
            trust = trust.with_crls_pem(&read_file(path)?).map_err(|error| words(path, &error))?;
        }
        Ok(trust)
    }

    /// Its files in the order of their names.
    fn files(&self) -> Result<Vec<PathBuf>, String> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&self.path).map_err(|error| words(&self.path, &error))? {
            let path = entry.map_err(|error| words(&self.path, &error))?.path();
            if path.extension().is_some_and(|extension| extension == "pem") {
                files.push(path);
            }
            if files.len() > FILES_MAX {
                return Err(words(&self.path, &format!("more than {FILES_MAX} certificates")));
            }
        }
        files.sort_unstable();
        Ok(files)
    }
}

fn read_one(
    path: &Path,
    extension: &CpsUriExtension,
    trust: &TrustStore,
    now: Timestamp,
) -> Result<Option<Named>, String> {
    let chain = CertificateChain::from_pem(&read_bounded(path, CHAIN_BYTES_MAX)?);
    let chain = chain.map_err(|fault| words(path, &fault))?;
    let verified = chain.verify(trust, now).map_err(|fault| words(path, &fault))?;
    let origin = path.file_name().unwrap_or_default().to_string_lossy();
    let named = Named::read(&chain, extension, &origin, |entry| verified.stands_for(entry));
    named.map_err(|fault| words(path, &fault))
}

/// Roots and revocation lists of a country.
fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    read_bounded(path, 2 * herald_stir::limits::CRL_BYTES_MAX)
}

fn read_bounded(path: &Path, bytes_max: usize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| words(path, &error))?;
    file.take(bytes_max as u64 + 1).read_to_end(&mut bytes).map_err(|error| words(path, &error))?;
    if bytes.len() > bytes_max {
        return Err(words(path, &format!("more than {bytes_max} bytes")));
    }
    Ok(bytes)
}

fn words(path: &Path, words: &dyn core::fmt::Display) -> String {
    format!("{}: {words}", path.display())
}
