//! `herald sign`: one PASSporT from options and a file of claims.

use std::path::Path;
use std::process::ExitCode;

use herald_runtime::stir::services::new_origid;
use herald_runtime::stir::{
    CertificateReference, Claims, Identity, IdentityHeader, Leniency, Passport, SigningKey, content_digest,
    limits::PASSPORT_BYTES_MAX,
};
use herald_runtime::{SystemRandom, wall_clock};
use serde_json::{Map, Value, json};

use super::arguments::{Sign, Type};
use crate::calls::{inline_chain, read, read_text};
use crate::output::{Failure, Output};

pub(crate) fn sign(sign: &Sign, output: &Output) -> Result<ExitCode, Failure> {
    let certificate = match (&sign.certificate, &sign.x5u) {
        (Some(path), _) => inline_chain(path)?,
        (None, Some(url)) => CertificateReference::Url(url.clone()),
        (None, None) => return Err(Failure::usage("give --certificate FILE or --x5u URL")),
    };
    let key = SigningKey::from_pem(&read_text(&sign.key)?)
        .map_err(|error| Failure::usage(format!("{}: {error}", sign.key.display())))?;
    let payload = Value::Object(payload(sign)?).to_string();
    let claims = Claims::from_payload(payload.as_bytes(), sign.kind.ppt())
        .map_err(|fault| Failure::usage(format!("no verifier would accept these claims: {fault}")))?;
    let token = claims.sign(&certificate, &key).map_err(Failure::usage)?;
    let read_back = Leniency { bytes_max: PASSPORT_BYTES_MAX, ..Leniency::STRICT };
    let passport = Passport::parse(token.as_bytes(), &read_back).map_err(Failure::usage)?;
    let full = IdentityHeader::write(&passport);
    let compact = IdentityHeader::write_compact(&passport);
    const NEEDS_URL: &str = "an Identity header field names a URL: give --x5u";
    let text = match (sign.compact, sign.header) {
        (true, _) => compact.clone().ok_or(Failure::usage(NEEDS_URL))?,
        (false, true) => full.clone().ok_or(Failure::usage(NEEDS_URL))?,
        (false, false) => token.clone(),
    };
    output.answer(text, &json!({ "passport": token, "header": full, "compact": compact }));
    Ok(ExitCode::SUCCESS)
}

/// The claims of the file, with those of the options in their place.
fn payload(sign: &Sign) -> Result<Map<String, Value>, Failure> {
    let mut claims = sign.claims.as_deref().map(object).transpose()?.unwrap_or_default();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            claims.insert(name.to_owned(), value);
        }
    };
    put("orig", sign.orig.as_ref().map(claim_of));
    put("dest", (!sign.dest.is_empty()).then(|| destinations(&sign.dest)));
    put("iat", sign.at.map(|at_s| json!(at_s)));
    put("attest", sign.attest.map(|attest| json!(attest.letter())));
    put("origid", sign.origid.as_ref().map(|origid| json!(origid)));
    put("div", sign.div.as_ref().map(claim_of));
    put("opt", sign.opt.as_deref().map(token_of).transpose()?.map(|token| json!(token)));
    put("rph", (!sign.rph.is_empty()).then(|| json!({ "auth": sign.rph })));
    put("msgi", sign.message.as_deref().map(read).transpose()?.map(|body| json!(content_digest(&body))));
    if let Some(name) = &sign.name {
        let rcd = claims.entry("rcd").or_insert_with(|| json!({}));
        let rcd = rcd.as_object_mut().ok_or_else(|| Failure::usage("the claim rcd is no object"))?;
        rcd.insert("nam".into(), json!(name));
    }
    let now_s = wall_clock().as_millis() / 1000;
    claims.entry("iat").or_insert_with(|| json!(now_s));
    if sign.kind == Type::Shaken {
        claims.entry("attest").or_insert_with(|| json!("A"));
        claims.entry("origid").or_insert_with(|| json!(new_origid(&SystemRandom)));
    }
    Ok(claims)
}

fn claim_of(party: &Identity) -> Value {
    match party {
        Identity::Tn(number) => json!({ "tn": number.to_string() }),
        Identity::Uri(uri) => json!({ "uri": uri }),
    }
}

fn destinations(parties: &[Identity]) -> Value {
    let of_kind = |wanted: fn(&Identity) -> bool| -> Vec<String> {
        parties.iter().filter(|party| wanted(party)).map(ToString::to_string).collect()
    };
    let (numbers, uris) =
        (of_kind(|party| party.number().is_some()), of_kind(|party| party.number().is_none()));
    let arrays = [("tn", numbers), ("uri", uris)].into_iter().filter(|(_, texts)| !texts.is_empty());
    Value::Object(arrays.map(|(name, texts)| (name.to_owned(), json!(texts))).collect())
}

/// The object of a JSON file.
fn object(path: &Path) -> Result<Map<String, Value>, Failure> {
    match serde_json::from_slice(&read(path)?) {
        Ok(Value::Object(members)) => Ok(members),
        _ => Err(Failure::usage(format!("{}: not a JSON object", path.display()))),
    }
}

/// The token of a file, without the line end that editors add.
pub(super) fn token_of(path: &Path) -> Result<String, Failure> {
    Ok(read_text(path)?.trim_ascii_end().to_owned())
}
