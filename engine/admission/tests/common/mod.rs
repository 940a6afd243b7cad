//! A service with a toy scheme of tokens, and clients of it.

#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use herald_admission::{
    Admission, Class, Continued, Credential, IssuerKey, Judge, Judgement, MacKey, Mode, Presented,
    Redemption, Refusal, Seal, Settings, SpentRecord, StoreInput, Suite, TokenId, TokenInput, Verdict,
};
use herald_core::{Gate, GatedStore, Passage, PlacementId, Random, Room, TelephoneNumber, Timestamp};
use ring::digest::{SHA256, digest};

pub(crate) const NAME: &str = "cps.example";
pub(crate) const TYPE: u16 = 5;
pub(crate) const EPOCH_MS: u64 = 600_000;
pub(crate) const START: Timestamp = Timestamp::from_millis(1_000 * EPOCH_MS);
pub(crate) const HANDSET: Class = Class(0);
pub(crate) const GATEWAY: Class = Class(1);
pub(crate) const BODY: &[u8] = &[7; 640];

/// Randomness that replays.
#[derive(Default)]
pub(crate) struct Seeded(AtomicU64);

impl Random for Seeded {
    fn fill(&self, out: &mut [u8]) {
        for chunk in out.chunks_mut(32) {
            let count = self.0.fetch_add(1, Ordering::Relaxed);
            let bytes = digest(&SHA256, &[&b"seeded"[..], &count.to_le_bytes()].concat());
            chunk.copy_from_slice(&bytes.as_ref()[..chunk.len()]);
        }
    }
}

pub(crate) fn settings() -> Settings {
    let modes = [Mode::Bearer, Mode::Withheld, Mode::Committed, Mode::Agreed, Mode::Signed];
    Settings {
        epoch_ms: EPOCH_MS,
        epochs_ahead: 2,
        sessions_max: 4096,
        ..Settings::new(NAME, TYPE, modes.iter().fold(0, |modes, mode| modes | mode.code()))
    }
}

pub(crate) fn number(index: u64) -> TelephoneNumber {
    format!("1222555{index:04}").parse().unwrap()
}

pub(crate) fn issuer_key(epoch: u64, class: Class) -> IssuerKey {
    let public_key = [&epoch.to_be_bytes()[..], &[class.0]].concat();
    let mut id: [u8; 32] = digest(&SHA256, &public_key).as_ref().try_into().unwrap();
    // Truncated ids differ.
    id[31] = u8::try_from(epoch % 64 * 3).unwrap() + class.0;
    IssuerKey {
        epoch,
        class,
        id,
        handle: epoch * 8 + u64::from(class.0),
        public_key,
        agreement_key: Vec::new(),
    }
}

/// A service with keys for the epochs from the one before `now` on.
pub(crate) fn service_with(settings: Settings, now: Timestamp) -> Arc<Admission> {
    let admission = Admission::new(settings, &Seeded::default()).unwrap();
    let previous = admission.epoch_at(now) - 1;
    for class in 0..admission.settings().classes.len() {
        admission.add_key(issuer_key(previous, Class(u8::try_from(class).unwrap())), now).unwrap();
    }
    while let Some((epoch, class)) = admission.wanted_key(now) {
        admission.add_key(issuer_key(epoch, class), now).unwrap();
    }
    Arc::new(admission)
}

pub(crate) fn service() -> Arc<Admission> {
    service_with(settings(), START)
}

/// What a plugin would give for a token: the toy scheme's secret of it, 32 bytes.
pub(crate) fn secret_of(input: &TokenInput) -> Vec<u8> {
    digest(&SHA256, &[&b"toy"[..], &input.0].concat()).as_ref().to_vec()
}

/// The holder of one token.
#[derive(Clone)]
pub(crate) struct Holder {
    pub(crate) input: TokenInput,
    pub(crate) suite: Suite,
    pub(crate) mode: Mode,
    pub(crate) key: MacKey,
}

impl Holder {
    pub(crate) fn new(index: u64, epoch: u64, class: Class) -> Self {
        Self::of(&service_digest(NAME, TYPE), TYPE, index, epoch, class)
    }

