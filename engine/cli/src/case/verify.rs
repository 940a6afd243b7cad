//! `herald verify`: the verdict on what came with a call.

use std::process::ExitCode;

use herald_runtime::core::Timestamp;
use herald_runtime::stir::{
    CallContext, CallFacts, CallVerdict, Carrier, Fault, IdentityValue, SipRequest, TrustStore,
    VerificationPolicy,
};
use herald_runtime::{verdict_json, wall_clock};

use super::arguments::{Signalled, Verify};
use super::certificates::{Certificates, trust};
use super::presented::Presented;
use crate::calls::read;
use crate::output::{EXIT_NOT_GOOD, Failure, Output};

pub(crate) fn verify(verify: &Verify, output: &Output) -> Result<ExitCode, Failure> {
    let bytes = read(&verify.file)?;
    let verdict = Case::new(verify, trust(verify)?)?.judge(&bytes);
    output.answer(text_of(&verdict), &verdict_json(&verdict));
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
        if !verify.staple.is_empty() {
            policy.set("ocsp_staples", "on").map_err(Failure::usage)?;
        }
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
        Ok(self.policy.verify_call(&values, &context, &self.certificates, self.now))
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
        match values {
            [value] => CallVerdict::of_one(policy.verify_one(*value, &context, &self.certificates, self.now)),
            values => policy.verify_call(values, &context, &self.certificates, self.now),
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
            let right = report.outcome().map_or_else(ToString::to_string, ToString::to_string);
            format!("ACCEPT{attest}: {right}")
        }
    }
}
