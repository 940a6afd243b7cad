//! The authentication service (RFC 8816 §8.1): signs a call's PASSporT, seals a copy for every key of the called side
//! and stores them, so that the call may go out. It does not know the host's callers: that the originator may claim
//! the number (step 2) is the host's word, which the attestation carries.

use core::fmt;
use std::sync::Arc;

use herald_core::{Random, TelephoneNumber, Timestamp};

use super::delivery::{Delivery, DeliveryFault, Discoveries, PlacedCopy};
use super::io::{Answer, Ask, Machine, Moment, Ticket, Tickets, Turn};
use crate::certificate::{Authority, CertificateChain, TrustStore};
use crate::error::{Fault, StirError};
use crate::es256::SigningKey;
use crate::limits::PLACE_DEADLINE_DEFAULT_MS;
use crate::passport::{Attestation, CertificateReference, Claims, Identity};

/// A signer's key with the certificate that goes with it.
#[derive(Clone, Debug)]
pub struct Credential {
    key: SigningKey,
    reference: CertificateReference,
    /// `None` if the host vouches for it.
    chain: Option<Arc<CertificateChain>>,
}

impl Credential {
    /// The credential of `key`, whose PASSporTs carry `reference`: a URL that serves `chain_pem`, or the chain itself.
    ///
    /// # Errors
    /// [`Fault::SignerKey`] if the signer's certificate is not for `key`; another of the stage cert if the chain
    /// cannot be read, or is not in the order that strict verifiers demand.
    pub fn new(key: SigningKey, reference: CertificateReference, chain_pem: &[u8]) -> Result<Self, Fault> {
        let chain = CertificateChain::from_pem(chain_pem)?;
        if !chain.is_in_order() {
            return Err(Fault::ChainOrder);
        }
        if *chain.signer_key()? != key.verifying_key() {
            return Err(Fault::SignerKey);
        }
        Ok(Self { key, reference, chain: Some(Arc::new(chain)) })
    }

    /// The credential of `key` whose chain is not at hand: that it belongs to the key and stands for the callers is the
    /// host's word.
    pub const fn vouched_for(key: SigningKey, reference: CertificateReference) -> Self {
        Self { key, reference, chain: None }
    }

    /// Signs `claims`, if it [may](Self::may_sign).
    ///
    /// # Errors
    /// [`StirError::NotAuthoritative`] if it may not, [`StirError::Claims`] if no verifier would accept the claims
    /// from anybody.
    // rfc8226:8-5.
    pub fn sign(
        &self,
        claims: &Claims,
        trust: Option<&TrustStore>,
        wall: Timestamp,
    ) -> Result<String, StirError> {
        self.may_sign(claims, trust, wall).map_err(StirError::NotAuthoritative)?;
        self.sign_unchecked(claims)
    }

    /// Signs `claims`, whether or not verifiers would take them from its certificates.
    pub(super) fn sign_unchecked(&self, claims: &Claims) -> Result<String, StirError> {
        claims.sign(&self.reference, &self.key)
    }

    /// Step 1: whether verifiers would take `claims` from its certificates at `wall`: they stand for the caller (of a
    /// diversion, for who diverted), each within its issuer's numbers (RFC 9060 §5), and their constraints
    /// allow the claims (RFC 8226 §8, RFC 9118). With `trust` the chain is followed to a root, as verifiers will
    /// do; without, what it says itself is judged. Lists of numbers kept elsewhere are not fetched and not held
    /// against it. If the host vouches for the credential, everything may be signed.
    ///
    /// # Errors
    /// [`Fault`] of the stages cert and authz.
    // rfc8816:8.1-1, rfc8226:8-5, rfc9060:5-1, rfc9060:5-2, rfc9060:5-3.
    pub fn may_sign(
        &self,
        claims: &Claims,
        trust: Option<&TrustStore>,
        wall: Timestamp,
    ) -> Result<(), Fault> {
        let Some(chain) = &self.chain else { return Ok(()) };
        let (party, payload) = (claims.signed_for(), || claims.payload());
        chain.check_itself(party, &payload)?;
        let Some(trust) = trust else { return Ok(()) };
        let verified = chain.verify(trust, wall)?;
        verified.check_claims(&payload)?;
        let nothing_else = |_: &str| None::<Vec<u8>>;
        match party.map_or(Ok(Authority::Unjudged), |party| verified.authority(party, &nothing_else, wall)) {
            Ok(_) | Err(Fault::TnAuthListByReference) => Ok(()),
            Err(fault) => Err(fault),
        }
    }
}

/// What all calls of one authentication service have in common.
pub struct AuthenticationService {
    /// What it may sign with: the first that may sign for a caller does.
    pub credentials: Vec<Credential>,
    /// The roots its own certificates are checked against before it signs, if it has them.
    pub trust: Option<TrustStore>,
    /// Finds services and keys.
    pub discoveries: Discoveries,
    /// For seals.
    pub random: Arc<dyn Random>,
}

