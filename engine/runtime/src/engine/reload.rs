//! Reading files again while an engine serves.

use std::sync::Arc;

use herald_stir::TrustStore;

use super::{Engine, load_tls};
use crate::error::{EngineError, EngineErrorKind};
use crate::keys::KeyShelf;
use crate::services::{Assembled, Services};

/// What the files say now.
struct Read {
    tls: Option<Arc<rustls::ServerConfig>>,
    key_roots: Option<TrustStore>,
    token_roots: Option<TrustStore>,
    services: Option<(Services, Assembled)>,
}

impl Engine {
    /// Reads again the files that the configuration names: certificates and keys (of TLS, for signing, for sealing), roots,
    /// revocation lists, the directory, and what plugins read; plugins whose own file is another one are replaced.
    /// Requests and calls under way go on as they began, those that begin afterwards see what is new. Of the files all are
    /// taken or none; each plugin by itself. Blocks while they are read. Any thread.
    ///
    /// Not read again are the configuration itself, `cps_authorities` and `fetch_authorities`.
    ///
    /// # Errors
    /// [`EngineErrorKind::Argument`] with all that did not succeed, which stays as it was: what is wrong with the files, or
    /// that too many calls are under way to begin anew with cover and bundles;
    /// [`EngineErrorKind::State`] before the start and after the stop.
    pub fn reload(&self) -> Result<(), EngineError> {
        self.shared.stage().serves()?;
        let _one_at_a_time = self.reloading.lock();
        let files = self.read_files().and_then(|read| self.take_over(read));
        let plugins = self.reload_plugins();
        let stays = |error: EngineError| format!("the files stay as they were read: {error}");
        let failed: Vec<_> = [files.err().map(stays), plugins.err().map(|error| error.to_string())]
            .into_iter()
            .flatten()
            .collect();
        match failed.is_empty() {
            true => Ok(()),
            false => Err(EngineError::new(EngineErrorKind::Argument, failed.join("; "))),
        }
    }

    fn read_files(&self) -> Result<Read, EngineError> {
        let services = self.services.as_ref().map(|services| {
            let services = services.read_again()?;
            let (assembled, _) =
                services.assemble(&self.loaded_sources(), self.parts.discoverer().cloned())?;
            Ok::<_, EngineError>((services, assembled))
        });
        Ok(Read {
            tls: load_tls(&self.config)?,
            key_roots: KeyShelf::read_trust(&self.config)?,
            token_roots: self.config.admission.trust()?,
            services: services.transpose()?,
        })
    }

    /// The services come first: they alone can fail, for want of room for their company, and then nothing is taken.
    fn take_over(&self, read: Read) -> Result<(), EngineError> {
        if let (Some(calls), Some((services, assembled))) = (self.parts.calls.get(), read.services) {
            services.take_over(calls, assembled)?;
        }
        if let (Some(slot), Some(tls)) = (self.tls.get(), read.tls) {
            slot.replace(tls);
        }
        self.keys.set_trust(read.key_roots);
        if let Some(admitting) = self.parts.admitting.get() {
            admitting.set_trust(read.token_roots);
        }
        Ok(())
    }
}
