//! The books that all judges share: keys, sessions and spent tokens, and the way of a token from its reservation to its
//! session.

use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use herald_core::{PlacementId, Random, TelephoneNumber, Timestamp};
use parking_lot::RwLock;
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

use crate::NewError;
use crate::epoch::{Epochs, IssuerKey, KeyBook, KeyError, KeysAtHand};
use crate::item_id::{ItemIds, Maker};
use crate::limits::SECRET_BYTES_MIN;
use crate::mac::{MacKey, StoreInput, Suite, tags_are_equal};
use crate::policy::{Class, ClassPolicy, Settings};
use crate::refusal::Refusal;
use crate::room::FullRooms;
use crate::session::{About, Limit, Place, Sessions, Taken};
use crate::spent::{FirstStore, SpentTokens, Standing};
use crate::wire::{Challenge, Presented, Seal, TAG_BYTES, TokenId, digest_of};

/// Who is admitted: one value for all threads of a service. Stores are judged by a [`crate::Judge`] of each thread.
pub struct Admission {
    settings: Settings,
    challenge: Challenge,
    challenge_digest: [u8; 32],
    pub(crate) epochs: Epochs,
    pub(crate) sessions: Sessions,
    pub(crate) ids: ItemIds,
    pub(crate) full: FullRooms,
    spent_secret: [u8; 32],
    books: RwLock<Books>,
    /// Raised with each change of keys: a judge whose copy is older takes a new one.
    version: AtomicU64,
}

/// What changes with the epochs. Nothing here is needed to judge a store of an open session.
struct Books {
    keys: KeyBook,
    at_hand: Arc<KeysAtHand>,
    spent: Vec<(u64, Arc<SpentTokens>)>,
}

/// Tells issuer directories of one service apart that say different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectoryState {
    version: u64,
    epoch: u64,
}

/// A token that is to be redeemed, with the first store it came with.
///
/// It goes through [`Admission::reserve`] before it waits anywhere, and ends in [`Admission::settle`] or
/// [`Admission::release`].
#[derive(Debug)]
#[must_use = "a reserved token stays reserved until it is settled or released"]
pub struct Redemption {
    token: Presented,
    token_id: TokenId,
    key: Arc<IssuerKey>,
    first_store: [u8; TAG_BYTES],
    /// Of [`Mode::Signed`], with a session that is open: only the signature is to be verified.
    session: Option<Place>,
}

impl Redemption {
    /// The token. Its public-key work is the plugin's.
    pub fn token(&self) -> &Presented {
        &self.token
    }

    /// What the plugin knows its key by.
    pub fn key_handle(&self) -> u64 {
        self.key.handle
    }

    /// Whether the plugin has to redeem it. If not, it is settled with [`Presented::proof`] as its secret.
    pub fn needs_plugin(&self) -> bool {
        self.session.is_none()
    }

    pub(crate) fn new(
        token: Presented,
        token_id: TokenId,
        key: Arc<IssuerKey>,
        first_store: [u8; TAG_BYTES],
        session: Option<Place>,
    ) -> Self {
        Self { token, token_id, key, first_store, session }
    }
}

/// What must be written down, and be safe there, before a token's first store is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpentRecord {
    /// The epoch of its key: the record goes with it.
    pub epoch: u64,
    /// The token.
    pub token_id: TokenId,
    /// Stands for the store it was spent on.
    pub first_store: [u8; TAG_BYTES],
}

/// A token that was redeemed and whose first store is genuine. Ends in [`Admission::commit`] or [`Admission::withdraw`].
#[derive(Debug)]
#[must_use = "a token that was redeemed is neither spent nor free until this is committed or withdrawn"]
pub struct Settled {
    kind: SettledKind,
    epoch: u64,
    class: Class,
    token_id: TokenId,
    first_store: [u8; TAG_BYTES],
    number: Option<TelephoneNumber>,
}

#[derive(Debug)]
enum SettledKind {
    /// A session is prepared; the first store uses this counter. Their ids are made of what its stores are sealed with.
    Session(Place, u32, [u8; TAG_BYTES]),
    /// The token is good for this one store.
    Alone,
    /// It was spent on this store, which is tried once more: it was not kept, or was before a restart.
    Again,
    /// The signature was that of an open session.
    Signed(Place, u32, Use),
}

/// What came of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// It is used now.
    Now,
    /// As well, and the token may have stored enough under the number.
    IfRoom,
    /// It was used before.
    Before,
}

impl Use {
    pub(crate) fn verdict(self, id: PlacementId) -> Verdict {
        match self {
            Self::Now => Verdict::Accept(Some(id)),
            Self::IfRoom => Verdict::AcceptIfRoom(id),
            Self::Before => Verdict::Repeat(id),
        }
    }
}

