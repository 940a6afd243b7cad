//! Certificates that the host showed.

use core::hash::BuildHasher;
use std::collections::{HashSet, VecDeque};
use std::hash::RandomState;

use herald_core::Timestamp;
use herald_stir::{CertificateChain, CpsUriExtension, Fault};

use crate::limits::{OBSERVED_ENTRIES_MAX, OBSERVED_MAX};
use crate::named::Named;

/// Those that name services, in the order in which they were first shown.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    kept: VecDeque<(u64, Named)>,
    /// Hashes of the certificates: with a key that nobody knows, so that nobody can choose two alike.
    known: HashSet<u64>,
    hasher: RandomState,
    entries_count: usize,
}

impl Observed {
    /// Takes a certificate whose chain was verified. Returns whether it is new and names services.
    ///
    /// The host vouches for the whole chain, so for all of its entries.
    pub(crate) fn take(
        &mut self,
        der: &[u8],
        extension: &CpsUriExtension,
        now: Timestamp,
    ) -> Result<bool, Fault> {
        let hash = self.hasher.hash_one(der);
        if self.known.contains(&hash) {
            return Ok(false);
        }
        let chain = CertificateChain::from_der(&[der.to_vec()])?;
        let named = Named::read(&chain, extension, "a certificate that was shown", |_| Ok(true))?;
        let named = named.filter(|named| named.entries.len() <= OBSERVED_ENTRIES_MAX);
        let Some(named) = named.filter(|_| !chain.has_run_out(now) && chain.valid_from() <= now) else {
            return Ok(false);
        };
        self.entries_count += named.entries.len();
        self.known.insert(hash);
        self.kept.push_back((hash, named));
        self.drop_run_out(now);
        while self.kept.len() > OBSERVED_MAX || self.entries_count > OBSERVED_ENTRIES_MAX {
            let Some((hash, named)) = self.kept.pop_front() else { break };
            self.known.remove(&hash);
            self.entries_count -= named.entries.len();
        }
        Ok(true)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Named> {
        self.kept.iter().map(|(_, named)| named)
    }

    fn drop_run_out(&mut self, now: Timestamp) {
        let now_s = now.as_millis() / 1000;
        let (known, entries_count) = (&mut self.known, &mut self.entries_count);
        self.kept.retain(|(hash, named)| {
            let holds = named.service.until_s.is_none_or(|until_s| now_s <= until_s);
            if !holds {
                known.remove(hash);
                *entries_count -= named.entries.len();
            }
            holds
        });
    }
}
