//! The verification service (RFC 8224 §6.2) as a function: a token, the certificates, the call and the time go
//! in, a verdict comes out. Cheap checks stand before dear ones. It does not fetch certificates and does not
//! know which numbers belong to a service provider code.

use std::sync::Arc;

use herald_core::Timestamp;

use crate::certificate::{Authority, CertificateChain, CertificateSource, TrustStore};
use crate::content::{self, ContentPolicy};
use crate::context::{CallContext, CallFacts, Carrier, IdentityValue};
use crate::error::Fault;
use crate::limits::{AHEAD_DEFAULT_S, DIVERSION_DEPTH_MAX, FRESHNESS_DEFAULT_S};
use crate::passport::{Attestation, CertificateReference, Identity, Leniency, Passport, PassportType};
use crate::sip::SipPolicy;

/// What a PASSporT must satisfy.
#[derive(Clone, Debug)]
pub struct VerificationPolicy {
    /// The roots and revocation lists.
    pub trust: TrustStore,
    /// How old `iat` may be, in seconds.
    pub freshness_s: u64,
    /// How far `iat` may lie ahead, in seconds.
    pub ahead_s: u64,
    /// How old `iat` of a PASSporT may be whose call was diverted since, in seconds. RFC 8946 §4.2 recommends the
    /// same as for others, and up to three hours where transfers come from parties that are trusted.
    pub diverted_freshness_s: u64,
    /// Whether a service provider code alone stands for a number. It does by default: nearly all certificates in
    /// use name a code only. Who knows which numbers a code has can look at the verdict's [`Authority`].
    pub accept_only_by_spc: bool,
    /// What the digests of `rcdi` are asked for.
    pub content: ContentPolicy,
    /// The claims that complete a compact shaken PASSporT, if the signalling carries them elsewhere (3GPP TS
    /// 24.229: Attestation-Info and Origination-Id). Without them such a PASSporT cannot be rebuilt, and RFC 8588
    /// §7 has it in full form.
    pub compact_shaken: Option<(Attestation, String)>,
    /// Whether the moment of a compact PASSporT that comes without a Date is looked for, second by second within
    /// the time it may have: a signature verification each, some 120 in all.
    pub compact_without_date: bool,
    /// What is forgiven in form.
    pub leniency: Leniency,
    /// How SIP requests are read.
    pub sip: SipPolicy,
}

/// The answer: what was accepted, or why not.
pub type Verdict = Result<Accepted, Fault>;

/// A PASSporT that holds for the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The PASSporT.
    pub passport: Passport,
    /// By what right it was signed.
    pub authority: Authority,
    /// For a `div-o`, the original PASSporT, verified as well.
    pub original: Option<Passport>,
}

impl VerificationPolicy {
    /// The strict policy with 60 seconds of freshness.
    pub const fn new(trust: TrustStore) -> Self {
        Self {
            trust,
            freshness_s: FRESHNESS_DEFAULT_S,
            ahead_s: AHEAD_DEFAULT_S,
            diverted_freshness_s: FRESHNESS_DEFAULT_S,
            accept_only_by_spc: true,
            content: ContentPolicy::Given,
            compact_shaken: None,
            compact_without_date: false,
            leniency: Leniency::STRICT,
            sip: SipPolicy::STRICT,
        }
    }

    /// Judges `token` for `call` at `now`. `certificates` answers with the chain that an `x5u` serves or an `x5c`
    /// carries; it is asked once for each PASSporT, the ones within a `div-o` included.
    ///
    /// Of a `div` the certificate must stand for the party that diverted, and the PASSporT it diverted is another
    /// token: [`verify_call`](Self::verify_call) puts them together.
    ///
    /// # Errors
    /// The first [`Fault`], with its [`stage`](Fault::stage) and [`sip_code`](Fault::sip_code).
    pub fn verify(
        &self,
        token: &[u8],
        certificates: &dyn CertificateSource,
        call: &CallFacts,
        now: Timestamp,
    ) -> Verdict {
        self.verify_one(IdentityValue::Token(token), &CallContext::of(call), certificates, now).into_verdict()
    }

