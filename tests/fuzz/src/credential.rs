//! What storers and issuers say of tokens: credentials, challenges and issuer directories.
//!
//! The first byte of an input says what the rest is. What is taken as a credential is one by a plain reading of
//! docs/PROTOCOL.md, and has no second form; keys of a directory are those that a plain reader of JSON finds.

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use herald_admission::directory::Directory;
use herald_admission::limits::{DIRECTORY_BYTES_MAX, DIRECTORY_KEYS_MAX};
use herald_admission::{Challenge, Credential, Mode};
use serde_json::Value;

/// A second of the time in which keys are looked up.
const NOW_S: u64 = 1_795_300_000;

/// Reads `data`.
///
/// # Panics
/// If something is taken that a plain reader would not, or has two forms.
pub fn check(data: &[u8]) {
    let [mode, rest @ ..] = data else { return };
    match mode & 3 {
        0 => check_bytes(rest),
        1 => drop(str::from_utf8(rest).map(check_header)),
        2 => drop(str::from_utf8(rest).map(check_challenge)),
        _ => check_directory(rest),
    }
}

fn check_bytes(bytes: &[u8]) {
    match Credential::from_bytes(bytes) {
        Ok(credential) => {
            assert!(is_credential(bytes), "a plain reader finds no credential");
            assert_eq!(credential.to_bytes(), bytes, "a credential in a second form");
            assert_eq!(Credential::from_header(&credential.to_header()), Ok(credential));
        }
        Err(why) => assert!(!is_credential(bytes), "a credential is refused: {why:?}"),
    }
}

fn check_header(value: &str) {
    let Ok(credential) = Credential::from_header(value) else { return };
    assert_eq!(Credential::from_header(&credential.to_header()).as_ref(), Ok(&credential));
    let (scheme, said) = value.trim().split_once(' ').expect("a scheme and more");
    match credential {
        Credential::Presented(token) if token.mode() == Mode::Bearer => {
            assert!(scheme.eq_ignore_ascii_case("PrivateToken"));
            assert!(token.proof.is_empty() && is_of_its_type(&token.input.0, token.authenticator.len()));
        }
        credential => {
            assert!(scheme.eq_ignore_ascii_case("Admission"));
            let bytes = credential.to_bytes();
            assert_eq!(said.trim().trim_end_matches('='), URL_SAFE_NO_PAD.encode(&bytes));
            check_bytes(&bytes);
        }
    }
}

/// The plain reader: the table of docs/PROTOCOL.md over the whole.
fn is_credential(bytes: &[u8]) -> bool {
    let Some((&[1, form], rest)) = bytes.split_first_chunk() else { return false };
    let seal_bytes = match form {
        0 => return rest.len() == 16 + 4 + 16,
        1 => 16,
        2 => 64,
        _ => return false,
    };
    let Some((&[mode, high, low], rest)) = rest.split_first_chunk() else { return false };
    let Some((token, rest)) = rest.split_at_checked(usize::from(high) * 256 + usize::from(low)) else {
        return false;
    };
    let Some((&proof_bytes, rest)) = rest.split_first() else { return false };
    let is_whole = rest.len() == usize::from(proof_bytes) + 4 + seal_bytes;
    let Some(authenticator_bytes) = token.len().checked_sub(98) else { return false };
    is_whole
        && match (form, mode) {
            (1, 2) => authenticator_bytes == 0 && proof_bytes == 0,
            (1, 4 | 8) | (2, 16) => proof_bytes > 0 && is_of_its_type(token, authenticator_bytes),
            _ => false,
        }
}

/// The lengths of RFC 9578 §8.2.1 and of the draft on batches; others as long as a signature of RSA-4096.
fn is_of_its_type(token: &[u8], authenticator_bytes: usize) -> bool {
    match (token[0], token[1]) {
        (0, 1) => authenticator_bytes == 48,
        (0, 2) => authenticator_bytes == 256,
        (0, 5) => authenticator_bytes == 64,
        _ => (1..=512).contains(&authenticator_bytes),
    }
}

fn check_challenge(value: &str) {
    let Ok((challenge, key)) = Challenge::from_header(value) else { return };
    let written = challenge.header(&key);
    assert_eq!(Challenge::from_header(&written), Ok((challenge.clone(), key)));
    assert_eq!(Challenge::new(challenge.token_type(), challenge.name()).as_ref(), Ok(&challenge));
}

fn check_directory(body: &[u8]) {
    let Ok(directory) = Directory::read(body) else { return };
    assert!(body.len() <= DIRECTORY_BYTES_MAX && directory.keys.len() <= DIRECTORY_KEYS_MAX);
    // Texts in members that are passed over need not be any.
    let Ok(document) = serde_json::from_slice::<Value>(body) else { return };
    let entries = document["token-keys"].as_array().expect("keys are a list of an object");
    let plain: Vec<_> = entries.iter().take(DIRECTORY_KEYS_MAX).filter_map(plain_key).collect();
    let read: Vec<_> = directory.keys.iter().map(|key| (key.token_type, key.public_key.clone())).collect();
    assert_eq!(read, plain, "other keys than a plain reader finds");
    for key in &directory.keys {
        if let Some(found) = directory.key_for(key.token_type, &key.class, NOW_S) {
            assert!((found.not_before_s..found.not_after_s).contains(&NOW_S));
            assert_eq!((found.token_type, &found.class), (key.token_type, &key.class));
        }
    }
}

fn plain_key(entry: &Value) -> Option<(u16, Vec<u8>)> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let bytes = |text: &str| GeneralPurpose::new(&URL_SAFE, config).decode(text).ok();
    match entry.get("agreement-key") {
        None | Some(Value::Null) => {}
        Some(key) => drop(bytes(key.as_str()?)?),
    }
    let token_type = u16::try_from(entry["token-type"].as_u64()?).ok()?;
    Some((token_type, bytes(entry["token-key"].as_str()?)?))
}
