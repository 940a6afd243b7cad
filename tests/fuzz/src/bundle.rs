//! Key bundles, the lists of them that a server answers with, and the paths they are asked for by.
//!
//! An input that begins with `{` is read as a list and as the payload of a bundle that an owner of known numbers
//! signs; one that begins with `/` as a path; any other as a bundle and as an entry.

use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use herald_core::{TelephoneNumber, Timestamp};
use herald_stir::bundle::{Area, BundleFault, Listing, SignedBundle, TYPE};
use herald_stir::issue::{DevelopmentAuthority, Issued, Validity};
use herald_stir::limits::AHEAD_DEFAULT_S;
use herald_stir::{CertificateReference, Coverage, Suite, TnAuthList, TnEntry, TrustStore};

use crate::fixed::Fixed;

const NOW_S: u64 = 1_795_300_000;
const VALIDITY: Validity = Validity { from_s: NOW_S - 86_400, to_s: NOW_S + 86_400 };
/// What the owner's certificate stands for: ranges that touch and one that does not, some numbers, a code.
const OWNED: [&str; 7] = [
    "0-1234",
    "1-12225550100-100",
    "1-12225550200-50",
    "1-12225550251-9",
    "2-12225550123",
    "2-911",
    "2-*12#",
];
/// Ranges longer than all that is owned are not walked through.
const OWNED_COUNT_MAX: u64 = 200;

/// Reads `data`.
///
/// # Panics
/// If a bundle is believed for other numbers than its certificate stands for, at another time or for another suite; if
/// one is not believed that should be; or if something that was read is not the same after it was written and read again.
pub fn check(data: &[u8]) {
    match data.first() {
        Some(b'{') => {
            check_listing(data);
            check_payload(data);
        }
        Some(b'/') => check_path(&String::from_utf8_lossy(data)),
        _ => {
            check_entry(&String::from_utf8_lossy(data));
            check_token(data);
        }
    }
}

struct House {
    trust: TrustStore,
    owner: Issued,
    certificate: CertificateReference,
    owned: TnAuthList,
}

fn house() -> &'static House {
    static HOUSE: OnceLock<House> = OnceLock::new();
    HOUSE.get_or_init(|| {
        let random = Fixed::new(6);
        let authority = DevelopmentAuthority::new("Fuzz", VALIDITY, &random).expect("an authority");
        let entries = OWNED.map(|entry| entry.parse().expect("an entry"));
        let owned = TnAuthList::new(entries.to_vec()).expect("a list");
        let owner = authority.issue("Owner", &owned, VALIDITY, &random).expect("a certificate");
        let trust = TrustStore::from_pem(authority.root_pem().as_bytes()).expect("a root");
        let certificate = CertificateReference::inline_from_pem(owner.chain_pem.as_bytes()).expect("a chain");
        House { trust, owner, certificate, owned }
    })
}

/// Nobody but the owner signs what is believed; who carries no certificates is not believed without them.
fn check_token(token: &[u8]) {
    let Ok(signed) = SignedBundle::parse(token) else { return };
    let fault = verify(&signed).expect_err("a bundle that nobody signed is believed");
    let is_elsewhere = matches!(signed.certificate(), CertificateReference::Url(_));
    assert!(!is_elsewhere || fault == BundleFault::NotInline);
    assert!(!fault.to_string().is_empty());
}

fn verify(signed: &SignedBundle) -> Result<(), BundleFault> {
    let now = Timestamp::from_millis(NOW_S * 1000);
    signed.clone().verify_inline(&house().trust, Suite::X25519, now).map(|_| ())
}

/// What can be read can be signed, reads the same, and is believed exactly as far as its owner goes.
fn check_payload(payload: &[u8]) {
    let house = house();
    let header = format!("{{\"alg\":\"ES256\",\"typ\":\"{TYPE}\",\"x5u\":\"https://a/b\"}}");
    let token = [header.as_bytes(), payload, &[1; 64]].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
    let Ok(unsigned) = SignedBundle::parse(token.as_bytes()) else { return };
    let bundle = unsigned.bundle();
    let token = match bundle.sign(&house.certificate, &house.owner.key) {
        Ok(token) => token,
        // Its certificates make it longer.
        Err(BundleFault::TooLong(_)) => return,
        Err(fault) => panic!("what was read cannot be signed: {fault}"),
    };
    let signed = SignedBundle::parse(token.as_bytes()).expect("what was signed is read");
    assert_eq!(signed.bundle(), bundle);
    let is_timely = bundle.exp_s > NOW_S && bundle.iat_s <= NOW_S + AHEAD_DEFAULT_S;
    let fits = bundle.keys.iter().all(|key| key.suite() == Suite::X25519);
    let is_owned = core::iter::once(&bundle.issuer).chain(&bundle.entries).all(is_owned);
    let verdict = verify(&signed);
    assert_eq!(verdict.is_ok(), is_timely && fits && is_owned, "{verdict:?}");
}

/// Number by number.
fn is_owned(entry: &TnEntry) -> bool {
    let owned = &house().owned;
    let covers = |number| owned.coverage(number) == Coverage::Covered;
    match entry {
        TnEntry::Spc(code) => code == "1234",
        TnEntry::One(number) => covers(*number),
        TnEntry::Range(range) if range.count() > OWNED_COUNT_MAX => false,
        TnEntry::Range(range) => {
            let first: u64 = range.start().to_string().parse().expect("a range is of digits");
            let width = range.start().sign_count();
            (0..range.count()).all(|offset| {
                format!("{:0width$}", first + offset).parse::<TelephoneNumber>().is_ok_and(covers)
            })
        }
    }
}

fn check_listing(body: &[u8]) {
    let Some(listing) = Listing::parse(body) else { return };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if !listing.tokens.iter().all(|token| token.bytes().all(is_plain)) {
        return;
    }
    let written = Listing::write(listing.tokens.iter().map(String::as_str), listing.is_truncated);
    let again = Listing::parse(&written).expect("what is written is read");
    assert!(listing.tokens.starts_with(&again.tokens));
    let is_cut = again.tokens.len() < listing.tokens.len();
    assert_eq!(again.is_truncated, listing.is_truncated || is_cut, "what was left out is not told");
}

fn check_path(path: &str) {
    let Some(area) = Area::of_path(path) else { return };
    assert_eq!(Area::of_path(&area.path()).as_ref(), Some(&area));
    let signs = match &area {
        Area::Number(number) | Area::Prefix(number) if number.sign_count() > 3 => number.to_string(),
        _ => return,
    };
    assert!(!format!("{area:?}").contains(&signs), "Debug shows a number");
}

fn check_entry(text: &str) {
    if let Ok(entry) = text.parse::<TnEntry>() {
        assert_eq!(entry.to_string().parse(), Ok(entry));
    }
}