impl Settled {
    /// What must be durable before [`Admission::commit`]; nothing if it already is.
    pub fn record(&self) -> Option<SpentRecord> {
        let is_new = matches!(self.kind, SettledKind::Session(..) | SettledKind::Alone);
        let record =
            SpentRecord { epoch: self.epoch, token_id: self.token_id, first_store: self.first_store };
        is_new.then_some(record)
    }
}

/// What came of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Keep it, under this id; under any if there is none. If it cannot be kept, [`Admission::give_back`] the id.
    Accept(Option<PlacementId>),
    /// Keep it under this id if [`Admission::room`] finds room for it. If its token has none, its counter is used.
    AcceptIfRoom(PlacementId),
    /// It was accepted before, under this id: if that is live under its number, say so again, and otherwise refuse it as
    /// [`Refusal::Repeated`].
    Repeat(PlacementId),
    /// Refuse it.
    Refuse(Refusal),
}

impl Admission {
    /// The books of a service, empty. `random` gives the secrets by which tables are sorted and ids made; they live as long
    /// as the process.
    ///
    /// # Errors
    /// [`NewError`]: the first setting that is out of its bounds.
    pub fn new(settings: Settings, random: &dyn Random) -> Result<Self, NewError> {
        settings.check()?;
        let challenge = Challenge::new(settings.token_type, &settings.name)?;
        let keys = KeyBook::new(&settings);
        Ok(Self {
            challenge_digest: challenge.digest(),
            challenge,
            epochs: Epochs { length_ms: settings.epoch_ms, ahead: settings.epochs_ahead },
            sessions: Sessions::new(settings.sessions_max, settings.session_life_ms, &random.key()),
            ids: ItemIds::new(&random.key(), &random.key()),
            full: FullRooms::new(&random.key()),
            spent_secret: random.key(),
            books: RwLock::new(Books { at_hand: Arc::new(keys.at_hand()), keys, spent: Vec::new() }),
            version: AtomicU64::new(0),
            settings,
        })
    }

    /// How it admits.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What tokens must answer.
    pub fn challenge(&self) -> &Challenge {
        &self.challenge
    }

    /// SHA-256 of it.
    pub fn challenge_digest(&self) -> &[u8; 32] {
        &self.challenge_digest
    }

    /// The epoch at `now`.
    pub fn epoch_at(&self, now: Timestamp) -> u64 {
        self.epochs.at(now)
    }

    // ---- Keys ----

    /// The key that is to be made next, if one is missing.
    pub fn wanted_key(&self, now: Timestamp) -> Option<(u64, Class)> {
        self.books.read().keys.wanted(now)
    }

    /// Takes a key into the books, new or from the journal. The plugin has it under its handle before.
    ///
    /// # Errors
    /// [`KeyError`]; nothing has changed.
    pub fn add_key(&self, key: IssuerKey, now: Timestamp) -> Result<(), KeyError> {
        let mut books = self.books.write();
        books.keys.add(key, now)?;
        self.keys_changed(&mut books);
        Ok(())
    }

    /// Keys that tokens may be had of now, of the latest epoch first.
    pub fn published_keys(&self, now: Timestamp) -> Vec<Arc<IssuerKey>> {
        self.books.read().keys.published(now)
    }

    /// What the issuer directory depends on: while it is the same, so are [`published_keys`](Self::published_keys).
    pub fn directory_state(&self, now: Timestamp) -> DirectoryState {
        DirectoryState { version: self.version(), epoch: self.epoch_at(now) }
    }

    /// The key that a refusal names: of the first class, which is open to every holder, in the current epoch.
    pub fn challenge_key(&self, now: Timestamp) -> Option<Arc<IssuerKey>> {
        self.books.read().keys.of(self.epoch_at(now), Class(0))
    }

    /// The key to issue with, by what a token request says of it.
    pub fn issuing_key(&self, truncated_id: u8, now: Timestamp) -> Option<Arc<IssuerKey>> {
        self.published_keys(now).into_iter().find(|key| key.truncated_id() == truncated_id)
    }

