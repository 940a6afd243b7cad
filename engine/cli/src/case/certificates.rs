//! Certificates and revocation lists from files, in the place of a fetcher.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use herald_runtime::core::Timestamp;
use herald_runtime::stir::{CertificateChain, CertificateSource, Fault, TrustStore};

use super::arguments::Verify;
use crate::calls::read;
use crate::output::Failure;

/// Answers for every host with the files of a folder.
pub(crate) struct Certificates {
    folder: Option<PathBuf>,
    for_all: Option<Vec<u8>>,
    /// OCSP answers that come with every chain.
    staples: Vec<Vec<u8>>,
}

impl Certificates {
    pub(super) fn of(verify: &Verify) -> Result<Self, Failure> {
        let certificates = Self::from_files(verify.certificates.as_deref(), verify.certificate.as_deref())?;
        let staples = verify.staple.iter().map(|path| read_staple(path));
        Ok(Self { staples: staples.collect::<Result<_, _>>()?, ..certificates })
    }

    /// Those of a folder, by name; or of one file, whatever the URL.
    pub(crate) fn from_files(folder: Option<&Path>, for_all: Option<&Path>) -> Result<Self, Failure> {
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            return Err(Failure::usage(format!("{}: not a folder", folder.display())));
        }
        let for_all = for_all.map(read).transpose()?;
        Ok(Self { folder: folder.map(Path::to_owned), for_all, staples: Vec::new() })
    }

    /// What `url` serves.
    fn serve(&self, url: &str) -> Option<Vec<u8>> {
        if let Some(chain) = &self.for_all {
            return Some(chain.clone());
        }
        let folder = self.folder.as_deref()?;
        let path = url.split(['?', '#']).next()?;
        let (_, file) = path.split_once("://")?.1.rsplit_once('/')?;
        let safe =
            |sign: u8| sign.is_ascii_alphanumeric() || matches!(sign, b'-' | b'_' | b'.' | b'+' | b'=');
        if file.is_empty() || file.starts_with('.') || !file.bytes().all(safe) {
            return None;
        }
        let name = file.strip_suffix(".pem").unwrap_or(file);
        let files = [format!("{name}.chain.pem"), format!("{name}.pem"), file.to_owned()];
        files.iter().find_map(|file| read(folder.join(file)).ok())
    }

    fn stapled(&self, chain: CertificateChain) -> Result<Arc<CertificateChain>, Fault> {
        let staples: Vec<&[u8]> = self.staples.iter().map(Vec::as_slice).collect();
        chain.with_staples(&staples).map(Arc::new)
    }
}

impl CertificateSource for Certificates {
    fn chain(&self, url: &str, _: Timestamp) -> Result<Arc<CertificateChain>, Fault> {
        let pem = self.serve(url).ok_or(Fault::NoCertificate)?;
        self.stapled(CertificateChain::from_pem(&pem)?)
    }

    fn carried_chain(&self, certificates: &[Vec<u8>], _: Timestamp) -> Result<Arc<CertificateChain>, Fault> {
        self.stapled(CertificateChain::from_der(certificates)?)
    }
}

fn read_staple(path: &Path) -> Result<Vec<u8>, Failure> {
    let staple = read(path)?;
    let is_good = CertificateChain::is_staple(&staple);
    is_good.then_some(staple).ok_or_else(|| Failure::usage(format!("{}: {}", path.display(), Fault::Staple)))
}

/// The roots and the revocation lists. Whoever is on any of them is revoked.
pub(super) fn trust(verify: &Verify) -> Result<TrustStore, Failure> {
    let named = |path: &Path, error| Failure::usage(format!("{}: {error}", path.display()));
    let mut roots =
        TrustStore::from_pem(&read(&verify.roots)?).map_err(|error| named(&verify.roots, error))?;
    if let Some(path) = &verify.crl_signers {
        roots = roots.with_list_signers_pem(&read(path)?).map_err(|error| named(path, error))?;
    }
    let lists = match &verify.certificates {
        Some(folder) if verify.crl.is_empty() => lists_of(folder)?,
        _ => verify.crl.clone(),
    };
    lists
        .iter()
        .try_fold(roots, |trust, path| trust.with_crls_pem(&read(path)?).map_err(|error| named(path, error)))
}

fn lists_of(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let failure = |error: std::io::Error| Failure::usage(format!("{}: {error}", folder.display()));
    let mut lists = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failure)? {
        let path = entry.map_err(failure)?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(".crl.pem")) {
            lists.push(path);
        }
    }
    lists.sort();
    Ok(lists)
}
