//! The Identity header field of SIP (RFC 8224 §4): a PASSporT, full or compact, with parameters that repeat part
//! of it. It takes one unfolded field value; it does not know SIP messages.

use crate::context::{CallContext, CallFacts};
use crate::error::Fault;
use crate::passport::{Attestation, CertificateReference, Claims, Leniency, Passport, PassportType};

/// One value of an Identity header field, split and not yet believed.
#[derive(Clone, Copy)]
pub struct IdentityHeader<'a> {
    digest: &'a [u8],
    /// What stands behind the digest: parameters, read once the digest has been.
    parameters: &'a [u8],
}

impl core::fmt::Debug for IdentityHeader<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "IdentityHeader({} bytes)", self.digest.len() + self.parameters.len())
    }
}

/// The parameters of a value, `alg` judged already.
struct Parameters<'a> {
    info: &'a str,
    ppt: Option<&'a str>,
}

impl<'a> IdentityHeader<'a> {
    /// The field value that carries `passport` in full form, to be inserted into a request (RFC 8224 §4). `None`
    /// if a field cannot carry it: its certificate is within (`x5c`) and the field must name a URL, or its URL or
    /// type has signs that would end the field's parameter.
    pub fn write(passport: &Passport) -> Option<String> {
        Some(passport.to_token() + &write_parameters(passport)?)
    }

    /// As [`write`](Self::write), in compact form. A verifier rebuilds it from the signalling, so it is for
    /// PASSporTs without `ppt` only, and for `shaken` where the signalling carries its claims elsewhere.
    // rfc8225:7-1.
    pub fn write_compact(passport: &Passport) -> Option<String> {
        Some(passport.compact() + &write_parameters(passport)?)
    }

    /// Splits a field value at its first semicolon.
    pub fn new(value: &'a [u8]) -> Self {
        let end = value.iter().position(|&sign| sign == b';').unwrap_or(value.len());
        let (digest, parameters) = value.split_at(end);
        Self { digest: digest.trim_ascii(), parameters }
    }

    /// Whether the PASSporT is in compact form (RFC 8225 §7).
    pub fn is_compact(&self) -> bool {
        self.digest.starts_with(b"..")
    }

    /// The PASSporT of the value. A compact one is rebuilt from `call` and from `date_s`, the seconds since the
    /// Unix epoch that the Date header field gives.
    ///
    /// # Errors
    /// Those of [`Passport::parse`]; of the stage sip-header if the parameters are malformed or differ from the
    /// PASSporT, or if a compact one cannot be rebuilt: with `ppt` it has claims that SIP does not carry.
    pub fn passport(
        &self,
        call: &CallFacts,
        date_s: Option<i64>,
        leniency: &Leniency,
    ) -> Result<Passport, Fault> {
        self.read(&CallContext { date_s, ..CallContext::of(call) }, None, leniency)
    }

    /// As [`passport`](Self::passport), of a call that is known in part. `shaken` completes a compact shaken one.
    pub(crate) fn read(
        &self,
        context: &CallContext<'_>,
        shaken: Option<&(Attestation, String)>,
        leniency: &Leniency,
    ) -> Result<Passport, Fault> {
        if self.is_compact() {
            let parameters = Parameters::read(self.parameters, leniency)?;
            return self.rebuild(&parameters, context, shaken, leniency);
        }
        let passport = Passport::parse(self.digest, leniency)?;
        Parameters::read(self.parameters, leniency)?.compare(&passport, leniency)?;
        Ok(passport)
    }

    // rfc8225:7-2, rfc8225:8.1-4, rfc8946:3-4.
    fn rebuild(
        &self,
        parameters: &Parameters<'_>,
        context: &CallContext<'_>,
        shaken: Option<&(Attestation, String)>,
        leniency: &Leniency,
    ) -> Result<Passport, Fault> {
        let kind = match (parameters.ppt, shaken) {
            (None, _) => PassportType::Base,
            (Some("shaken"), Some((attest, origid))) => {
                PassportType::Shaken { attest: *attest, origid: origid.clone() }
            }
            (Some(_), _) => return Err(Fault::CompactType),
        };
        let missing = |what| Fault::IdentityHeader(what);
        let orig = context.orig.ok_or(missing("caller beside a compact PASSporT"))?.clone();
        let dest =
            context.to.or(context.dest).ok_or(missing("called party beside a compact PASSporT"))?.clone();
        let iat_s = context.date_s.ok_or(missing("Date beside a compact PASSporT"))?;
        let claims = Claims { kind, ..Claims::base(orig, dest, iat_s) };
        let certificate = CertificateReference::Url(parameters.info.to_owned());
        let signature = core::str::from_utf8(&self.digest[2..]).map_err(|_| Fault::Base64("signature"))?;
        let input = claims.signing_input(&certificate).map_err(|_| Fault::CompactForm)?;
        Passport::parse(format!("{input}.{signature}").as_bytes(), leniency)
    }
}