    /// Forgets every epoch that is over: its keys, which are returned for the plugin and the journal to drop as well, its
    /// sessions and its spent tokens. To be called about once a second.
    pub fn advance(&self, now: Timestamp) -> Vec<Arc<IssuerKey>> {
        let (dropped, spent_over) = {
            let mut books = self.books.write();
            let dropped = books.keys.drop_over(now);
            if !dropped.is_empty() {
                self.keys_changed(&mut books);
            }
            let is_over = |(epoch, _): &mut (u64, _)| self.epochs.is_over(*epoch, now);
            let spent_over: Vec<_> = books.spent.extract_if(.., is_over).collect();
            (dropped, spent_over)
        };
        let is_anything_over = !dropped.is_empty() || !spent_over.is_empty();
        // Millions of ids, freed without the lock.
        drop(spent_over);
        if is_anything_over {
            self.for_parts_of_sessions(|part| self.sessions.end(part, |about| self.is_over(about, now)));
        }
        dropped
    }

    fn keys_changed(&self, books: &mut Books) {
        books.at_hand = Arc::new(books.keys.at_hand());
        // Release: pairs with the Acquire of `version`; the copy itself is behind the lock.
        self.version.fetch_add(1, Ordering::Release);
    }

    fn for_parts_of_sessions(&self, mut visit: impl FnMut(Range<usize>)) {
        const PART_SLOTS: usize = 4096;
        let count = self.sessions.slot_count();
        (0..count).step_by(PART_SLOTS).for_each(|begin| visit(begin..(begin + PART_SLOTS).min(count)));
    }

    #[inline]
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    pub(crate) fn keys_at_hand(&self) -> Arc<KeysAtHand> {
        self.books.read().at_hand.clone()
    }

    // ---- Spent tokens ----

    /// Takes a spent token from the journal into the books, before anything is judged. False if its epoch is over; those of
    /// epochs to come are taken, as the clock may be behind and be put right.
    pub fn restore(&self, record: &SpentRecord, now: Timestamp) -> bool {
        if self.epochs.is_over(record.epoch, now) {
            return false;
        }
        let spent = self.spent_in(record.epoch);
        spent.spend(record.token_id);
        spent.remember(record.token_id, record.first_store, FirstStore::Retry);
        true
    }

    /// Sessions that are held; one that is over counts for a second or so more. O(sessions there may be).
    pub fn sessions_count(&self) -> usize {
        self.sessions.held_count()
    }

    /// How many tokens of the epochs that count were spent.
    pub fn spent_count(&self) -> u64 {
        self.books.read().spent.iter().map(|(_, spent)| spent.count()).sum()
    }

    /// The spent tokens of an epoch, if it is accepted at `now`.
    fn spent_of(&self, epoch: u64, now: Timestamp) -> Option<Arc<SpentTokens>> {
        self.epochs.is_accepted(epoch, now).then(|| self.spent_in(epoch))
    }

    /// The spent tokens of an epoch, made if there are none.
    fn spent_in(&self, epoch: u64) -> Arc<SpentTokens> {
        let find =
            |books: &Books| books.spent.iter().find(|(of, _)| *of == epoch).map(|(_, spent)| spent.clone());
        if let Some(spent) = find(&self.books.read()) {
            return spent;
        }
        let mut books = self.books.write();
        if let Some(spent) = find(&books) {
            return spent;
        }
        let spent = Arc::new(SpentTokens::new(self.settings.spent_max, &self.spent_secret, self.ids));
        books.spent.push((epoch, spent.clone()));
        spent
    }

    /// What the books say of a token that has no session and is presented with a store.
    pub(crate) fn standing(
        &self,
        key: &IssuerKey,
        id: TokenId,
        first: &[u8; TAG_BYTES],
        now: Timestamp,
    ) -> Standing {
        self.spent_of(key.epoch, now).map_or(Standing::Spent, |spent| spent.standing(id, first))
    }

    // ---- From a token to its session ----

    /// Reserves a token before it waits to be redeemed, so that it is redeemed once.
    ///
    /// # Errors
    /// [`Refusal`]; the token is then settled.
    pub fn reserve(&self, redemption: &Redemption, now: Timestamp) -> Result<(), Refusal> {
        if redemption.session.is_some() {
            return Ok(());
        }
        let epoch = redemption.key.epoch;
        let spent = self.spent_of(epoch, now).ok_or(Refusal::Key)?;
        if !spent.has_room() {
            return Err(Refusal::EpochFull { retry_after_s: self.epochs.until_next_s(epoch, now) });
        }
        spent.reserve(redemption.token_id, &redemption.first_store).map_err(|standing| match standing {
            Standing::Reserved => Refusal::Redeeming,
            _ => Refusal::Spent,
        })
    }

    /// Frees a token that was reserved and not redeemed.
    pub fn release(&self, redemption: Redemption) {
        if redemption.session.is_none() {
            self.free(redemption.key.epoch, redemption.token_id);
        }
    }

    fn free(&self, epoch: u64, id: TokenId) {
        let books = self.books.read();
        if let Some((_, spent)) = books.spent.iter().find(|(of, _)| *of == epoch) {
            spent.release(id);
        }
    }

