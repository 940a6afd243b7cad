//! What can go wrong: [`Fault`] for a PASSporT that is not to be believed, [`StirError`] for everything the
//! caller can mend. No message names a telephone number or a key.

use core::fmt;

/// The step of verification at which a PASSporT failed, in the order of the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Segments, base64url, JSON.
    Parse,
    /// The SIP request and the parameters of its Identity header field.
    SipHeader,
    /// The signature algorithm.
    Algorithm,
    /// The other members of the JOSE header.
    Header,
    /// The scheme of the certificate's URL.
    X5u,
    /// The moment of signing.
    Iat,
    /// The claims, by themselves and against the call.
    Claims,
    /// The canonical form of telephone numbers (RFC 8224 §8.3).
    Canonical,
    /// The certificate and its chain.
    Certificate,
    /// The certificate's authority over the number.
    Authority,
    /// The signature.
    Signature,
    /// The PASSporTs a diversion leads back to (RFC 8946).
    Chain,
    /// Whether it came with another call before.
    Replay,
}

impl Stage {
    /// Its short name, for logs and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Parse => "parse",
            Self::SipHeader => "sip-header",
            Self::Algorithm => "alg",
            Self::Header => "header",
            Self::X5u => "x5u",
            Self::Iat => "iat",
            Self::Claims => "claims",
            Self::Canonical => "canonical",
            Self::Certificate => "cert",
            Self::Authority => "authz",
            Self::Signature => "sig",
            Self::Chain => "chain",
            Self::Replay => "replay",
        }
    }
}

