//! The verification service (RFC 8224 §6.2) as a function: a token, the certificates, the call and the time go
//! in, a verdict comes out. Cheap checks stand before dear ones. It does not fetch certificates and does not
//! know which numbers belong to a service provider code.

use std::sync::Arc;

use herald_core::Timestamp;

use crate::certificate::{Authority, CertificateChain, CertificateSource, TrustStore};
use crate::error::Fault;
use crate::identity_header::IdentityHeader;
use crate::limits::{AHEAD_DEFAULT_S, DIVERSION_DEPTH_MAX, FRESHNESS_DEFAULT_S};
use crate::passport::{CertificateReference, Identity, Leniency, Passport, PassportType};

/// What the signalling says about the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallFacts {
    /// The caller.
    pub orig: Identity,
    /// The called party: where the call goes now (in SIP, the Request-URI).
    pub dest: Identity,
    /// The party that was called at first, if it is another one (in SIP, the To header field). Compact
    /// PASSporTs are about it (RFC 8224 §5.1), and so are those of a call that was diverted since.
    pub to: Option<Identity>,
}

impl CallFacts {
    /// A call that goes where it was meant to go.
    pub const fn new(orig: Identity, dest: Identity) -> Self {
        Self { orig, dest, to: None }
    }

    /// The party that was called at first.
    pub fn called_first(&self) -> &Identity {
        self.to.as_ref().unwrap_or(&self.dest)
    }
}

/// What a PASSporT must satisfy.
#[derive(Clone, Debug)]
pub struct VerificationPolicy {
    /// The roots and revocation lists.
    pub trust: TrustStore,
    /// How old `iat` may be, in seconds.
    pub freshness_s: u64,
    /// How far `iat` may lie ahead, in seconds.
    pub ahead_s: u64,
    /// Whether a service provider code alone stands for a number. It does by default: nearly all certificates in
    /// use name a code only. Who knows which numbers a code has can look at the verdict's [`Authority`].
    pub accept_only_by_spc: bool,
    /// What is forgiven in form.
    pub leniency: Leniency,
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
            accept_only_by_spc: true,
            leniency: Leniency::STRICT,
        }
    }

    /// Judges `token` for `call` at `now`. `certificates` answers with what an `x5u` serves; it is asked once
    /// for each PASSporT that has no `x5c`, the ones within a `div-o` included.
    ///
    /// Of a `div` the certificate must stand for the party that diverted, and the PASSporT it diverted is
    /// another token, which the caller must judge and compare itself. Digests of `rcdi`, `msgi` and stapled
    /// answers are not judged.
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
        self.judge(Passport::parse(token, &self.leniency)?, certificates, call, now)
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
        let passport = IdentityHeader::new(value).passport(call, date_s, &self.leniency)?;
        self.judge(passport, certificates, call, now)
    }

    fn judge(
        &self,
        passport: Passport,
        certificates: &dyn CertificateSource,
        call: &CallFacts,
        now: Timestamp,
    ) -> Verdict {
        self.check_alone(&passport, now)?;
        if passport.claims().orig != call.orig {
            return Err(Fault::OrigMismatch);
        }
        if !passport.claims().dest.contains(&call.dest) {
            return Err(Fault::DestMismatch);
        }
        let authority = self.check_signer(&passport, certificates, now)?;
        let original = self.follow_diversions(&passport, certificates, now)?;
        Ok(Accepted { passport, authority, original })
    }

    /// Checks what needs neither call nor certificate.
    fn check_alone(&self, passport: &Passport, now: Timestamp) -> Result<(), Fault> {
        if matches!(passport.claims().kind, PassportType::Unknown(_)) {
            return Err(Fault::UnknownType);
        }
        self.check_time(passport.claims().iat_s, now)
    }

    fn check_time(&self, iat_s: i64, now: Timestamp) -> Result<(), Fault> {
        let iat_s = u64::try_from(iat_s).map_err(|_| Fault::Iat)?;
        let now_s = now.as_millis() / 1000;
        let (age_s, ahead_s) = (now_s.saturating_sub(iat_s), iat_s.saturating_sub(now_s));
        if age_s > self.freshness_s {
            return Err(Fault::Stale { age_s, age_max_s: self.freshness_s });
        }
        if ahead_s > self.ahead_s {
            return Err(Fault::Ahead { ahead_s, ahead_max_s: self.ahead_s });
        }
        Ok(())
    }

    /// Checks certificate, signature and authority: what can fail without a signature verification comes first.
    fn check_signer(
        &self,
        passport: &Passport,
        certificates: &dyn CertificateSource,
        now: Timestamp,
    ) -> Result<Authority, Fault> {
        let chain = match passport.certificate() {
            CertificateReference::Inline(chain) => Arc::new(CertificateChain::from_der(chain)?),
            CertificateReference::Url(url) => certificates.chain(url, now)?,
        };
        if !(chain.is_in_order() || self.leniency.chain_any_order) {
            return Err(Fault::ChainOrder);
        }
        let key = chain.signer_key()?;
        let signed_for = signed_for(passport);
        if let Some(party) = signed_for
            && chain.is_out_of_reach(party)?
        {
            return Err(Fault::NotCovered);
        }
        passport.verify_signature(key)?;
        let verified = chain.verify(&self.trust, now)?;
        match signed_for.map_or(Ok(Authority::Unjudged), |party| verified.authority(party))? {
            Authority::OnlyBySpc(_) if !self.accept_only_by_spc => Err(Fault::OnlyBySpc),
            authority => Ok(authority),
        }
    }

    /// Verifies the PASSporTs within a `div-o`, outermost first (RFC 8946 §6), and returns the original.
    fn follow_diversions(
        &self,
        outermost: &Passport,
        certificates: &dyn CertificateSource,
        now: Timestamp,
    ) -> Result<Option<Passport>, Fault> {
        let nested = |fault| Fault::Nested(Box::new(fault));
        let mut inner: Option<Passport> = None;
        for _ in 0..DIVERSION_DEPTH_MAX {
            let outer = inner.as_ref().unwrap_or(outermost).claims();
            let PassportType::DivO { from, opt } = &outer.kind else { return Ok(inner) };
            let within = Passport::parse(opt.as_bytes(), &self.leniency).map_err(nested)?;
            self.check_alone(&within, now).map_err(nested)?;
            if within.claims().orig != outer.orig || !within.claims().dest.contains(from) {
                return Err(Fault::Diversion);
            }
            self.check_signer(&within, certificates, now).map_err(nested)?;
            inner = Some(within);
        }
        Err(Fault::DiversionDepth)
    }
}

/// Whom the signer must stand for: the caller, or who diverted the call (RFC 8946 §4). Nobody for a priority.
const fn signed_for(passport: &Passport) -> Option<&Identity> {
    let claims = passport.claims();
    match &claims.kind {
        PassportType::Rph => None,
        PassportType::Div { from } | PassportType::DivO { from, .. } => Some(from),
        _ => Some(&claims.orig),
    }
}