    /// Looks at the first store of a token that its plugin found valid, with the secret that this gave. The session is
    /// prepared and not open yet.
    ///
    /// # Errors
    /// [`Refusal`]: the token is free again. A wrong MAC or signature spends nothing.
    pub fn settle(
        &self,
        redemption: Redemption,
        secret: &[u8],
        number: Option<TelephoneNumber>,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Settled, Refusal> {
        match self.settled(&redemption, secret, number, body, now) {
            Ok(kind) => Ok(Settled {
                kind,
                epoch: redemption.key.epoch,
                class: redemption.key.class,
                token_id: redemption.token_id,
                first_store: redemption.first_store,
                number,
            }),
            Err(refusal) => {
                self.release(redemption);
                Err(refusal)
            }
        }
    }

    fn settled(
        &self,
        redemption: &Redemption,
        secret: &[u8],
        number: Option<TelephoneNumber>,
        body: &[u8],
        now: Timestamp,
    ) -> Result<SettledKind, Refusal> {
        let Redemption { token, token_id, key, first_store, session } = redemption;
        let spent = self.spent_of(key.epoch, now).ok_or(Refusal::Key)?;
        let policy = self.policy(key.class).ok_or(Refusal::Key)?;
        if token.counter >= policy.stores {
            return Err(Refusal::Used);
        }
        let store = StoreInput { key_id: &key.id, token_id: *token_id, counter: token.counter, number, body };
        let mac_key = self.verify(token, secret, &store)?;
        if let Some(place) = session {
            return self.take_signed(*place, token.counter, policy, number);
        }
        if spent.first_store(*token_id, first_store) == Some(FirstStore::Retry) {
            return Ok(SettledKind::Again);
        }
        let Some(mac_key) = mac_key else { return Ok(SettledKind::Alone) };
        // The low bits of the epoch tell it from the two others that are accepted.
        let about =
            About { opened_s: seconds(now), epoch: key.epoch as u16, class: key.class, mode: token.mode() };
        let place = self.sessions.prepare(*token_id, &mac_key, about, |about| self.is_over(about, now));
        let retry_after_s = u32::try_from(self.settings.session_life_ms.div_ceil(1000)).unwrap_or(u32::MAX);
        let place = place.ok_or(Refusal::SessionsFull { retry_after_s })?;
        if let Some(number) = number {
            self.sessions.count_number(place, number);
        }
        // As a store of the open session has it, which may be this one once more.
        let seal = if let Seal::Mac(_, tag) = &token.seal { tag } else { first_store };
        Ok(SettledKind::Session(place, token.counter, *seal))
    }

    /// Whether the store is of who has the token. Gives the key of the session that it opens, if it opens one.
    fn verify(
        &self,
        token: &Presented,
        secret: &[u8],
        store: &StoreInput<'_>,
    ) -> Result<Option<MacKey>, Refusal> {
        match &token.seal {
            Seal::Bearer => Ok(None),
            Seal::Mac(..) if secret.len() < SECRET_BYTES_MIN => Err(Refusal::Unavailable),
            Seal::Mac(_, tag) => {
                let mac_key = MacKey::derive(secret, &token.input);
                let is_genuine = tags_are_equal(tag, &mac_key.tag(self.settings.suite, store));
                if is_genuine { Ok(Some(mac_key)) } else { Err(Refusal::Proof) }
            }
            Seal::Signature(signature) => {
                let signer = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, secret);
                let verified = signer.verify(&store.to_bytes(), signature);
                verified.map(|()| Some(MacKey::none())).map_err(|_| Refusal::Proof)
            }
        }
    }

    fn take_signed(
        &self,
        place: Place,
        counter: u32,
        policy: &ClassPolicy,
        number: Option<TelephoneNumber>,
    ) -> Result<SettledKind, Refusal> {
        Ok(SettledKind::Signed(place, counter, self.take(place, counter, policy, number)?))
    }

    /// Uses a counter of a session for a store under a number.
    #[inline]
    pub(crate) fn take(
        &self,
        place: Place,
        counter: u32,
        policy: &ClassPolicy,
        number: Option<TelephoneNumber>,
    ) -> Result<Use, Refusal> {
        match self.sessions.take(place, counter, limit_of(policy)) {
            Taken::Now => {}
            Taken::Before => return Ok(Use::Before),
            Taken::Beyond => return Err(Refusal::Used),
            Taken::Gone => return Err(Refusal::NoSession),
        }
        match number {
            Some(number) if policy.counts_numbers() => {
                let nth = self.sessions.count_number(place, number);
                Ok(if policy.may_be_beyond(nth) { Use::IfRoom } else { Use::Now })
            }
            _ => Ok(Use::Now),
        }
    }

