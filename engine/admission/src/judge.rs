//! Judging stores: what each thread does with the books.
//!
//! A store of an open session costs a look into the table, a MAC and one exchange of a word: no lock, no allocation, no
//! system call. The order of checks is that of DESIGN §5: sessions, then spent tokens, and only then public-key work, which
//! is handed out.

use std::sync::Arc;

use herald_core::{TelephoneNumber, Timestamp};

use crate::admission::{Admission, Redemption, Verdict, first_store, seconds};
use crate::epoch::KeysAtHand;
use crate::limits::JUDGED_TOGETHER;
use crate::mac::{StoreInput, tags_are_equal};
use crate::policy::{Class, ClassPolicy};
use crate::ready::ReadyKeys;
use crate::refusal::Refusal;
use crate::session::Session;
use crate::spent::{FirstStore, Standing};
use crate::wire::{Continued, Credential, Mode, Presented, Seal, commits_to};

/// A store of an open session, as batches bring them.
#[derive(Clone, Copy, Debug)]
pub struct ContinuedStore<'a> {
    /// With what it is authorised.
    pub continued: Continued,
    /// The called number; none where a session is opened or looked at without a store.
    pub number: Option<TelephoneNumber>,
    /// The sealed PASSporT.
    pub body: &'a [u8],
}

/// What is to be done with a store.
#[derive(Debug)]
pub enum Judgement {
    /// This.
    Verdict(Verdict),
    /// Its token must be redeemed first.
    Redeem(Box<Redemption>),
}

impl From<Refusal> for Judgement {
    fn from(refusal: Refusal) -> Self {
        Self::Verdict(Verdict::Refuse(refusal))
    }
}

/// Judges the stores of one thread.
pub struct Judge {
    admission: Arc<Admission>,
    keys: Arc<KeysAtHand>,
    version: u64,
    ready: ReadyKeys,
    scratch: Vec<u8>,
}

impl Judge {
    /// A judge by these books.
    pub fn new(admission: Arc<Admission>) -> Self {
        Self {
            version: admission.version(),
            keys: admission.keys_at_hand(),
            ready: ReadyKeys::new(admission.settings().suite),
            admission,
            scratch: Vec::new(),
        }
    }

    /// The books.
    pub fn admission(&self) -> &Arc<Admission> {
        &self.admission
    }

    /// Gives up what belongs to epochs that are over. A thread that judges nothing keeps it until it does again.
    fn forget(&mut self) {
        let version = self.admission.version();
        if version != self.version {
            self.version = version;
            self.keys = self.admission.keys_at_hand();
            self.ready.forget();
        }
    }

    /// Judges one store.
    pub fn judge(
        &mut self,
        credential: Credential,
        number: Option<TelephoneNumber>,
        body: &[u8],
        now: Timestamp,
    ) -> Judgement {
        match credential {
            Credential::Continued(continued) => {
                Judgement::Verdict(self.judge_continued(&ContinuedStore { continued, number, body }, now))
            }
            Credential::Presented(token) => self.judge_presented(*token, number, body, now),
        }
    }

    /// Judges one store of an open session.
    pub fn judge_continued(&mut self, store: &ContinuedStore<'_>, now: Timestamp) -> Verdict {
        self.forget();
        let mut found = [None];
        self.admission.sessions.find(&[store.continued.token_id], seconds(now), &mut found);
        self.verdict(found[0].as_ref(), store, now)
    }

