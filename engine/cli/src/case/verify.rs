//! `herald verify`: the verdict on what came with a call.

use std::process::ExitCode;

use herald_runtime::core::Timestamp;
use herald_runtime::stir::{
    Authority, CallContext, CallFacts, CallVerdict, Carrier, Claims, Fault, IdentityValue, Json,
    PassportReport, PassportType, SipRequest, TrustStore, VerificationPolicy,
};
use herald_runtime::wall_clock;
use serde_json::{Map, Value, json};

use super::arguments::{Signalled, Verify};
use super::certificates::{Certificates, trust};
use super::presented::Presented;
use crate::calls::read;
use crate::output::{EXIT_NOT_GOOD, Failure, Output};

pub(crate) fn verify(verify: &Verify, output: &Output) -> Result<ExitCode, Failure> {
    let bytes = read(&verify.file)?;
    let verdict = Case::new(verify, trust(verify)?)?.judge(&bytes);
    output.answer(text_of(&verdict), &json_of(&verdict));
    Ok(if verdict.outcome().is_ok() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_NOT_GOOD) })
}

/// Everything but what is judged.
struct Case<'a> {
    verify: &'a Verify,
    policy: VerificationPolicy,
    certificates: Certificates,
    now: Timestamp,
    message: Option<Vec<u8>>,
    content: Vec<(String, Vec<u8>)>,
}

impl<'a> Case<'a> {
    fn new(verify: &'a Verify, trust: TrustStore) -> Result<Self, Failure> {
        let mut policy = VerificationPolicy::new(trust);
        for (name, value) in &verify.policy {
            policy.set(name, value).map_err(Failure::usage)?;
        }
        let content = verify.content.iter().map(|(url, file)| Ok((url.clone(), read(file)?)));
        Ok(Self {
            certificates: Certificates::of(verify)?,
            now: verify.at.map_or_else(wall_clock, |at_s| Timestamp::from_millis(at_s.saturating_mul(1000))),
            message: verify.message.as_deref().map(read).transpose()?,
            content: content.collect::<Result<_, Failure>>()?,
            verify,
            policy,
        })
    }

    fn judge(&self, bytes: &[u8]) -> CallVerdict {
        match Presented::of(bytes) {
            Presented::Sip => self.judge_sip(bytes).unwrap_or_else(CallVerdict::refused),
            Presented::Token(token) => self.judge_values(&[IdentityValue::Token(&token)]),
            Presented::Headers(values) => {
                let values: Vec<_> = values.iter().map(|value| IdentityValue::Header(value)).collect();
                self.judge_values(&values)
            }
        }
    }

    fn judge_sip(&self, bytes: &[u8]) -> Result<CallVerdict, Fault> {
        let request = SipRequest::parse(bytes, &self.policy.sip)?;
        if request.identity_values().is_empty() {
            return Err(Fault::NoPassport);
        }
        let facts: CallFacts = request.call_facts()?;
        let values: Vec<_> =
            request.identity_values().iter().map(|value| IdentityValue::Header(value)).collect();
        let linked = |url: &str| self.linked(url);
        let is_message = request.method() == "MESSAGE";
        let context = CallContext {
            date_s: request.date_s(),
            message: self.message.as_deref().or(is_message.then(|| request.body())),
            linked: &linked,
            carrier: if is_message { Carrier::Request } else { Carrier::Call },
            ..CallContext::of(&facts)
        };
        Ok(self.policy.verify_call(&values, &context, &|url: &str| self.certificates.serve(url), self.now))
    }

