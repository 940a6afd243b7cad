//! A service that admits by tokens: books, plugin, log, and one thread that works.

use std::sync::Arc;

use herald_admission::{Admission, ContinuedStore, Credential, Judge, Judgement, Redemption, Suite, Verdict};
use herald_core::batch::{CREDENTIAL_BYTES, Outcome};
use herald_core::limits::STORES_TOGETHER;
use herald_core::{
    CoverSchedule, CoverSecret, Gate, GatedStore, Passage, PlacementId, Problem, Retention, Room, Service,
    TelephoneNumber, Timestamp, X25519Suite,
};
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
    results: Vec<Result<PlacementId, Problem>>,
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
    /// Which of them were genuine.
    pub(crate) fn redeem(&mut self, waiting: Vec<Waiting>, bodies: &[Vec<u8>]) -> Vec<bool> {
        let secrets = {
            let redemptions: Vec<_> = waiting.iter().map(|waiting| &waiting.redemption).collect();
            self.scheme.redeem(&redemptions)
        };
        let (mut admitted, mut good) = (Vec::with_capacity(waiting.len()), vec![false; waiting.len()]);
        for ((waiting, secret), good) in waiting.into_iter().zip(secrets).zip(&mut good) {
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
                *good = true;
            }
        }
        assert_eq!(self.keep(&admitted), admitted.len(), "there is room");
        good
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
            let good = self.redeem(core::mem::replace(&mut waiting, rest), bodies);
            kept += good.into_iter().filter(|good| *good).count();
        }
        kept
    }

    /// Judges a batch and nothing more. How many may be kept, if there is room.
    pub(crate) fn judge(&mut self, stores: &[ContinuedStore<'_>]) -> usize {
        self.verdicts.clear();
        self.judge.judge_batch(stores, NOW, &mut self.verdicts);
        let may_be_kept =
            |verdict: &&Verdict| matches!(verdict, Verdict::Accept(_) | Verdict::AcceptIfRoom(_));
        self.verdicts.iter().filter(may_be_kept).count()
    }

    /// Keeps what was judged last, as the gate of a reactor has it kept.
    pub(crate) fn keep_judged(&mut self, stores: &[ContinuedStore<'_>]) -> usize {
        let mut kept = Vec::with_capacity(stores.len());
        let mut gate = Judged { admission: &self.admission, verdicts: &self.verdicts };
        for (stores, verdicts) in stores.chunks(STORES_TOGETHER).zip(self.verdicts.chunks(STORES_TOGETHER)) {
            gate.verdicts = verdicts;
            let gated: Vec<_> = stores
                .iter()
                .filter_map(|store| {
                    Some(GatedStore { credential: &NOBODY, number: store.number?, body: store.body })
                })
                .collect();
            self.service.store_gated(&mut self.log, &mut gate, &gated, NOW, &mut kept);
        }
        kept.iter().filter(|result| result.is_ok()).count()
    }

    fn keep(&mut self, admitted: &[(TelephoneNumber, &[u8])]) -> usize {
        self.service.store_batch(&mut self.log, admitted, NOW, &mut self.results);
        self.results.iter().filter(|result| result.is_ok()).count()
    }
}

/// What stores were let in with is judged already.
const NOBODY: [u8; CREDENTIAL_BYTES] = [0; CREDENTIAL_BYTES];

/// The gate of a reactor, behind its judgement.
struct Judged<'a> {
    admission: &'a Admission,
    verdicts: &'a [Verdict],
}

impl Gate for Judged<'_> {
    fn judge(&mut self, _: &[GatedStore<'_>], _: Timestamp, passages: &mut Vec<Passage>) {
        passages.extend(self.verdicts.iter().map(|verdict| match verdict {
            Verdict::Accept(id) => Passage::In(*id),
            Verdict::AcceptIfRoom(id) => Passage::InIfRoom(*id),
            Verdict::Repeat(id) => Passage::Again(*id),
            Verdict::Refuse(_) => Passage::Out(Outcome::NoSession),
        }));
    }

    fn give_back(&mut self, id: PlacementId, number: TelephoneNumber) {
        self.admission.give_back(id, number);
    }

    fn uncontested(&self) -> u32 {
        self.admission.uncontested()
    }

    fn room(
        &self,
        store: (PlacementId, TelephoneNumber),
        live: &mut dyn FnMut() -> Vec<PlacementId>,
        room: u32,
        now: Timestamp,
    ) -> Room {
        self.admission.room(store, live, room, now)
    }
}