    /// As [`verify`](Self::verify), of the value of an Identity header field (RFC 8224 §6.2), full or compact.
    /// `date_s` is what the Date header field says, in seconds since the Unix epoch; only the compact form needs
    /// it.
    ///
    /// # Errors
    /// The first [`Fault`].
    pub fn verify_header(
        &self,
        value: &[u8],
        certificates: &dyn CertificateSource,
        call: &CallFacts,
        date_s: Option<i64>,
        now: Timestamp,
    ) -> Verdict {
        let context = CallContext { date_s, ..CallContext::of(call) };
        self.verify_one(IdentityValue::Header(value), &context, certificates, now).into_verdict()
    }

    /// Checks one PASSporT by itself and against the call, but for a chain of others beside it.
    // rfc8816:8.2-3.
    pub(crate) fn check(
        &self,
        passport: &Passport,
        target: Target<'_>,
        freshness_s: u64,
        certificates: &dyn CertificateSource,
        context: &CallContext<'_>,
        now: Timestamp,
    ) -> Result<Checked, Fault> {
        self.check_alone(passport, freshness_s, now)?;
        let claims = passport.claims();
        if context.orig.is_some_and(|orig| claims.orig != *orig) {
            return Err(Fault::OrigMismatch);
        }
        if !target.is_met(&claims.dest) {
            return Err(Fault::DestMismatch);
        }
        let (authority, signer) = self.check_signer(passport, certificates, now)?;
        let within = self.follow_diversions(passport, certificates, context.carrier, now)?;
        content::check(claims, self.content, context)?;
        if let Some((memory, call)) = context.seen {
            for seen in core::iter::once(passport).chain(&within) {
                memory.note(seen, call, self.fresh_until(seen, now), now)?;
            }
        }
        Ok(Checked { authority, signer, within })
    }

    /// Checks what needs neither call nor certificate.
    // rfc8225:8.1-2, rfc8816:8.2-2, rfc8946:4.2-10.
    fn check_alone(&self, passport: &Passport, freshness_s: u64, now: Timestamp) -> Result<(), Fault> {
        if matches!(passport.claims().kind, PassportType::Unknown(_)) {
            return Err(Fault::UnknownType);
        }
        // Its signer stands for one party, who was reached (RFC 9970).
        if matches!(passport.claims().kind, PassportType::Rsp) && passport.claims().dest.len() != 1 {
            return Err(Fault::Claim("dest"));
        }
        self.check_time(passport, freshness_s, now)
    }

    /// Checks that `iat` is neither too old nor too far ahead.
    // rfc8816:8.2-5, rfc8946:4.2-7.
    pub(crate) fn check_time(
        &self,
        passport: &Passport,
        freshness_s: u64,
        now: Timestamp,
    ) -> Result<(), Fault> {
        let iat_s = u64::try_from(passport.claims().iat_s).map_err(|_| Fault::Iat)?;
        let now_s = now.as_millis() / 1000;
        let (age_s, ahead_s) = (now_s.saturating_sub(iat_s), iat_s.saturating_sub(now_s));
        if age_s > freshness_s {
            return Err(Fault::Stale { age_s, age_max_s: freshness_s });
        }
        if ahead_s > self.ahead_s {
            return Err(Fault::Ahead { ahead_s, ahead_max_s: self.ahead_s });
        }
        Ok(())
    }

    /// Until when `passport`, which [`check_time`](Self::check_time) let through at `now`, may be let through again,
    /// by itself or with a diversion.
    fn fresh_until(&self, passport: &Passport, now: Timestamp) -> Timestamp {
        let iat_s = u64::try_from(passport.claims().iat_s).unwrap_or(0);
        let freshness_s = self.freshness_s.max(self.diverted_freshness_s);
        let end_s = iat_s.saturating_add(freshness_s).saturating_add(1);
        now.max(Timestamp::from_millis(end_s.saturating_mul(1000)))
    }

    /// The chain that should stand behind `passport`, not yet verified.
    pub(crate) fn chain(
        &self,
        passport: &Passport,
        certificates: &dyn CertificateSource,
        now: Timestamp,
    ) -> Result<Arc<CertificateChain>, Fault> {
        let chain = match passport.certificate() {
            CertificateReference::Inline(chain) => certificates.carried_chain(chain, now)?,
            CertificateReference::Url(url) => certificates.chain(url, now)?,
        };
        if chain.is_in_order() || self.leniency.chain_any_order { Ok(chain) } else { Err(Fault::ChainOrder) }
    }