    /// Judges PASSporTs without a request around them: one alone by itself, several as those of a call.
    fn judge_values(&self, values: &[IdentityValue<'_>]) -> CallVerdict {
        if matches!(self.verify.orig, Some(Signalled::Anonymous)) {
            return CallVerdict::refused(Fault::Anonymous);
        }
        let linked = |url: &str| self.linked(url);
        let context = CallContext {
            orig: self.verify.orig.as_ref().and_then(Signalled::identity),
            dest: self.verify.dest.as_ref().and_then(Signalled::identity),
            to: self.verify.to.as_ref().and_then(Signalled::identity),
            date_s: self.verify.date,
            message: self.message.as_deref(),
            linked: &linked,
            ..CallContext::UNKNOWN
        };
        let mut policy = self.policy.clone();
        // Nothing but the field is there, so there is no Date to be had, unless somebody says otherwise.
        policy.compact_without_date |=
            !self.verify.policy.iter().any(|(name, _)| name == "compact_without_date");
        let serve = |url: &str| self.certificates.serve(url);
        match values {
            [value] => CallVerdict::of_one(policy.verify_one(*value, &context, &serve, self.now)),
            values => policy.verify_call(values, &context, &serve, self.now),
        }
    }

    fn linked(&self, url: &str) -> Option<Vec<u8>> {
        self.content.iter().find(|(known, _)| known == url).map(|(_, content)| content.clone())
    }
}

fn text_of(verdict: &CallVerdict) -> String {
    match verdict.outcome() {
        Err(fault) => format!("REJECT {} {}: {fault}", fault.stage().name(), fault.sip_code()),
        Ok(report) => {
            let attest = verdict
                .attestation()
                .map_or_else(String::new, |attest| format!(" with attestation {}", attest.letter()));
            format!("ACCEPT{attest}: {}", right_of(report))
        }
    }
}

/// By what right an accepted PASSporT was signed, in words.
fn right_of(report: &PassportReport) -> &'static str {
    match report.outcome() {
        Ok(Authority::Number) => "the certificate covers the number",
        Ok(Authority::OnlyBySpc(_)) => "the certificate names a provider code, not the number",
        _ => "authority over the priority was not judged",
    }
}

/// The one object; `passports` has the same members for each PASSporT.
fn json_of(verdict: &CallVerdict) -> Value {
    let mut members = match verdict.outcome() {
        Ok(report) => accepted(report),
        Err(fault) => rejected(fault),
    };
    let deciding = verdict.deciding();
    members.insert("ppi".into(), json!(deciding.and_then(PassportReport::ppi)));
    let outermost = deciding.and_then(PassportReport::passport);
    add_parties(&mut members, outermost.map(|passport| passport.claims()));
    members.insert("attest".into(), json!(verdict.attestation().map(|attest| attest.letter())));
    let diversions: Vec<_> = verdict.diversions().iter().map(|party| party.to_string()).collect();
    members.insert("div".into(), json!(diversions));
    for name in ["rcd", "crn", "rph"] {
        let claim = verdict.outcome().ok().and_then(|_| verdict.claim(name)).and_then(Json::to_text);
        if let Some(value) = claim.and_then(|text| serde_json::from_str::<Value>(&text).ok()) {
            members.insert(name.into(), value);
        }
    }
    members.insert("reasons".into(), json!(verdict.reasons()));
    let passports: Vec<_> = verdict.reports().iter().map(one).collect();
    members.insert("passports".into(), json!(passports));
    Value::Object(members)
}

fn one(report: &PassportReport) -> Value {
    let mut members = match report.outcome() {
        Ok(_) => accepted(report),
        Err(fault) => rejected(fault),
    };
    let claims = report.passport().map(|passport| passport.claims());
    members.insert("ppi".into(), json!(report.ppi()));
    members.insert("ppt".into(), json!(claims.and_then(|claims| claims.kind.ppt())));
    add_parties(&mut members, claims);
    let attest = claims.and_then(|claims| match &claims.kind {
        PassportType::Shaken { attest, .. } => Some(attest.letter()),
        _ => None,
    });
    members.insert("attest".into(), json!(attest));
    let div = claims.and_then(|claims| claims.kind.diverter()).map(ToString::to_string);
    members.insert("div".into(), json!(div.into_iter().collect::<Vec<_>>()));
    Value::Object(members)
}

fn accepted(report: &PassportReport) -> Map<String, Value> {
    members(json!({ "verdict": "accept", "stage": "-", "sip_code": 200, "reason": right_of(report) }))
}

fn rejected(fault: &Fault) -> Map<String, Value> {
    members(json!({
        "verdict": "reject",
        "stage": fault.stage().name(),
        "sip_code": fault.sip_code(),
        "reason": fault.to_string(),
    }))
}

/// Who calls whom by the claims: one called party as itself, several as an array.
fn add_parties(members: &mut Map<String, Value>, claims: Option<&Claims>) {
    members.insert("orig".into(), json!(claims.map(|claims| claims.orig.to_string())));
    let dest: Vec<_> = claims.into_iter().flat_map(|claims| &claims.dest).map(ToString::to_string).collect();
    let dest = match dest.as_slice() {
        [] => Value::Null,
        [dest] => json!(dest),
        several => json!(several),
    };
    members.insert("dest".into(), dest);
}

fn members(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}