    /// Spends a token and opens its session; its record is durable. The verdict is that on its first store.
    pub fn commit(&self, settled: Settled) -> Verdict {
        let Settled { kind, epoch, class, token_id, first_store, number } = settled;
        let id = |place: Place, counter, seal: &_| self.ids.id(place.origin(class, counter), seal, number);
        if let SettledKind::Signed(place, counter, use_) = kind {
            return use_.verdict(id(place, counter, &first_store));
        }
        // Shown before it is spent, so that a spent token has its session. Without books the epoch is over and nobody can
        // present the token again.
        let verdict = match kind {
            SettledKind::Session(place, counter, seal) => {
                let place = self.sessions.publish(place, counter);
                Verdict::Accept(place.map(|place| id(place, counter, &seal)))
            }
            _ => Verdict::Accept(Some(self.ids.id_of_alone(class, token_id, number))),
        };
        let spent =
            self.books.read().spent.iter().find(|(of, _)| *of == epoch).map(|(_, spent)| spent.clone());
        if let Some(spent) = &spent {
            if matches!(kind, SettledKind::Alone | SettledKind::Again) {
                spent.remember(token_id, first_store, FirstStore::Alone);
            }
            spent.spend(token_id);
        }
        verdict
    }

    /// Frees a token whose record could not be made durable.
    pub fn withdraw(&self, settled: Settled) {
        match settled.kind {
            SettledKind::Session(place, ..) => self.sessions.cancel(place),
            SettledKind::Signed(_, _, Use::Before) => return,
            SettledKind::Signed(place, counter, _) => {
                self.sessions.give_back(place, counter);
                return;
            }
            SettledKind::Alone | SettledKind::Again => {}
        }
        self.free(settled.epoch, settled.token_id);
    }

    // ---- Afterwards ----

    /// Gives back what a store under a number used that was accepted and could then not be kept: its counter, or its token
    /// for exactly this store.
    pub fn give_back(&self, id: PlacementId, number: TelephoneNumber) {
        match self.ids.maker(id, number) {
            Some(Maker::Session(origin)) => {
                self.sessions.give_back(origin.into(), u32::from(origin.counter));
            }
            Some(Maker::Token(_, name)) => {
                self.books.read().spent.iter().for_each(|(_, spent)| spent.let_retry(name));
            }
            None => {}
        }
    }

    /// Charges the session that stored an item under a number for a report that it is bogus (RFC 8816 §7.5), while it
    /// lives. An item of another number charges nobody. Nothing is kept that would link them afterwards. The caller has
    /// seen that who reports has authority over the number, and answers the same whether there was anybody to charge.
    pub fn report(&self, id: PlacementId, number: TelephoneNumber) -> bool {
        match self.ids.maker(id, number) {
            Some(Maker::Session(origin)) => self.sessions.report(origin.into()),
            _ => false,
        }
    }

    pub(crate) fn policy(&self, class: Class) -> Option<&ClassPolicy> {
        self.settings.classes.get(usize::from(class.0))
    }

    fn is_over(&self, about: About, now: Timestamp) -> bool {
        self.epochs.accepted_of_low(about.epoch, now).is_none()
    }
}

fn limit_of(policy: &ClassPolicy) -> Limit {
    Limit { stores: policy.stores, report_costs: policy.report_costs }
}

/// What stands for a store in the books of spent tokens: nobody can make another of which it also holds. A tag of HMAC does,
/// and a digest of the store where a tag does not bind even who has the key (GMAC's) or there is none.
pub(crate) fn first_store(
    token: &Presented,
    suite: Suite,
    number: Option<TelephoneNumber>,
    body: &[u8],
) -> [u8; TAG_BYTES] {
    const LABEL: &[u8] = b"herald-first-store";
    let number = number.map_or(0, TelephoneNumber::to_bits).to_be_bytes();
    let id = token.input.id();
    let hash = match &token.seal {
        Seal::Mac(_, tag) if suite == Suite::HmacSha256 => return *tag,
        Seal::Mac(_, tag) => digest_of(&[LABEL, &id.0, tag, &token.counter.to_be_bytes(), &number, body]),
        Seal::Bearer => digest_of(&[LABEL, &id.0, &number, body]),
        Seal::Signature(signature) => digest_of(&[LABEL, signature]),
    };
    core::array::from_fn(|index| hash[index])
}

pub(crate) fn seconds(now: Timestamp) -> u32 {
    u32::try_from(now.as_millis() / 1000).unwrap_or(u32::MAX)
}