    pub(crate) fn of(challenge: &[u8; 32], token_type: u16, index: u64, epoch: u64, class: Class) -> Self {
        let mut input = [0; 98];
        input[..2].copy_from_slice(&token_type.to_be_bytes());
        input[2..34].copy_from_slice(digest(&SHA256, &index.to_be_bytes()).as_ref());
        input[34..66].copy_from_slice(challenge);
        input[66..].copy_from_slice(&issuer_key(epoch, class).id);
        let input = TokenInput(input);
        let key = MacKey::derive(&secret_of(&input), &input);
        Self { input, suite: Suite::default(), mode: Mode::Withheld, key }
    }

    /// One of the current epoch at the start.
    pub(crate) fn now(index: u64, class: Class) -> Self {
        Self::new(index, START.as_millis() / EPOCH_MS, class)
    }

    pub(crate) fn id(&self) -> TokenId {
        self.input.id()
    }

    pub(crate) fn tag(&self, counter: u32, number: Option<TelephoneNumber>, body: &[u8]) -> [u8; 16] {
        let (key_id, token_id) = (self.input.key_id(), self.id());
        self.key.tag(self.suite, &StoreInput { key_id, token_id, counter, number, body })
    }

    pub(crate) fn opening(&self, counter: u32, number: Option<TelephoneNumber>, body: &[u8]) -> Credential {
        let (authenticator, proof) = match self.mode {
            Mode::Withheld => (Vec::new(), Vec::new()),
            _ => (vec![1; 64], vec![2; 32]),
        };
        let seal = Seal::Mac(self.mode, self.tag(counter, number, body));
        Credential::Presented(Box::new(Presented { input: self.input, authenticator, proof, counter, seal }))
    }

    pub(crate) fn continued(&self, counter: u32, number: TelephoneNumber, body: &[u8]) -> Credential {
        Credential::Continued(self.continuing(counter, number, body))
    }

    pub(crate) fn continuing(&self, counter: u32, number: TelephoneNumber, body: &[u8]) -> Continued {
        Continued { token_id: self.id(), counter, tag: self.tag(counter, Some(number), body) }
    }
}

pub(crate) fn service_digest(name: &str, token_type: u16) -> [u8; 32] {
    herald_admission::Challenge::new(token_type, name).unwrap().digest()
}

/// What the engine does with a token that is to be redeemed, with a plugin that finds it valid. Gives what the journal
/// keeps.
pub(crate) fn redeem(
    admission: &Admission,
    redemption: Redemption,
    number: Option<TelephoneNumber>,
    body: &[u8],
    now: Timestamp,
) -> (Verdict, Option<SpentRecord>) {
    if let Err(refusal) = admission.reserve(&redemption, now) {
        return (Verdict::Refuse(refusal), None);
    }
    let secret = secret_of(&redemption.token().input);
    match admission.settle(redemption, &secret, number, body, now) {
        Ok(settled) => {
            let record = settled.record();
            (admission.commit(settled), record)
        }
        Err(refusal) => (Verdict::Refuse(refusal), None),
    }
}

/// A store from its credential to its verdict.
pub(crate) fn store(
    judge: &mut Judge,
    credential: &Credential,
    number: TelephoneNumber,
    body: &[u8],
    now: Timestamp,
) -> Verdict {
    match judge.judge(credential.clone(), Some(number), body, now) {
        Judgement::Verdict(verdict) => verdict,
        Judgement::Redeem(redemption) => {
            let admission = judge.admission().clone();
            redeem(&admission, *redemption, Some(number), body, now).0
        }
    }
}

pub(crate) fn is_accepted(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Accept(_))
}

#[track_caller]
pub(crate) fn assert_refused(verdict: Verdict, refusal: Refusal) {
    assert_eq!(verdict, Verdict::Refuse(refusal));
}

/// What the gate of a reactor asks the books.
pub(crate) struct Rooms(pub(crate) Arc<Admission>);

impl Gate for Rooms {
    fn judge(&mut self, _: &[GatedStore<'_>], _: Timestamp, _: &mut Vec<Passage>) {}

    fn give_back(&mut self, id: PlacementId, number: TelephoneNumber) {
        self.0.give_back(id, number);
    }

    fn uncontested(&self) -> u32 {
        self.0.uncontested()
    }

    fn room(
        &self,
        store: (PlacementId, TelephoneNumber),
        live: &mut dyn FnMut() -> Vec<PlacementId>,
        room: u32,
        now: Timestamp,
    ) -> Room {
        self.0.room(store, live, room, now)
    }
}
