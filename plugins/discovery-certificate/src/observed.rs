//! Certificates that the host showed.

use core::hash::BuildHasher;
use std::collections::VecDeque;
use std::hash::RandomState;

use herald_core::Timestamp;
use herald_stir::{CertificateChain, CpsUriExtension, Fault};

use crate::limits::{OBSERVED_ENTRIES_MAX, OBSERVED_MAX, OBSERVED_S};
use crate::named::Named;

/// Those that name services, in the order in which they were first shown.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    kept: VecDeque<Kept>,
    hasher: RandomState,
    entries_count: usize,
}

#[derive(Debug)]
struct Kept {
    /// Of the certificate: with a key that nobody knows, so that nobody can choose two alike.
    hash: u64,
    /// It holds until the certificate runs out, or has not been shown for long.
    named: Named,
    runs_out_s: Option<u64>,
}

impl Kept {
    /// It was shown: whoever showed it has verified it just now.
    fn touch(&mut self, now: Timestamp) {
        let shown_until_s = seconds(now) + OBSERVED_S;
        self.named.service.until_s = Some(self.runs_out_s.map_or(shown_until_s, |s| s.min(shown_until_s)));
    }
}

impl Observed {
    /// Takes a certificate whose chain was verified. Returns whether it is new and names services.
    ///
    /// The host vouches for all of its entries (`HERALD_OBSERVED_CERTIFICATE`).
    pub(crate) fn take(
        &mut self,
        der: &[u8],
        extension: &CpsUriExtension,
        now: Timestamp,
    ) -> Result<bool, Fault> {
        let hash = self.hasher.hash_one(der);
        if let Some(known) = self.kept.iter_mut().find(|kept| kept.hash == hash) {
            known.touch(now);
            return Ok(false);
        }
        let chain = CertificateChain::from_der(&[der.to_vec()])?;
        let named = Named::read(&chain, extension, "a certificate that was shown", |_| Ok(true))?;
        let named = named.filter(|named| named.entries.len() <= OBSERVED_ENTRIES_MAX);
        let Some(named) = named.filter(|_| !chain.has_run_out(now) && chain.valid_from() <= now) else {
            return Ok(false);
        };
        self.entries_count += named.entries.len();
        let mut kept = Kept { hash, runs_out_s: named.service.until_s, named };
        kept.touch(now);
        self.kept.push_back(kept);
        self.drop_run_out(now);
        while self.kept.len() > OBSERVED_MAX || self.entries_count > OBSERVED_ENTRIES_MAX {
            let Some(kept) = self.kept.pop_front() else { break };
            self.entries_count -= kept.named.entries.len();
        }
        Ok(true)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Named> {
        self.kept.iter().map(|kept| &kept.named)
    }

    /// Forgets those that no longer hold.
    pub(crate) fn drop_run_out(&mut self, now: Timestamp) {
        let entries_count = &mut self.entries_count;
        self.kept.retain(|Kept { named, .. }| {
            let holds = named.holds(seconds(now));
            if !holds {
                *entries_count -= named.entries.len();
            }
            holds
        });
    }
}

const fn seconds(now: Timestamp) -> u64 {
    now.as_millis() / 1000
}