/// A call to be placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceRequest {
    /// What is signed; `iat` is the moment of signing, whatever stands here. Every destination must be a telephone
    /// number, and gets copies of its own.
    pub claims: Claims,
    /// How long it may take from its begin, in milliseconds.
    pub deadline_ms: u64,
}

impl PlaceRequest {
    /// A `shaken` PASSporT (RFC 8588) with a new `origid`.
    pub fn shaken(
        orig: TelephoneNumber,
        dest: TelephoneNumber,
        attest: Attestation,
        random: &dyn Random,
    ) -> Self {
        Self::new(Claims::shaken(orig.into(), dest.into(), 0, attest, new_origid(random)))
    }

    /// Any PASSporT.
    pub const fn new(claims: Claims) -> Self {
        Self { claims, deadline_ms: PLACE_DEADLINE_DEFAULT_MS }
    }
}

/// A random UUID (RFC 9562 version 4), for `origid`.
pub fn new_origid(random: &dyn Random) -> String {
    let mut bytes = [0; 16];
    random.fill(&mut bytes);
    let value = u128::from_be_bytes(bytes) & !(0xf << 76) & !(0x3 << 62) | (4 << 76) | (2 << 62);
    let hex = format!("{value:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// A call whose PASSporT waits for the called side: now it may go out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The PASSporT in full form, which may go in band as well.
    pub passport: String,
    /// The copies, one for each key of each destination, every one acknowledged by its service.
    pub copies: Vec<PlacedCopy>,
}

/// Why a call was not placed.
///
/// Copies that were stored before stay at their services until they expire: who holds the key of one finds it. Whether
/// the call goes out nevertheless is the host's decision; RFC 8816 §8.1 wants every copy stored first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceFailure {
    /// Why.
    pub cause: PlaceFault,
    /// The copies that were stored.
    pub stored: Vec<PlacedCopy>,
    /// How many there should be; 0 if it did not come to that.
    pub copies_count: usize,
}

/// The step of RFC 8816 §8.1 that failed, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlaceFault {
    /// Step 1: no credential may sign for the caller, or not these claims; why the last one may not.
    NotAuthoritative(Fault),
    /// Step 3: a destination is no telephone number, so no service is found under it.
    NotANumber,
    /// Step 4: the PASSporT could not be signed.
    Sign(StirError),
    /// Step 3 and the end of step 4: it does not reach the called side.
    Delivery(DeliveryFault),
    /// The time was over.
    Deadline,
    /// The host cancelled it.
    Cancelled,
}

impl From<DeliveryFault> for PlaceFault {
    fn from(fault: DeliveryFault) -> Self {
        Self::Delivery(fault)
    }
}

impl From<StirError> for PlaceFault {
    fn from(error: StirError) -> Self {
        match error {
            StirError::NotAuthoritative(fault) => Self::NotAuthoritative(fault),
            error => Self::Sign(error),
        }
    }
}

impl fmt::Display for PlaceFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAuthoritative(fault) => write!(f, "no credential may sign this for the caller: {fault}"),
            Self::NotANumber => {
                f.write_str("a called party is no telephone number; only those have a service")
            }
            Self::Sign(error) => error.fmt(f),
            Self::Delivery(fault) => fault.fmt(f),
            Self::Deadline => f.write_str("the time to place the call was over"),
            Self::Cancelled => f.write_str("placing the call was cancelled"),
        }
    }
}

impl fmt::Display for PlaceFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)?;
        match self.stored.len() {
            0 => Ok(()),
            stored => write!(f, "; {stored} of {} copies were stored", self.copies_count),
        }
    }
}

impl core::error::Error for PlaceFailure {}

impl AuthenticationService {
    /// The machine that places the call of `request`.
    pub fn place(self: Arc<Self>, request: PlaceRequest) -> PlaceCall {
        PlaceCall {
            service: self,
            request,
            tickets: Tickets::default(),
            deadline: Timestamp::default(),
            passport: String::new(),
            delivery: Delivery::default(),
            outcome: None,
            is_done: false,
        }
    }

    /// Signs `claims` with the first credential that may.
    ///
    /// # Errors
    /// [`StirError::NotAuthoritative`] with why the last one may not, [`StirError::Claims`].
    pub(super) fn sign(&self, claims: &Claims, wall: Timestamp) -> Result<String, StirError> {
        self.credential_for(claims, wall).map_err(StirError::NotAuthoritative)?.sign_unchecked(claims)
    }

    /// The credential that may sign `claims`; else why the last one may not.
    // rfc8816:8.1-1.
    fn credential_for(&self, claims: &Claims, wall: Timestamp) -> Result<&Credential, Fault> {
        let mut last = Fault::NoCertificate;
        for credential in &self.credentials {
            match credential.may_sign(claims, self.trust.as_ref(), wall) {
                Ok(()) => return Ok(credential),
                Err(fault) => last = fault,
            }
        }
        Err(last)
    }
}