    /// Checks certificate, signature and authority: what can fail without a signature verification comes first.
    // rfc8816:8.2-4, rfc8816:8.2-6, rfc8946:4.2-3.
    fn check_signer(
        &self,
        passport: &Passport,
        certificates: &dyn CertificateSource,
        now: Timestamp,
    ) -> Result<(Authority, Arc<CertificateChain>), Fault> {
        let chain = self.chain(passport, certificates, now)?;
        let key = chain.signer_key()?;
        let claims = || passport.claims().payload();
        chain.check_signer_claims(&claims)?;
        let signed_for = passport.claims().signed_for();
        if let Some(party) = signed_for
            && chain.is_out_of_reach(party)?
        {
            return Err(Fault::NotCovered);
        }
        passport.verify_signature(key)?;
        let verified = chain.verify(&self.trust, now)?;
        verified.check_claims(&claims)?;
        let authority = |party| verified.authority(party, certificates, now);
        match signed_for.map_or(Ok(Authority::Unjudged), authority)? {
            Authority::OnlyBySpc(_) if !self.accept_only_by_spc => Err(Fault::OnlyBySpc),
            authority => Ok((authority, chain)),
        }
    }

    /// Verifies the PASSporTs within a `div-o`, outermost first (RFC 8946 §6), and returns them in that order. The
    /// last one is the original.
    // rfc8946:4.2-4, rfc8946:4.2-5, rfc8946:4.2-6, rfc8946:4.2-8, rfc8946:4.2-9, rfc8946:5.1-2,
    // rfc8946:5.1-3, rfc8946:5.1-4, rfc8946:6-1.
    fn follow_diversions(
        &self,
        outermost: &Passport,
        certificates: &dyn CertificateSource,
        carrier: Carrier,
        now: Timestamp,
    ) -> Result<Vec<Passport>, Fault> {
        let nested = |fault| Fault::Nested(Box::new(fault));
        let mut within: Vec<Passport> = Vec::new();
        for _ in 0..DIVERSION_DEPTH_MAX {
            let outer = within.last().unwrap_or(outermost).claims();
            let PassportType::DivO { from, opt } = &outer.kind else { return Ok(within) };
            let inner = Passport::parse(opt.as_bytes(), &self.leniency).map_err(nested)?;
            self.check_alone(&inner, self.diverted_freshness_s, now).map_err(nested)?;
            carrier.check(&inner.claims().kind).map_err(nested)?;
            let leads_here = inner.claims().orig == outer.orig && inner.claims().dest.contains(from);
            // A div within has its original elsewhere, and elsewhere is not within.
            let kind = &inner.claims().kind;
            let is_of_caller = kind.is_by_caller() || matches!(kind, PassportType::DivO { .. });
            if !leads_here || !is_of_caller {
                return Err(Fault::Diversion);
            }
            self.check_signer(&inner, certificates, now).map_err(nested)?;
            within.push(inner);
        }
        Err(Fault::DiversionDepth)
    }
}

/// What [`check`](VerificationPolicy::check) found.
pub(crate) struct Checked {
    pub(crate) authority: Authority,
    /// The chain of its signer.
    pub(crate) signer: Arc<CertificateChain>,
    /// The PASSporTs within a `div-o`, outermost first.
    pub(crate) within: Vec<Passport>,
}

/// Whom a PASSporT must name as called.
#[derive(Clone, Copy)]
pub(crate) enum Target<'a> {
    /// Not compared: that is for who follows the chain it is part of.
    Any,
    /// One of these; with neither, anybody.
    OneOf([Option<&'a Identity>; 2]),
}

impl<'a> Target<'a> {
    /// Of a PASSporT that is all there is. One that was signed when the call was diverted is about where the call
    /// goes now (RFC 8946 §4.2 step 1); any other may also name who was called at first (RFC 8224 §6.2 step 2).
    pub(crate) fn of(passport: &Passport, context: &CallContext<'a>) -> Self {
        let to = if passport.claims().kind.diverter().is_some() { None } else { context.to };
        Self::OneOf([context.dest, to])
    }

    pub(crate) fn is_met(self, named: &[Identity]) -> bool {
        match self {
            Self::Any | Self::OneOf([None, None]) => true,
            Self::OneOf(called) => called.into_iter().flatten().any(|called| named.contains(called)),
        }
    }
}
