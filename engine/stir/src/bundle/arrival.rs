//! A server's answer on its way into a directory. It is read and verified without the directory: each bundle may cost
//! seven signatures, and all calls look up in the directory.

use core::mem;

use herald_core::Timestamp;

use super::table::BundleTable;
use super::verify::{SignedBundle, VerifiedBundle};
use super::{KeyBundle, Listing};
use crate::certificate::{CertificateSource, TrustStore};
use crate::limits::KEY_FRESH_MAX_S;
use crate::passport::CertificateReference;
use crate::seal::Suite;

/// What bundles are held against.
pub(super) struct Judge {
    /// Whom they must be signed under.
    pub(super) trust: TrustStore,
    /// Of which their keys must be.
    pub(super) suite: Suite,
}

/// What an answer says, to be passed through [`read`](Self::read), [`leave_out_known`](Self::leave_out_known) and
/// [`verify`](Self::verify) in this order.
pub(super) struct Arrival {
    /// Whether the server has more than that.
    pub(super) is_truncated: bool,
    /// Those that are to be believed and that the table had not.
    pub(super) believed: Vec<VerifiedBundle>,
    /// How many are not to be believed.
    pub(super) refused_count: usize,
    /// In how many seconds one of those that are to be believed should be asked for again.
    pub(super) least_left_s: u64,
    strange: Vec<SignedBundle>,
}

impl Arrival {
    /// What has the form of a bundle and holds at `now`. O(bytes).
    pub(super) fn read(listing: &Listing, now: Timestamp) -> Self {
        let read = |token: &String| SignedBundle::parse(token.as_bytes()).ok();
        let holds = |signed: &SignedBundle| signed.bundle().check_times(now).is_ok();
        let strange: Vec<_> = listing.tokens.iter().filter_map(read).filter(holds).collect();
        Self {
            is_truncated: listing.is_truncated,
            believed: Vec::new(),
            refused_count: listing.tokens.len() - strange.len(),
            least_left_s: KEY_FRESH_MAX_S,
            strange,
        }
    }

    /// Passes over what the table has byte for byte: it was verified when it came.
    pub(super) fn leave_out_known(&mut self, table: &BundleTable, now: Timestamp) {
        for signed in mem::take(&mut self.strange) {
            if table.holds(&signed) {
                self.count_in(signed.bundle(), now);
            } else {
                self.strange.push(signed);
            }
        }
    }

    /// Verifies the others. `chains` has the chains of bundles with `x5u`.
    pub(super) fn verify(&mut self, judge: &Judge, chains: &dyn CertificateSource, now: Timestamp) {
        for signed in mem::take(&mut self.strange) {
            match judge.verify(signed, chains, now) {
                Some(bundle) => {
                    self.count_in(bundle.bundle(), now);
                    self.believed.push(bundle);
                }
                None => self.refused_count += 1,
            }
        }
    }

    /// What is left when a bundle is asked for again is a quarter.
    fn count_in(&mut self, bundle: &KeyBundle, now: Timestamp) {
        let left_s = bundle.exp_s.saturating_sub(now.as_millis() / 1000);
        self.least_left_s = self.least_left_s.min(left_s / 4 * 3);
    }
}

impl Judge {
    fn verify(
        &self,
        signed: SignedBundle,
        chains: &dyn CertificateSource,
        now: Timestamp,
    ) -> Option<VerifiedBundle> {
        let CertificateReference::Url(url) = signed.certificate() else {
            return signed.verify_inline(&self.trust, self.suite, now).ok();
        };
        let chain = chains.chain(url, now).ok()?;
        signed.verify(&chain, &self.trust, self.suite, now).ok()
    }
}