// rfc8946:4.1-5.
fn write_parameters(passport: &Passport) -> Option<String> {
    let CertificateReference::Url(url) = passport.certificate() else { return None };
    let ppt = passport.claims().kind.ppt();
    if url.contains(['<', '>', '"']) || ppt.is_some_and(|ppt| !ppt.chars().all(is_token_sign)) {
        return None;
    }
    let ppt = ppt.map(|ppt| format!(";ppt={ppt}")).unwrap_or_default();
    Some(format!(";info=<{url}>;alg=ES256{ppt}"))
}

impl<'a> Parameters<'a> {
    /// Reads `;name=value` over and over. `info` must be there; a name must not be there twice.
    fn read(text: &'a [u8], leniency: &Leniency) -> Result<Self, Fault> {
        const MALFORMED: Fault = Fault::IdentityHeader("list of parameters");
        let mut rest = core::str::from_utf8(text).map_err(|_| MALFORMED)?.trim_ascii();
        let (mut info, mut alg, mut ppt) = (None, None, None);
        while let Some(behind) = rest.strip_prefix(';') {
            let behind = behind.trim_ascii_start();
            if behind.is_empty() && leniency.header_trailing_semicolon {
                rest = behind;
                break;
            }
            let (name, value, after) = read_parameter(behind).ok_or(MALFORMED)?;
            let place = match name {
                _ if name.eq_ignore_ascii_case("info") => &mut info,
                _ if name.eq_ignore_ascii_case("alg") => &mut alg,
                _ if name.eq_ignore_ascii_case("ppt") => &mut ppt,
                _ => &mut None,
            };
            if place.replace(value).is_some() {
                return Err(MALFORMED);
            }
            rest = after;
        }
        let info = info.and_then(|uri| uri.strip_prefix('<')?.strip_suffix('>'));
        let info = info.filter(|_| rest.is_empty()).ok_or(Fault::IdentityHeader("info"))?;
        if alg.is_some_and(|alg| unquoted(alg) != "ES256") {
            return Err(Fault::HeaderAlgorithm);
        }
        Ok(Self { info, ppt: ppt.map(unquoted) })
    }

    /// RFC 8224 §4: the parameters repeat what the PASSporT says; `ppt` must be there if the PASSporT has one.
    fn compare(&self, passport: &Passport, leniency: &Leniency) -> Result<(), Fault> {
        match passport.certificate() {
            CertificateReference::Url(url) if url != self.info => return Err(Fault::InfoMismatch),
            _ => {}
        }
        let ppt = passport.claims().kind.ppt();
        let forgiven = self.ppt.is_none() && leniency.header_without_ppt;
        if self.ppt == ppt || forgiven { Ok(()) } else { Err(Fault::IdentityHeader("ppt")) }
    }
}

/// The name, the value and what stands behind them: `name [= value]` of RFC 3261 §25.1, white space around `=`
/// and behind the value dropped. A name without a value has an empty one.
fn read_parameter(text: &str) -> Option<(&str, &str, &str)> {
    let (name, rest) = text.split_at(text.find(|sign| !is_token_sign(sign)).unwrap_or(text.len()));
    let rest = rest.trim_ascii_start();
    let (value, after) = match rest.strip_prefix('=') {
        None => ("", rest),
        Some(rest) => split_value(rest.trim_ascii_start())?,
    };
    let after = after.trim_ascii_start();
    let whole = !name.is_empty() && (after.is_empty() || after.starts_with(';'));
    whole.then_some((name, value, after))
}

/// Splits a URI in angle brackets, a quoted text without escapes, or a token from what stands behind it.
fn split_value(text: &str) -> Option<(&str, &str)> {
    let end = match text.as_bytes().first()? {
        b'<' => text.find('>')? + 1,
        b'"' => text[1..].find('"')? + 2,
        // A bare URI is no token, and yet no list is malformed by it: info without brackets has its own fault.
        _ => text.find([';', ',', '<', '>', '"', ' ', '\t']).unwrap_or(text.len()),
    };
    let (value, after) = text.split_at(end);
    (!value.is_empty() && value.bytes().all(|sign| sign.is_ascii_graphic())).then_some((value, after))
}

/// RFC 3261 §25.1, `token`.
fn is_token_sign(sign: char) -> bool {
    sign.is_ascii_alphanumeric() || "-.!%*_+`'~".contains(sign)
}

fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value)
}