    /// Judges stores of open sessions, each verdict behind those that are in `verdicts`. What is known of several sessions
    /// is fetched from memory together.
    pub fn judge_batch(
        &mut self,
        stores: &[ContinuedStore<'_>],
        now: Timestamp,
        verdicts: &mut Vec<Verdict>,
    ) {
        self.forget();
        for part in stores.chunks(JUDGED_TOGETHER) {
            let mut ids = [part[0].continued.token_id; JUDGED_TOGETHER];
            ids.iter_mut().zip(part).for_each(|(id, store)| *id = store.continued.token_id);
            let mut found = [const { None }; JUDGED_TOGETHER];
            self.admission.sessions.find(&ids[..part.len()], seconds(now), &mut found);
            for session in found.iter().flatten().filter(|session| self.counts_numbers(session.about.class)) {
                self.admission.sessions.fetch_numbers(session.place);
            }
            for (store, session) in part.iter().zip(&found) {
                verdicts.push(self.verdict(session.as_ref(), store, now));
            }
        }
    }

    #[inline]
    fn verdict(&mut self, session: Option<&Session>, store: &ContinuedStore<'_>, now: Timestamp) -> Verdict {
        match session {
            Some(session) if session.about.mode == Mode::Signed => Verdict::Refuse(Refusal::Scheme),
            Some(session) => self.of_session(session, store, now),
            None => Verdict::Refuse(Refusal::NoSession),
        }
    }

    fn of_session(&mut self, session: &Session, store: &ContinuedStore<'_>, now: Timestamp) -> Verdict {
        let Continued { token_id, counter, tag } = store.continued;
        let class = session.about.class;
        let epoch = self.admission.epochs.accepted_of_low(session.about.epoch, now);
        let key_id = epoch.and_then(|epoch| self.keys.id_of(epoch, class));
        let (Some(key_id), Some(policy)) = (key_id, self.admission.policy(class)) else {
            return Verdict::Refuse(Refusal::NoSession);
        };
        let input = StoreInput { key_id, token_id, counter, number: store.number, body: store.body };
        let key = self.ready.of(session.place, &session.key);
        if !tags_are_equal(&tag, &key.tag(&input, &mut self.scratch)) {
            return Verdict::Refuse(Refusal::Proof);
        }
        let id = || self.admission.ids.id(session.place.origin(class, counter), &tag, store.number);
        match self.admission.take(session.place, counter, policy, store.number) {
            Ok(use_) => use_.verdict(id()),
            Err(refusal) => Verdict::Refuse(refusal),
        }
    }

    fn judge_presented(
        &mut self,
        token: Presented,
        number: Option<TelephoneNumber>,
        body: &[u8],
        now: Timestamp,
    ) -> Judgement {
        self.forget();
        let (settings, mode) = (self.admission.settings(), token.mode());
        if token.input.token_type() != settings.token_type || settings.modes & mode.code() == 0 {
            return Refusal::Scheme.into();
        }
        if token.input.challenge_digest() != self.admission.challenge_digest() {
            return Refusal::Service.into();
        }
        let key = self.keys.by_id.get(token.input.key_id());
        let Some(key) = key.filter(|key| self.admission.epochs.is_accepted(key.epoch, now)).cloned() else {
            return Refusal::Key.into();
        };
        if token.counter >= self.stores_of(key.class) {
            return Refusal::Used.into();
        }
        let token_id = token.input.id();
        let mut found = [None];
        self.admission.sessions.find(&[token_id], seconds(now), &mut found);
        let first_store = first_store(&token, settings.suite, number, body);
        match (&found[0], token.seal) {
            (Some(session), _) if session.about.mode != mode => Refusal::Spent.into(),
            (Some(session), Seal::Mac(_, tag)) => {
                let continued = Continued { token_id, counter: token.counter, tag };
                let store = ContinuedStore { continued, number, body };
                Judgement::Verdict(self.of_session(session, &store, now))
            }
            // Of a session by its nonce: the key that the proof shows is the one whose token was redeemed.
            (Some(session), _) if commits_to(token.input.nonce(), &token.proof) => {
                let place = session.place;
                Judgement::Redeem(Box::new(Redemption::new(token, token_id, key, first_store, Some(place))))
            }
            (Some(_), _) => Refusal::Proof.into(),
            (None, _) => match self.admission.standing(&key, token_id, &first_store, now) {
                Standing::Fresh if !self.admission.epochs.opens(key.epoch, now) => Refusal::Key.into(),
                Standing::Fresh | Standing::SpentOnThis(FirstStore::Retry) => {
                    Judgement::Redeem(Box::new(Redemption::new(token, token_id, key, first_store, None)))
                }
                Standing::SpentOnThis(FirstStore::Alone) => {
                    let id = self.admission.ids.id_of_alone(key.class, token_id, number);
                    Judgement::Verdict(Verdict::Repeat(id))
                }
                Standing::Reserved => Refusal::Redeeming.into(),
                Standing::Spent => Refusal::Spent.into(),
            },
        }
    }

    #[inline]
    fn counts_numbers(&self, class: Class) -> bool {
        self.admission.policy(class).is_some_and(ClassPolicy::counts_numbers)
    }

    fn stores_of(&self, class: Class) -> u32 {
        self.admission.policy(class).map_or(0, |policy| policy.stores)
    }
}
