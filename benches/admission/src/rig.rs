//! A service that admits by tokens: books, plugin, log, and one thread that works.

use std::sync::Arc;

use herald_admission::{Admission, ContinuedStore, Credential, Judge, Judgement, Redemption, Suite, Verdict};
use herald_core::{CoverSchedule, CoverSecret, Retention, Service, TelephoneNumber, X25519Suite};
use herald_log::{LogConfig, LogHandle, PlacementLog};

use crate::client::Opening;
use crate::limits::{ARENA_BYTES, REDEEMED_TOGETHER, SEGMENT_BYTES};
use crate::scheme::{AnyError, NOW, Repeated, Scheme};

/// The service.
pub(crate) struct Rig<'a> {
    scheme: &'a Scheme,
    admission: Arc<Admission>,
    judge: Judge,
    service: Service,
    log: LogHandle,
    verdicts: Vec<Verdict>,
    results: Vec<Result<herald_core::PlacementId, herald_core::Problem>>,
}

/// A token that is to be redeemed, with the store it came with.
pub(crate) struct Waiting {
    redemption: Redemption,
    number: TelephoneNumber,
    body: usize,
}

impl<'a> Rig<'a> {
    pub(crate) fn new(scheme: &'a Scheme, suite: Suite, stores: u32) -> Result<Self, AnyError> {
        let admission = Arc::new(scheme.books(suite, stores)?);
        let log = PlacementLog::create(LogConfig {
            arena_bytes: ARENA_BYTES,
            segment_bytes: SEGMENT_BYTES,
            hash_key: [7; 32],
            handles_max: 1,
        })?;
        let retention = Retention::default();
        let secret = CoverSecret::generate(&Repeated, retention, NOW);
        let cover = CoverSchedule::new(secret, retention, Box::new(X25519Suite));
        Ok(Self {
            scheme,
            judge: Judge::new(admission.clone()),
            admission,
            service: Service::new(cover, &Repeated),
            log: log.handle()?,
            verdicts: Vec::new(),
            results: Vec::new(),
        })
    }

    /// Judges a token as far as that goes without its plugin. None if it is refused or goes no further, as where
    /// there is no room for it to wait.
    pub(crate) fn present(
        &mut self,
        credential: Credential,
        number: TelephoneNumber,
        body: usize,
        bodies: &[Vec<u8>],
        is_room: bool,
    ) -> Option<Waiting> {
        let judgement = self.judge.judge(credential, Some(number), &bodies[body], NOW);
        let Judgement::Redeem(redemption) = judgement else { return None };
        if !is_room {
            return None;
        }
        self.admission.reserve(&redemption, NOW).ok()?;
        Some(Waiting { redemption: *redemption, number, body })
    }

    /// Frees a token for which the queue has no place.
    pub(crate) fn turn_away(&self, waiting: Waiting) {
        self.admission.release(waiting.redemption);
    }

    /// Redeems tokens and opens their sessions, their records taken for durable; keeps the stores of the genuine ones.
    /// How many those were.
    pub(crate) fn redeem(&mut self, waiting: Vec<Waiting>, bodies: &[Vec<u8>]) -> usize {
        let secrets = {
            let redemptions: Vec<_> = waiting.iter().map(|waiting| &waiting.redemption).collect();
            self.scheme.redeem(&redemptions)
        };
        let mut admitted = Vec::with_capacity(waiting.len());
        for (waiting, secret) in waiting.into_iter().zip(secrets) {
            let Waiting { redemption, number, body } = waiting;
            let Some(secret) = secret else {
                self.admission.release(redemption);
                continue;
            };
            let settled = self.admission.settle(redemption, &secret, Some(number), &bodies[body], NOW);
            if let Ok(settled) = settled
                && let Verdict::Accept(_) = self.admission.commit(settled)
            {
                admitted.push((number, bodies[body].as_slice()));
            }
        }
        self.keep(&admitted)
    }

    /// What the plugin alone does for these openings.
    pub(crate) fn redeem_alone(&mut self, openings: Vec<Waiting>) -> Vec<Waiting> {
        for part in openings.chunks(REDEEMED_TOGETHER) {
            let redemptions: Vec<_> = part.iter().map(|waiting| &waiting.redemption).collect();
            let valid = self.scheme.redeem(&redemptions);
            assert!(valid.iter().all(Option::is_some), "all are genuine");
        }
        openings
    }

    /// The whole way of tokens and their first stores.
    pub(crate) fn open(&mut self, openings: Vec<Opening>, bodies: &[Vec<u8>]) -> usize {
        let mut waiting = Vec::with_capacity(openings.len());
        for Opening { credential, number, body } in openings {
            waiting.extend(self.present(credential, number, body, bodies, true));
        }
        let mut kept = 0;
        while !waiting.is_empty() {
            let rest = waiting.split_off(waiting.len().min(REDEEMED_TOGETHER));
            kept += self.redeem(core::mem::replace(&mut waiting, rest), bodies);
        }
        kept
    }

    /// Judges a batch and nothing more. How many may be kept.
    pub(crate) fn judge(&mut self, stores: &[ContinuedStore<'_>]) -> usize {
        self.verdicts.clear();
        self.judge.judge_batch(stores, NOW, &mut self.verdicts);
        self.verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Accept(_))).count()
    }

    /// Keeps what was judged last.
    pub(crate) fn keep_judged(&mut self, stores: &[ContinuedStore<'_>]) -> usize {
        let admitted: Vec<_> = stores
            .iter()
            .zip(&self.verdicts)
            .filter(|(_, verdict)| matches!(verdict, Verdict::Accept(_)))
            .filter_map(|(store, _)| Some((store.number?, store.body)))
            .collect();
        self.keep(&admitted)
    }

    fn keep(&mut self, admitted: &[(TelephoneNumber, &[u8])]) -> usize {
        self.service.store_batch(&mut self.log, admitted, NOW, &mut self.results);
        self.results.iter().filter(|result| result.is_ok()).count()
    }
}