/// One call being placed. Its outcome is [`Placed`] only after every copy was acknowledged.
pub struct PlaceCall {
    service: Arc<AuthenticationService>,
    request: PlaceRequest,
    tickets: Tickets,
    /// On the steady clock, once it has begun.
    deadline: Timestamp,
    passport: String,
    delivery: Delivery,
    outcome: Option<Result<Placed, PlaceFailure>>,
    is_done: bool,
}

impl Machine for PlaceCall {
    type Outcome = Result<Placed, PlaceFailure>;

    fn begin(&mut self, now: Moment, asks: &mut Vec<Ask>) {
        self.deadline = now.steady.plus_millis(self.request.deadline_ms);
        let result = self.find_credential(now).and_then(|()| self.discover(now, asks));
        self.note(result);
    }

    fn answer(&mut self, ticket: Ticket, answer: Answer, now: Moment, asks: &mut Vec<Ask>) {
        if !self.is_done && self.delivery.awaits(ticket) {
            let result = self.take(ticket, answer, now, asks);
            self.note(result);
        }
    }

    fn wake_at(&self) -> Option<Timestamp> {
        let first = self.delivery.wake_at().map_or(self.deadline, |at| at.min(self.deadline));
        (!self.is_done).then_some(first)
    }

    fn wake(&mut self, now: Moment, asks: &mut Vec<Ask>) {
        if self.is_done {
            return;
        }
        if now.steady >= self.deadline {
            return self.fail(PlaceFault::Deadline);
        }
        let result = if self.passport.is_empty() {
            self.discover(now, asks)
        } else {
            let turn = &mut Turn::new(now, &mut self.tickets, asks);
            self.delivery.wake(self.deadline, turn).map_err(PlaceFault::from)
        };
        self.note(result);
    }

    fn cancel(&mut self) {
        if !self.is_done {
            self.fail(PlaceFault::Cancelled);
        }
    }

    fn outcome(&mut self) -> Option<Self::Outcome> {
        self.outcome.take()
    }
}

impl PlaceCall {
    /// Step 1. That the originator may claim the number, step 2, the host has said by asking.
    fn find_credential(&mut self, now: Moment) -> Result<(), PlaceFault> {
        let claims = &mut self.request.claims;
        claims.iat_s = now.wall_s();
        self.service.credential_for(claims, now.wall).map_err(PlaceFault::NotAuthoritative)?;
        let numbers = claims.dest.iter().map(Identity::number).collect::<Option<Vec<_>>>();
        self.delivery = Delivery::to(numbers.ok_or(PlaceFault::NotANumber)?);
        Ok(())
    }

    /// Step 3, and when nothing is left to find, step 4.
    fn discover(&mut self, now: Moment, asks: &mut Vec<Ask>) -> Result<(), PlaceFault> {
        let turn = &mut Turn::new(now, &mut self.tickets, asks);
        let is_found = self.delivery.discover(&self.service.discoveries, self.deadline, turn)?;
        if is_found { self.sign_and_store(now, asks) } else { Ok(()) }
    }

    /// Step 4, and the stores.
    // rfc8225:5.1.1-1, rfc8816:8.1-6, rfc8816:8.1-9.
    fn sign_and_store(&mut self, now: Moment, asks: &mut Vec<Ask>) -> Result<(), PlaceFault> {
        let claims = &mut self.request.claims;
        claims.iat_s = now.wall_s();
        self.passport = self.service.sign(claims, now.wall)?;
        let random = &*self.service.random;
        self.delivery.store(
            &[&self.passport],
            random,
            self.deadline,
            &mut Turn::new(now, &mut self.tickets, asks),
        )?;
        Ok(())
    }

    fn take(
        &mut self,
        ticket: Ticket,
        answer: Answer,
        now: Moment,
        asks: &mut Vec<Ask>,
    ) -> Result<(), PlaceFault> {
        let by = &self.service.discoveries;
        self.delivery.answer(
            ticket,
            answer,
            by,
            self.deadline,
            &mut Turn::new(now, &mut self.tickets, asks),
        )?;
        if self.passport.is_empty() {
            return self.discover(now, asks);
        }
        if self.delivery.is_complete() {
            let copies = core::mem::take(&mut self.delivery).into_stored();
            let passport = core::mem::take(&mut self.passport);
            self.finish(Ok(Placed { passport, copies }));
        }
        Ok(())
    }

    fn note(&mut self, result: Result<(), PlaceFault>) {
        if let Err(cause) = result {
            self.fail(cause);
        }
    }

    #[cold]
    fn fail(&mut self, cause: PlaceFault) {
        let delivery = core::mem::take(&mut self.delivery);
        let copies_count = delivery.copies_count();
        self.finish(Err(PlaceFailure { cause, stored: delivery.into_stored(), copies_count }));
    }

    fn finish(&mut self, outcome: Result<Placed, PlaceFailure>) {
        self.is_done = true;
        self.outcome = Some(outcome);
    }
}