/// Why a PASSporT is not to be believed. `Display` says it in a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// More bytes than the policy allows.
    TooLong {
        /// Its length in bytes.
        bytes: usize,
        /// The bound in bytes.
        bytes_max: usize,
    },
    /// Not three segments (RFC 8225 §6).
    Segments(usize),
    /// The compact form, which needs the call's signalling; out of band it is forbidden (RFC 8816 §8.1).
    CompactForm,
    /// A segment is not base64url.
    Base64(&'static str),
    /// Header or payload is not one JSON object in UTF-8 with every member once.
    Json(&'static str),
    /// No PASSporT came with the call, and the policy wants one (RFC 8224 §6.2.2).
    NoPassport,
    /// The call was given up before it was judged: nothing is known of its PASSporTs.
    NotJudged,
    /// More PASSporTs came with one call than [`CALL_PASSPORTS_MAX`](crate::limits::CALL_PASSPORTS_MAX).
    TooManyPassports,
    /// The SIP request cannot be read, or lacks what the call is known by; the text completes "the SIP request".
    Sip(&'static str),
    /// The SIP request hides its caller, and nothing trusted names one (RFC 5079).
    Anonymous,
    /// A part of the Identity header field is missing or malformed, or differs from the PASSporT.
    IdentityHeader(&'static str),
    /// The field's `alg` is not ES256.
    HeaderAlgorithm,
    /// The field's `info` is not the `x5u` of the PASSporT.
    InfoMismatch,
    /// A compact form with `ppt`: it has claims that SIP does not carry (RFC 8588 §7).
    CompactType,
    /// No `alg` in the header.
    NoAlgorithm,
    /// `alg` is not ES256.
    Algorithm,
    /// A signature as long as one of ES384 or ES512.
    AlgorithmOfSignature(usize),
    /// `typ` is not `passport`.
    Type,
    /// `crit` names extensions nobody understands (RFC 7515 §4.1.11).
    Critical,
    /// A header member has the wrong shape.
    HeaderMember(&'static str),
    /// A `ppt` this verifier does not know; RFC 8224 §6.2 ignores such a PASSporT.
    UnknownType,
    /// Neither `x5u` nor `x5c`, or an empty one.
    NoCertificateReference,
    /// `x5u` is not a plain URL of a host: another scheme than http and https, white space, no host, or user
    /// information in it.
    X5u,
    /// `x5u` is an http URL, not an https one.
    X5uScheme,
    /// `iat` is missing or not a whole number of seconds.
    Iat,
    /// `iat` is older than the policy allows.
    Stale {
        /// How old, in seconds.
        age_s: u64,
        /// The bound in seconds.
        age_max_s: u64,
    },
    /// `iat` lies further ahead than the policy allows.
    Ahead {
        /// How far, in seconds.
        ahead_s: u64,
        /// The bound in seconds.
        ahead_max_s: u64,
    },
    /// `orig` or `dest` is missing or names nobody.
    NoIdentity(&'static str),
    /// A claim that this type of PASSporT must have is missing.
    NoClaim(&'static str),
    /// A claim has the wrong shape.
    Claim(&'static str),
    /// `orig` is not the caller of the call.
    OrigMismatch,
    /// `dest` does not name the called party of the call.
    DestMismatch,
    /// A telephone number in a claim is not in canonical form.
    NotCanonical(&'static str),
    /// No certificate to be had.
    NoCertificate,
    /// The chain is not PEM certificates, or too large.
    ChainUnreadable,
    /// More certificates than [`CHAIN_CERTIFICATES_MAX`](crate::limits::CHAIN_CERTIFICATES_MAX).
    ChainTooLong(usize),
    /// The chain does not begin with the signer's certificate.
    ChainOrder,
    /// The signer's key is not a P-256 key, or not for signatures.
    SignerKey,
    /// The signer's certificate has no TNAuthList (RFC 8226 §9).
    NoTnAuthList,
    /// A certificate of the chain is past its time.
    Expired,
    /// A certificate of the chain is before its time.
    NotYetValid,
    /// A certificate of the chain is revoked.
    Revoked,
    /// What should say whether a certificate of the chain is revoked is missing, out of date or not to be believed.
    RevocationUnknown,
    /// What came with the chain is not an OCSP answer (RFC 6960).
    Staple,
    /// The Call Placement Services that the certificate names are malformed.
    CpsUri,
    /// The chain does not lead to a configured root.
    Untrusted,
    /// A certificate of the chain is malformed, badly signed, or not allowed to issue the one before it.
    ChainInvalid,
    /// The certificate's list does not hold the number.
    NotCovered,
    /// Only a service provider code stands for the number, and the policy wants more.
    OnlyBySpc,
    /// A TNAuthList of the chain is malformed.
    TnAuthList,
    /// A TNAuthList is given by reference (RFC 8226 §10.1), and is not at hand.
    TnAuthListByReference,
    /// The list of a delegate certificate is not within that of its issuer (RFC 9060 §4).
    NotEncompassed,
    /// The constraints of a certificate on claims (RFC 8226 §8, RFC 9118) are malformed.
    ClaimConstraints,
    /// The constraints of a certificate do not allow the PASSporT: this claim is missing, excluded, or has a
    /// value that is not permitted.
    ClaimNotPermitted(String),
    /// The signature does not have 64 bytes.
    SignatureLength(usize),
    /// The signature is not one of this key over these bytes.
    Signature,
    /// `msgi` or `rcdi` does not fit what it is the digest of.
    Digest(&'static str),
    /// Content that `rcd` refers to has no digest in `rcdi`, and the policy wants one (RFC 9795 §6).
    NoDigest,
    /// Content that `rcd` refers to was not given, and the policy wants it compared.
    NoContent,
    /// A PASSporT of a response (`rsp`, RFC 9970) came with a request.
    OnlyInResponse,
    /// A PASSporT of a request came back with a response, where it says nothing about who was reached.
    OnlyInRequest,
    /// A PASSporT of a message (`msg`, RFC 9475) came with a call.
    OnlyInMessage,
    /// The same PASSporT came with another call before.
    Replayed,
    /// The memory of PASSporTs is full of fresh ones, so nothing can be said about this one.
    ReplayMemoryFull,
    /// The PASSporT within a `div-o` is about another caller, or not for the party that diverted the call.
    Diversion,
    /// More PASSporTs within one another than [`DIVERSION_DEPTH_MAX`](crate::limits::DIVERSION_DEPTH_MAX).
    DiversionDepth,
    /// The PASSporT within a `div-o` is not to be believed.
    Nested(Box<Self>),
}

impl Fault {
    /// The step that found it.
    pub const fn stage(&self) -> Stage {
        self.row().0
    }

    /// The SIP response code that stands for it (RFC 8224 §6.2.2, RFC 9410).
    ///
    /// 403 stands for "not this call, not now": stale, or `orig` and `dest` missing or of another call, as the
    /// conformance cases of OpenSIPit ask. 500 is no word of RFC 8224: it stands for a call that was not judged.
    pub const fn sip_code(&self) -> u16 {
        self.row().1
    }

    /// The phrase that goes with the code, as in a `Reason` header (RFC 9410 §3).
    pub const fn phrase(&self) -> &'static str {
        match (self.sip_code(), self.stage()) {
            (403, Stage::Iat) => "Stale Date",
            (403, _) => "Forbidden",
            (428, _) => "Use Identity Header",
            (433, _) => "Anonymity Disallowed",
            (436, _) => "Bad Identity Info",
            (437, _) => "Unsupported Credential",
            (500, _) => "Server Internal Error",
            _ => "Invalid Identity Header",
        }
    }

    const fn row(&self) -> (Stage, u16) {
        match self {
            Self::TooLong { .. }
            | Self::Segments(_)
            | Self::CompactForm
            | Self::Base64(_)
            | Self::Json(_) => (Stage::Parse, 438),
            Self::NoPassport => (Stage::SipHeader, 428),
            Self::NotJudged => (Stage::SipHeader, 500),
            Self::Anonymous => (Stage::SipHeader, 433),
            Self::Sip(_) | Self::TooManyPassports | Self::IdentityHeader(_) | Self::CompactType => {
                (Stage::SipHeader, 438)
            }
            Self::InfoMismatch => (Stage::SipHeader, 436),
            Self::HeaderAlgorithm => (Stage::SipHeader, 437),
            Self::Algorithm | Self::AlgorithmOfSignature(_) => (Stage::Algorithm, 437),
            Self::Type
            | Self::Critical
            | Self::HeaderMember(_)
            | Self::UnknownType
            | Self::OnlyInResponse
            | Self::OnlyInRequest
            | Self::OnlyInMessage => (Stage::Header, 438),
            Self::NoAlgorithm => (Stage::Header, 437),
            Self::NoCertificateReference | Self::X5u => (Stage::Header, 436),
            Self::X5uScheme => (Stage::X5u, 436),
            Self::Iat | Self::Stale { .. } | Self::Ahead { .. } => (Stage::Iat, 403),
            Self::NoIdentity(_) | Self::OrigMismatch | Self::DestMismatch => (Stage::Claims, 403),
            Self::NoClaim(_) | Self::Claim(_) | Self::Digest(_) | Self::NoDigest | Self::NoContent => {
                (Stage::Claims, 438)
            }
            Self::Replayed | Self::ReplayMemoryFull => (Stage::Replay, 438),
            Self::NotCanonical(_) => (Stage::Canonical, 438),
            Self::NoCertificate | Self::ChainUnreadable => (Stage::Certificate, 436),
            Self::ChainTooLong(_)
            | Self::ChainOrder
            | Self::SignerKey
            | Self::NoTnAuthList
            | Self::Expired
            | Self::NotYetValid
            | Self::Revoked
            | Self::RevocationUnknown
            | Self::Staple
            | Self::CpsUri
            | Self::Untrusted
            | Self::ChainInvalid => (Stage::Certificate, 437),
            Self::NotCovered
            | Self::OnlyBySpc
            | Self::TnAuthList
            | Self::TnAuthListByReference
            | Self::NotEncompassed
            | Self::ClaimConstraints => (Stage::Authority, 437),
            Self::ClaimNotPermitted(_) => (Stage::Authority, 438),
            Self::SignatureLength(_) | Self::Signature => (Stage::Signature, 438),
            Self::Diversion | Self::DiversionDepth | Self::Nested(_) => (Stage::Chain, 438),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { bytes, bytes_max } => {
                write!(f, "the PASSporT has {bytes} bytes; at most {bytes_max} are read")
            }
            Self::Segments(count) => write!(f, "the PASSporT has {count} segments; the full form has 3"),
            Self::Base64(segment) => write!(f, "the {segment} is not base64url without padding"),
            Self::Json(segment) => write!(f, "the {segment} is not one JSON object with every member once"),
            Self::AlgorithmOfSignature(bytes) => {
                write!(f, "the signature has {bytes} bytes, as of another algorithm than ES256")
            }
            Self::Sip(what) => write!(f, "the SIP request {what}"),
            Self::IdentityHeader(part) => {
                write!(
                    f,
                    "the Identity header field's {part} is missing, malformed or not that of the PASSporT"
                )
            }
            Self::HeaderMember(name) => write!(f, "the header's {name} has the wrong shape"),
            Self::Stale { age_s, age_max_s } => {
                write!(f, "the PASSporT is {age_s} s old; at most {age_max_s} s are accepted")
            }
            Self::Ahead { ahead_s, ahead_max_s } => {
                write!(
                    f,
                    "the PASSporT is {ahead_s} s ahead of our clock; at most {ahead_max_s} s are accepted"
                )
            }
            Self::NoIdentity(claim) => write!(f, "{claim} is missing or names nobody"),
            Self::NoClaim(claim) => write!(f, "the claim {claim} is missing"),
            Self::Claim(claim) => write!(f, "the claim {claim} has the wrong shape"),
            Self::NotCanonical(claim) => {
                write!(f, "the number in {claim} is not canonical: digits, * and # only")
            }
            Self::ChainTooLong(count) => write!(f, "the certificate chain has {count} certificates"),
            Self::Digest(claim) => write!(f, "the digest {claim} does not fit what came with it"),
            Self::ClaimNotPermitted(claim) => {
                write!(f, "the certificate does not allow the claim {claim} as it is, or as it is missing")
            }
            Self::Nested(fault) => write!(f, "in the PASSporT within: {fault}"),
            Self::SignatureLength(bytes) => write!(f, "the signature has {bytes} bytes; ES256 has 64"),
            _ => f.write_str(self.sentence()),
        }
    }
}

impl Fault {
    /// The sentence of a fault that has no details.
    const fn sentence(&self) -> &'static str {
        match self {
            Self::CompactForm => "the PASSporT is in compact form; out of band it must be in full form",
            Self::NoPassport => "the call came without a PASSporT",
            Self::NotJudged => "the call was given up before it was judged",
            Self::TooManyPassports => "more PASSporTs came with the call than are judged",
            Self::Anonymous => "the SIP request hides its caller and nothing trusted names one",
            Self::HeaderAlgorithm => "the Identity header field's alg is not ES256",
            Self::InfoMismatch => "the Identity header field's info is not the PASSporT's x5u",
            Self::CompactType => "a PASSporT of this type must be in full form",
            Self::NoAlgorithm => "the header names no algorithm",
            Self::Algorithm => "the algorithm is not ES256",
            Self::Type => "typ is not passport",
            Self::Critical => "crit demands an extension that is not understood",
            Self::UnknownType => "the type of PASSporT (ppt) is not supported",
            Self::NoCertificateReference => "neither x5u nor x5c names a certificate",
            Self::X5u => "x5u is not an https URL of a host without user information",
            Self::X5uScheme => "x5u is an http URL; https is asked for",
            Self::Iat => "iat is missing or not a whole number of seconds",
            Self::OrigMismatch => "orig is not the caller",
            Self::DestMismatch => "dest does not name the called party",
            Self::NoCertificate => "there is no certificate",
            Self::ChainUnreadable => "the certificate chain cannot be read as PEM",
            Self::ChainOrder => "the certificate chain does not begin with the signer's certificate",
            Self::SignerKey => "the signer's key is not a P-256 key for signatures",
            Self::NoTnAuthList => "the signer's certificate has no TNAuthList",
            Self::Expired => "a certificate has expired",
            Self::NotYetValid => "a certificate is not yet valid",
            Self::Revoked => "a certificate is revoked",
            Self::RevocationUnknown => "whether a certificate is revoked cannot be told",
            Self::Staple => "what came with the chain is not an OCSP answer",
            Self::CpsUri => "the Call Placement Services that the certificate names are not https URIs",
            Self::ChainInvalid => "a certificate of the chain is not valid",
            Self::Untrusted => "the certificate does not lead to a trusted root",
            Self::NotCovered => "the certificate has no authority over the number",
            Self::OnlyBySpc => "only a service provider code stands for the number",
            Self::TnAuthList => "a TNAuthList is malformed",
            Self::TnAuthListByReference => "a TNAuthList is given by reference and could not be had",
            Self::NotEncompassed => "a certificate claims numbers that its issuer does not have",
            Self::ClaimConstraints => "the constraints of a certificate on claims are malformed",
            Self::Signature => "the signature does not verify",
            Self::NoDigest => "content that rcd refers to has no digest in rcdi",
            Self::NoContent => "content that rcd refers to is not at hand to be compared with rcdi",
            Self::OnlyInResponse => "a PASSporT of a response came with a request",
            Self::OnlyInRequest => "a PASSporT of a request came with a response",
            Self::OnlyInMessage => "a PASSporT of a message came with a call",
            Self::Replayed => "the PASSporT came with another call before",
            Self::ReplayMemoryFull => "too many PASSporTs are remembered to tell whether this one is a copy",
            Self::Diversion => "no PASSporT leads from the caller to who diverted the call",
            Self::DiversionDepth => "too many PASSporTs stand within one another",
            _ => "the PASSporT is not acceptable",
        }
    }
}

impl core::error::Error for Fault {}

/// Why a call of this crate failed, other than by a PASSporT that is not to be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StirError {
    /// Not a P-256 private key in PEM.
    SigningKey,
    /// Not a P-256 public key.
    VerifyingKey,
    /// Not a sealing key in the JWK form.
    SealingKey,
    /// Claims that no verifier would accept.
    Claims(Fault),
    /// Claims that no verifier would accept from the certificates they should be signed with.
    NotAuthoritative(Fault),
    /// A PASSporT too long to be sealed.
    TooLongToSeal {
        /// Its length in bytes.
        bytes: usize,
        /// What the largest placement holds, in bytes.
        bytes_max: usize,
    },
    /// A sealed placement that none of the keys opens. Which step failed is not said.
    Open,
    /// No key to seal for, or more keys than [`OPENING_KEYS_MAX`](crate::limits::OPENING_KEYS_MAX).
    TooManyKeys(usize),
    /// Keys of two suites to seal for.
    MixedSuites,
    /// Not a PEM file of root certificates or revocation lists.
    Trust(&'static str),
    /// A TNAuthList that RFC 8226 does not allow.
    TnAuthList,
    /// Not an object identifier.
    ObjectIdentifier,
    /// A certificate that could not be made.
    Issue(String),
}

impl fmt::Display for StirError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SigningKey => f.write_str("not a P-256 private key; give PKCS#8 or SEC1 PEM"),
            Self::VerifyingKey => f.write_str("not a P-256 public key; give a SubjectPublicKeyInfo"),
            Self::SealingKey => f.write_str(
                "not a sealing key; give a JWK with kty OKP, crv X25519, x and, for the private key, d",
            ),
            Self::Claims(fault) => write!(f, "no verifier would accept these claims: {fault}"),
            Self::NotAuthoritative(fault) => {
                write!(f, "no verifier would accept these claims from this certificate: {fault}")
            }
            Self::TooLongToSeal { bytes, bytes_max } => write!(
                f,
                "the PASSporT has {bytes} bytes; the largest placement holds {bytes_max}: use x5u instead of x5c \
                 or leave out claims"
            ),
            Self::Open => f.write_str("the placement does not open with these keys for this number"),
            Self::TooManyKeys(count) => {
                write!(f, "{count} keys; seal for 1 to {0}, open with up to {0}", crate::limits::OPENING_KEYS_MAX)
            }
            Self::MixedSuites => {
                f.write_str("keys of different suites; all placements of one service have the same suite")
            }
            Self::Trust(what) => write!(f, "no usable {what} in PEM form"),
            Self::TnAuthList => f.write_str(
                "not a TNAuthList; it needs 1 or more entries, codes in ASCII, ranges of 2 or more digits-only \
                 numbers of one length",
            ),
            Self::ObjectIdentifier => f.write_str("not an object identifier; give numbers with dots, as 2.25.1"),
            Self::Issue(cause) => write!(f, "the certificate could not be made: {cause}"),
        }
    }
}

impl core::error::Error for StirError {}
