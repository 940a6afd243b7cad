//! Verdicts and traces as JSON, for hosts and for the program: one object, the same names everywhere.
//!
//! It names the parties of the call: it goes to who asked, never to a log.

use herald_stir::services::{Checked, CpsUri, LookedUp, Said, SourceReport};
use herald_stir::{CallVerdict, Claims, Fault, Json, PassportReport, PassportType};
use serde_json::{Map, Value, json};

/// What was found of a call: the members of [`verdict_json`], and beside them `items`, `opened`, `lookup` (`null`, or why
/// not all was looked at) and `trace`, the steps of RFC 8816 §8.2.
pub fn checked_json(checked: &Checked) -> Value {
    let mut value = verdict_json(&checked.verdict);
    let steps = checked.trace.iter().map(|step| {
        let dropped: Map<String, Value> =
            step.dropped.iter().map(|(why, count)| (why.clone(), json!(count))).collect();
        json!({ "step": step.name.name(), "kept": step.kept_count, "dropped": dropped })
    });
    let more = [
        ("items", json!(checked.items_count)),
        ("opened", json!(checked.opened_count)),
        ("lookup", json!(checked.lookup.as_ref().err().map(ToString::to_string))),
        ("trace", steps.collect()),
    ];
    if let Value::Object(members) = &mut value {
        members.extend(more.map(|(name, value)| (name.to_owned(), value)));
    }
    value
}

/// How a number was looked up: `services` (URIs, the preferred one first), `fault` (`null`, or why there is none), `policy`,
/// `took_ms` and `sources`, in order: `source`, `said` (`found`, `nothing`, `failed`, `waiting` if it had not answered when
/// the matter was decided, `not asked`), `asked_after_ms`, `took_ms`, `why` of a failure, and of an answer `services`,
/// `proven`, `kept` (known from before), `fresh_s` and `note`.
pub fn looked_up_json(found: &LookedUp) -> Value {
    json!({
        "services": found.services.as_ref().map_or_else(|_| Vec::new(), |services| texts(services)),
        "fault": found.services.as_ref().err().map(ToString::to_string),
        "policy": found.policy.name(),
        "took_ms": found.took_ms,
        "sources": found.reports.iter().map(source_json).collect::<Vec<_>>(),
    })
}

fn source_json(report: &SourceReport) -> Value {
    let mut members = Map::new();
    add(&mut members, "source", report.source.as_str());
    let said = match &report.said {
        Said::NotAsked => "not asked",
        Said::Waiting => "waiting",
        Said::Failed(_) => "failed",
        Said::Answered(found) if found.services.is_empty() => "nothing",
        Said::Answered(_) => "found",
    };
    add(&mut members, "said", said);
    add(&mut members, "asked_after_ms", report.asked_after_ms);
    add(&mut members, "took_ms", report.took_ms);
    match &report.said {
        Said::Failed(fault) => add(&mut members, "why", fault.to_string()),
        Said::Answered(found) => {
            add(&mut members, "services", texts(&found.services));
            add(&mut members, "proven", found.is_proven);
            add(&mut members, "kept", found.is_kept);
            add(&mut members, "fresh_s", found.fresh_s);
            add(&mut members, "note", &*found.note);
        }
        Said::NotAsked | Said::Waiting => {}
    }
    Value::Object(members)
}

fn texts(services: &[CpsUri]) -> Vec<String> {
    services.iter().map(ToString::to_string).collect()
}

/// The verdict on a call: `verdict` (`accept`, `reject`, or `unknown` if it was not judged), `stage`, `sip_code`, `reason`
/// (of what is accepted, by what right it was signed), `ppi`, `orig`, `dest`, `attest`,
/// `div`, what to show (`rcd`, `crn`, `rph`), `reasons` (values of Reason header fields, RFC 9410), and `passports` with
/// the same members for each PASSporT.
pub fn verdict_json(verdict: &CallVerdict) -> Value {
    let mut members = match verdict.outcome() {
        Ok(report) => outcome_of(report),
        Err(fault) => rejected(fault),
    };
    let deciding = verdict.deciding();
    add(&mut members, "ppi", deciding.and_then(PassportReport::ppi));
    add_parties(&mut members, deciding.and_then(PassportReport::passport).map(|passport| passport.claims()));
    add(&mut members, "attest", verdict.attestation().map(|attest| attest.letter()));
    let diversions = verdict.diversions();
    add(&mut members, "div", diversions.iter().map(|party| party.to_string()).collect::<Vec<_>>());
    for name in ["rcd", "crn", "rph"] {
        let claim = verdict.outcome().ok().and_then(|_| verdict.claim(name)).and_then(Json::to_text);
        if let Some(value) = claim.and_then(|text| serde_json::from_str::<Value>(&text).ok()) {
            members.insert(name.into(), value);
        }
    }
    add(&mut members, "reasons", verdict.reasons());
    add(&mut members, "passports", verdict.reports().iter().map(one).collect::<Vec<_>>());
    Value::Object(members)
}

fn one(report: &PassportReport) -> Value {
    let mut members = outcome_of(report);
    let claims = report.passport().map(|passport| passport.claims());
    add(&mut members, "ppi", report.ppi());
    add(&mut members, "ppt", claims.and_then(|claims| claims.kind.ppt()));
    add_parties(&mut members, claims);
    let attest = claims.and_then(|claims| match &claims.kind {
        PassportType::Shaken { attest, .. } => Some(attest.letter()),
        _ => None,
    });
    add(&mut members, "attest", attest);
    let diverter = claims.and_then(|claims| claims.kind.diverter()).map(ToString::to_string);
    add(&mut members, "div", diverter.into_iter().collect::<Vec<_>>());
    Value::Object(members)
}

fn outcome_of(report: &PassportReport) -> Map<String, Value> {
    report.outcome().map_or_else(rejected, |authority| outcome("accept", "-", 200, authority.to_string()))
}

fn rejected(fault: &Fault) -> Map<String, Value> {
    match fault {
        Fault::NotJudged => outcome("unknown", "-", 0, fault.to_string()),
        fault => outcome("reject", fault.stage().name(), fault.sip_code(), fault.to_string()),
    }
}

fn outcome(verdict: &str, stage: &str, sip_code: u16, reason: String) -> Map<String, Value> {
    let mut members = Map::new();
    add(&mut members, "verdict", verdict);
    add(&mut members, "stage", stage);
    add(&mut members, "sip_code", sip_code);
    add(&mut members, "reason", reason);
    members
}

/// Who calls whom by the claims: one called party as itself, several as an array.
fn add_parties(members: &mut Map<String, Value>, claims: Option<&Claims>) {
    add(members, "orig", claims.map(|claims| claims.orig.to_string()));
    let dest: Vec<_> = claims.into_iter().flat_map(|claims| &claims.dest).map(ToString::to_string).collect();
    let dest = match dest.as_slice() {
        [] => Value::Null,
        [dest] => json!(dest),
        several => json!(several),
    };
    members.insert("dest".to_owned(), dest);
}

fn add(members: &mut Map<String, Value>, name: &str, value: impl Into<Value>) {
    members.insert(name.to_owned(), value.into());
}
