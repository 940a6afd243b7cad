//! Certificates that were taken back, and everything that says so: lists, lists about others, stapled answers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use ::der::asn1::GeneralizedTime;
use ::der::{Decode, Encode};
use common::at_s;
use common::pki::{Made, T0, der, extension, issuer, numbers, signer, spc};
use herald_stir::{Fault, RevocationPolicy, StirError, TrustStore};
use rcgen::{CertificateParams, CustomExtension, DnType, KeyPair, KeyUsagePurpose, SigningKey};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

const SIGNER: u8 = 3;
const ISSUER: u8 = 2;
const LIST_POINTS: &[u64] = &[2, 5, 29, 31];
const NO_REVOCATION: &[u64] = &[2, 5, 29, 56];
const REQUIRED: RevocationPolicy = RevocationPolicy { short_lived_s: 0, use_staples: false, required: true };
const STAPLED: RevocationPolicy = RevocationPolicy { short_lived_s: 0, use_staples: true, required: false };

/// A chain of three, with its names in DER, and a policy administrator beside it.
struct House {
    made: Made,
    root_name: Vec<u8>,
    issuer_name: Vec<u8>,
    administrator: KeyPair,
    administrator_pem: String,
    administrator_name: Vec<u8>,
}

impl House {
    fn new() -> Self {
        Self::with(|_| {})
    }

    /// The certificates of signer and issuer, the last two of `levels`, are changed by `change`.
    fn with(change: impl Fn(&mut [CertificateParams])) -> Self {
        let mut levels = vec![issuer(vec![]), issuer(vec![]), signer(vec![numbers(vec![spc("709J")])])];
        change(&mut levels);
        let made = Made::new(levels);
        let chain = certificates(&made.chain_pem);
        let (administrator, administrator_pem) = administrator(|_| {});
        Self {
            root_name: chain[1].tbs_certificate().issuer().to_der().unwrap(),
            issuer_name: chain[0].tbs_certificate().issuer().to_der().unwrap(),
            administrator_name: administrator_name(),
            administrator,
            administrator_pem,
            made,
        }
    }

    /// A list of the issuing authority.
    fn own(&self) -> List {
        List::new(&self.issuer_name)
    }

    /// A list of the policy administrator, about anybody's certificates.
    fn national(&self) -> List {
        // SEQUENCE { [4] indirectCRL TRUE }
        List::new(&self.administrator_name).extension("2.5.29.28", true, &[0x30, 3, 0x84, 1, 0xff])
    }

    fn own_key(&self) -> &KeyPair {
        &self.made.pairs[1]
    }

    fn trust(&self) -> TrustStore {
        self.made.trust()
    }

    fn national_trust(&self) -> TrustStore {
        self.trust().with_list_signers_pem(self.administrator_pem.as_bytes()).unwrap()
    }

    fn judge(&self, trust: &TrustStore, lists: &[Vec<u8>]) -> Result<(), Fault> {
        let trust =
            if lists.is_empty() { trust.clone() } else { trust.clone().with_crls_der(lists).unwrap() };
        self.made.chain().verify(&trust, at_s(T0)).map(|_| ())
    }
}

fn certificates(pem: &str) -> Vec<x509_cert::Certificate> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .map(|der| x509_cert::Certificate::from_der(&der.unwrap()).unwrap())
        .collect()
}

fn administrator(change: impl Fn(&mut CertificateParams)) -> (KeyPair, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = issuer(vec![]);
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Policy Administrator");
    change(&mut params);
    let pem = params.self_signed(&key).unwrap().pem();
    (key, pem)
}

fn administrator_name() -> Vec<u8> {
    name(0x0c, "Policy Administrator")
}

/// A Name of an organization, its text of the string type `tag`.
fn name(tag: u8, organization: &str) -> Vec<u8> {
    let attribute = [vec![6, 3, 0x55, 4, 10], der(tag, organization.as_bytes())].concat();
    der(0x30, &der(0x31, &der(0x30, &attribute)))
}

fn time(at_s: u64) -> Vec<u8> {
    GeneralizedTime::from_unix_duration(std::time::Duration::from_secs(at_s)).unwrap().to_der().unwrap()
}

const ECDSA_SHA256: &[u8] = &[0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];

fn oid(text: &str) -> Vec<u8> {
    ::der::asn1::ObjectIdentifier::new_unwrap(text).to_der().unwrap()
}

fn extension_der(id: &str, critical: bool, value: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if critical { &[1, 1, 0xff] } else { &[] };
    der(0x30, &[&oid(id), critical, &der(4, value)].concat())
}

/// GeneralNames with one directory name.
fn general_names(name: &[u8]) -> Vec<u8> {
    der(0x30, &der(0xa4, name))
}

/// `SEQUENCE { message, ecdsa-with-SHA256, signature }`, and what may stand behind.
fn signed(message: &[u8], key: &KeyPair, behind: &[u8]) -> Vec<u8> {
    let signature = [&[0], &key.sign(message).unwrap()[..]].concat();
    der(0x30, &[message, ECDSA_SHA256, &der(3, &signature), behind].concat())
}

/// A revocation list to be signed.
#[derive(Clone)]
struct List {
    issuer: Vec<u8>,
    next_update: Vec<u8>,
    entries: Vec<u8>,
    extensions: Vec<u8>,
}

impl List {
    fn new(issuer: &[u8]) -> Self {
        let (entries, extensions) = (Vec::new(), Vec::new());
        Self { issuer: issuer.to_vec(), next_update: time(T0 + 600), entries, extensions }
    }

    fn until(mut self, at_s: u64) -> Self {
        self.next_update = time(at_s);
        self
    }

    fn naming(self, serial: u8) -> Self {
        self.entry(serial, &[])
    }

    /// An entry that says whose certificate it is about.
    fn naming_of(self, issuer: &[u8], serial: u8) -> Self {
        self.entry(serial, &extension_der("2.5.29.29", true, &general_names(issuer)))
    }

    fn entry(mut self, serial: u8, extensions: &[u8]) -> Self {
        let extensions = if extensions.is_empty() { vec![] } else { der(0x30, extensions) };
        let entry = [vec![2, 1, serial], time(T0 - 10), extensions].concat();
        self.entries.extend(der(0x30, &entry));
        self
    }

    fn extension(mut self, id: &str, critical: bool, value: &[u8]) -> Self {
        self.extensions.extend(extension_der(id, critical, value));
        self
    }

    fn signed(&self, key: &KeyPair) -> Vec<u8> {
        let entries = if self.entries.is_empty() { vec![] } else { der(0x30, &self.entries) };
        let extensions =
            if self.extensions.is_empty() { vec![] } else { der(0xa0, &der(0x30, &self.extensions)) };
        let fields = [
            &[2, 1, 1],
            ECDSA_SHA256,
            &self.issuer,
            &time(T0 - 600),
            &self.next_update,
            &entries,
            &extensions,
        ];
        signed(&der(0x30, &fields.concat()), key, &[])
    }
}

/// A distribution point extension: at `url`, and issued by `list_issuer` if not by the certificate's issuer.
fn list_point(url: Option<&str>, list_issuer: Option<&[u8]>) -> CustomExtension {
    let at = url.map(|url| der(0xa0, &der(0xa0, &der(0x86, url.as_bytes())))).unwrap_or_default();
    let by = list_issuer.map(|name| der(0xa2, &der(0xa4, name))).unwrap_or_default();
    CustomExtension::from_oid_content(LIST_POINTS, der(0x30, &der(0x30, &[at, by].concat())))
}

#[test]
fn a_list_of_the_issuer_revokes_what_it_names() {
    let house = House::new();
    let (own, key) = (|| house.own(), house.own_key());
    let root = List::new(&house.root_name);
    // SEQUENCE { [1] onlyContainsUserCerts } and SEQUENCE { [2] onlyContainsCACerts }.
    let users = |list: List| list.extension("2.5.29.28", true, &[0x30, 3, 0x81, 1, 0xff]);
    let authorities = |list: List| list.extension("2.5.29.28", true, &[0x30, 3, 0x82, 1, 0xff]);
    let stranger = KeyPair::generate().unwrap();
    let unknown = Err(Fault::RevocationUnknown);
    for (case, list, expected) in [
        ("an empty one", own().signed(key), Ok(())),
        ("another's number", own().naming(9).signed(key), Ok(())),
        ("the signer's", own().naming(9).naming(SIGNER).signed(key), Err(Fault::Revoked)),
        ("the issuer's number", own().naming(ISSUER).signed(key), Ok(())),
        ("the issuer", root.clone().naming(ISSUER).signed(&house.made.pairs[0]), Err(Fault::Revoked)),
        (
            "the signer's number in the root's",
            root.clone().naming(SIGNER).signed(&house.made.pairs[0]),
            Ok(()),
        ),
        ("past", own().until(T0 - 1).signed(key), unknown.clone()),
        ("past, the signer's", own().until(T0 - 1).naming(SIGNER).signed(key), Err(Fault::Revoked)),
        ("of users", users(own().naming(SIGNER)).signed(key), Err(Fault::Revoked)),
        ("of authorities, past", authorities(own().until(T0 - 1)).signed(key), Ok(())),
        ("of users, past", users(own().until(T0 - 1)).signed(key), unknown.clone()),
        ("by a stranger", own().signed(&stranger), unknown.clone()),
        ("by a stranger, the signer's", own().naming(SIGNER).signed(&stranger), unknown),
        ("of a stranger", List::new(&name(0x0c, "x")).naming(SIGNER).signed(&stranger), Ok(())),
    ] {
        assert_eq!(house.judge(&house.trust(), &[list]), expected, "{case}");
    }
    let (past, fresh) = (own().until(T0 - 1).signed(key), own().signed(key));
    for lists in [[past.clone(), fresh.clone()], [fresh, past]] {
        assert_eq!(house.judge(&house.trust(), &lists), Ok(()), "a newer list replaces an older one");
    }
    let no_lists = House::with(|levels| levels[1].key_usages = vec![KeyUsagePurpose::KeyCertSign]);
    let list = no_lists.own().naming(SIGNER).signed(no_lists.own_key());
    assert_eq!(no_lists.judge(&no_lists.trust(), &[list]), Err(Fault::RevocationUnknown), "not for lists");
}

#[test]
fn a_national_list_revokes_certificates_of_every_issuer() {
    let house = House::new();
    let key = &house.administrator;
    let other = name(0x0c, "Other");
    let national = || house.national();
    // The same name as other software writes it.
    let spelled = {
        let folded = String::from_utf8_lossy(&house.issuer_name).replace("level", "LEVEL");
        assert_ne!(folded.as_bytes(), house.issuer_name);
        folded.into_bytes()
    };
    for (case, list, expected) in [
        ("the signer's", national().naming_of(&house.issuer_name, SIGNER).signed(key), Err(Fault::Revoked)),
        ("in other letters", national().naming_of(&spelled, SIGNER).signed(key), Err(Fault::Revoked)),
        ("the issuer's", national().naming_of(&house.root_name, ISSUER).signed(key), Err(Fault::Revoked)),
        ("of another issuer", national().naming_of(&other, SIGNER).signed(key), Ok(())),
        ("of nobody named", national().naming(SIGNER).signed(key), Ok(())),
        (
            "of the issuer named before",
            national().naming_of(&other, 1).naming_of(&house.issuer_name, 9).naming(SIGNER).signed(key),
            Err(Fault::Revoked),
        ),
        (
            "of another named in between",
            national().naming_of(&house.issuer_name, 9).naming_of(&other, 1).naming(SIGNER).signed(key),
            Ok(()),
        ),
        (
            "by the issuer",
            national().naming_of(&house.issuer_name, SIGNER).signed(house.own_key()),
            Err(Fault::RevocationUnknown),
        ),
    ] {
        assert_eq!(house.judge(&house.national_trust(), &[list]), expected, "{case}");
    }
    let list = national().naming_of(&house.issuer_name, SIGNER).signed(key);
    assert_eq!(
        house.judge(&house.trust(), std::slice::from_ref(&list)),
        Err(Fault::RevocationUnknown),
        "nobody vouches for it"
    );
    let (_, pem) = administrator(|params| params.key_usages = vec![KeyUsagePurpose::KeyCertSign]);
    let trust = house.trust().with_list_signers_pem(pem.as_bytes()).unwrap();
    assert_eq!(house.judge(&trust, &[list]), Err(Fault::RevocationUnknown), "another key, and not for lists");
}

#[test]
fn what_no_list_speaks_for_passes_unless_the_policy_wants_more() {
    let here = House::with(|levels| levels[2].custom_extensions.push(list_point(Some("http://l/1"), None)));
    let named = House::with(|levels| {
        for level in &mut levels[1..] {
            level.custom_extensions.push(list_point(Some("http://l/n"), Some(&administrator_name())));
        }
    });
    let roots = |house: &House| List::new(&house.root_name).signed(&house.made.pairs[0]);
    let required = |house: &House| house.national_trust().with_revocation(REQUIRED);
    // SEQUENCE { [0] { [0] { URI } } }
    let at = |list: List, url: &str| {
        let point = der(0x30, &der(0xa0, &der(0xa0, &der(0x86, url.as_bytes()))));
        list.extension("2.5.29.28", true, &point)
    };
    let unknown = Err(Fault::RevocationUnknown);
    let own = |list: List| list.signed(here.own_key());
    let national = |list: List| list.signed(&named.administrator);
    for (case, house, lists, expected) in [
        ("nothing", &here, vec![], unknown.clone()),
        ("the root's alone", &here, vec![roots(&here)], unknown.clone()),
        ("both", &here, vec![roots(&here), own(here.own())], Ok(())),
        ("published there", &here, vec![roots(&here), own(at(here.own(), "http://l/1"))], Ok(())),
        (
            "published elsewhere",
            &here,
            vec![roots(&here), own(at(here.own(), "http://l/2"))],
            unknown.clone(),
        ),
        ("a national one that is not named", &here, vec![national(here.national())], unknown.clone()),
        ("a national one", &named, vec![national(named.national())], Ok(())),
        ("a national one that is past", &named, vec![national(named.national().until(T0 - 1))], unknown),
    ] {
        assert_eq!(house.judge(&required(house), &lists), expected, "{case}");
    }
    let past = national(named.national().until(T0 - 1));
    assert_eq!(named.judge(&named.national_trust(), &[past]), Err(Fault::RevocationUnknown), "it was named");
    assert_eq!(here.judge(&here.trust(), &[]), Ok(()));
}

#[test]
fn a_list_that_is_not_understood_is_not_taken() {
    let house = House::new();
    let own = |list: List| list.signed(house.own_key());
    let list = || house.own();
    let whole = own(list());
    let mut no_next_update = list();
    no_next_update.next_update = vec![];
    for (case, der) in [
        ("a delta list", own(list().extension("2.5.29.27", true, &[2, 1, 1]))),
        // SEQUENCE { [3] onlySomeReasons }.
        ("some reasons", own(list().extension("2.5.29.28", true, &[0x30, 4, 0x83, 2, 6, 0x40]))),
        ("attributes", own(list().extension("2.5.29.28", true, &[0x30, 3, 0x85, 1, 0xff]))),
        ("a critical extension", own(list().extension("2.5.29.99", true, &[5, 0]))),
        ("a critical entry extension", own(list().entry(9, &extension_der("2.5.29.99", true, &[5, 0])))),
        ("another's certificate in a direct list", own(list().naming_of(&house.root_name, 1))),
        ("no next update", own(no_next_update)),
        ("cut", whole[..whole.len() - 1].to_vec()),
        ("empty", vec![]),
    ] {
        assert_eq!(
            house.trust().with_crls_der(&[der]).err(),
            Some(StirError::Trust("certificate revocation lists")),
            "{case}"
        );
    }
    assert!(house.trust().with_crls_der(&[own(list().extension("2.5.29.20", false, &[2, 1, 1]))]).is_ok());
    assert!(house.trust().with_crls_der(&[]).is_err());
    assert!(house.trust().with_crls_der(&vec![whole.clone(); 256]).is_ok());
    assert!(house.trust().with_crls_der(&vec![whole; 257]).is_err());
    assert!(house.trust().with_list_signers_pem(b"").is_err());
}

#[test]
fn what_runs_out_soon_is_not_looked_up() {
    let judge = |house: &House, policy| {
        house.judge(
            &house.trust().with_revocation(policy),
            &[house.own().naming(SIGNER).signed(house.own_key())],
        )
    };
    let short = |short_lived_s| RevocationPolicy { short_lived_s, ..RevocationPolicy::default() };
    let house = House::new();
    // The signer's certificate is valid for 2000 seconds.
    assert_eq!(judge(&house, short(0)), Err(Fault::Revoked));
    assert_eq!(judge(&house, short(1999)), Err(Fault::Revoked));
    assert_eq!(judge(&house, short(2000)), Ok(()));
    let nothing_to_look_up = |level: usize| {
        House::with(|levels| levels[level].custom_extensions.push(extension(NO_REVOCATION, "0500")))
    };
    assert_eq!(judge(&nothing_to_look_up(2), short(0)), Ok(()));
    let issuer = nothing_to_look_up(1);
    let list = List::new(&issuer.root_name).naming(ISSUER).signed(&issuer.made.pairs[0]);
    assert_eq!(
        issuer.judge(&issuer.trust().with_revocation(short(2000)), &[list]),
        Err(Fault::Revoked),
        "an authority's"
    );
}

#[test]
fn what_is_known_of_a_chain_ends_with_its_list() {
    let house = House::new();
    let trust = house.trust().with_crls_der(&[house.own().until(T0 + 60).signed(house.own_key())]).unwrap();
    let chain = house.made.chain();
    assert_eq!(chain.verify(&trust, at_s(T0)).err(), None);
    assert_eq!(chain.verify(&trust, at_s(T0 + 60)).err(), None);
    assert_eq!(chain.verify(&trust, at_s(T0 + 61)).err(), Some(Fault::RevocationUnknown));
}

const GOOD: &[u8] = &[0x80, 0];
const UNKNOWN: &[u8] = &[0x82, 0];

/// An OCSP answer about the signer's certificate.
struct Answer<'a> {
    house: &'a House,
    status: Vec<u8>,
    serial: u8,
    from_s: u64,
    until_s: Option<u64>,
    sha256: bool,
    extensions: Vec<u8>,
}

impl<'a> Answer<'a> {
    fn new(house: &'a House, status: &[u8]) -> Self {
        let (from_s, until_s) = (T0 - 60, Some(T0 + 60));
        Self {
            house,
            status: status.to_vec(),
            serial: SIGNER,
            from_s,
            until_s,
            sha256: false,
            extensions: vec![],
        }
    }

    fn signed(&self, key: &KeyPair, responders: &[String]) -> Vec<u8> {
        use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
        let (hash_oid, hash) = match self.sha256 {
            true => ("2.16.840.1.101.3.4.2.1", &SHA256),
            false => ("1.3.14.3.2.26", &SHA1_FOR_LEGACY_USE_ONLY),
        };
        let chain = certificates(&self.house.made.chain_pem);
        let issuer_key = chain[1].tbs_certificate().subject_public_key_info().subject_public_key.raw_bytes();
        let hashed = |bytes: &[u8]| der(4, digest(hash, bytes).as_ref());
        let algorithm = der(0x30, &[oid(hash_oid), vec![5, 0]].concat());
        let id = [algorithm, hashed(&self.house.issuer_name), hashed(issuer_key), vec![2, 1, self.serial]]
            .concat();
        let next = self.until_s.map(|at_s| der(0xa0, &time(at_s))).unwrap_or_default();
        let answer =
            [der(0x30, &id), self.status.clone(), time(self.from_s), next, self.extensions.clone()].concat();
        let responder = der(0xa2, &hashed(issuer_key));
        let data = [responder, time(T0 - 60), der(0x30, &der(0x30, &answer))].concat();
        let responders: Vec<Vec<u8>> = responders
            .iter()
            .flat_map(|pem| {
                CertificateDer::pem_slice_iter(pem.as_bytes())
                    .map(|der| der.unwrap().to_vec())
                    .collect::<Vec<_>>()
            })
            .collect();
        let behind = if responders.is_empty() { vec![] } else { der(0xa0, &der(0x30, &responders.concat())) };
        let basic = signed(&der(0x30, &data), key, &behind);
        let bytes = der(0x30, &[oid("1.3.6.1.5.5.7.48.1.1"), der(4, &basic)].concat());
        der(0x30, &[vec![0x0a, 1, 0], der(0xa0, &bytes)].concat())
    }
}

#[test]
fn a_stapled_answer_of_the_issuer_or_its_responder_counts() {
    let house = House::new();
    let revoked = der(0xa1, &time(T0 - 100));
    let key = house.own_key();
    let answer = |status: &[u8]| Answer::new(&house, status);
    let stranger = KeyPair::generate().unwrap();
    let responder = |change: fn(&mut CertificateParams), by_root: bool| {
        let (name, pair) = if by_root { ("level 0", &house.made.pairs[0]) } else { ("level 1", key) };
        let mut above = issuer(vec![]);
        above.distinguished_name.push(DnType::OrganizationName, name);
        let above = rcgen::Issuer::new(above, KeyPair::from_pem(&pair.serialize_pem()).unwrap());
        let mut params = signer(vec![]);
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::OcspSigning];
        change(&mut params);
        params.signed_by(&stranger, &above).unwrap().pem()
    };
    let past = |params: &mut CertificateParams| {
        params.not_after = rcgen::date_time_ymd(1970, 1, 1) + std::time::Duration::from_secs(T0 - 1);
    };
    let critical = der(0xa1, &der(0x30, &extension_der("2.5.29.99", true, &[5, 0])));
    let required = RevocationPolicy { required: true, ..STAPLED };
    let with = |answer: Answer<'_>, key: &KeyPair, responders: &[String]| answer.signed(key, responders);
    let unknown = || Err(Fault::RevocationUnknown);
    // The issuer's own certificate is spoken for by the root's list.
    for (case, staple, expected) in [
        ("good", with(answer(GOOD), key, &[]), Ok(())),
        ("good, by SHA-256", with(Answer { sha256: true, ..answer(GOOD) }, key, &[]), Ok(())),
        ("revoked", with(answer(&revoked), key, &[]), Err(Fault::Revoked)),
        ("unknown", with(answer(UNKNOWN), key, &[]), unknown()),
        ("past", with(Answer { until_s: Some(T0 - 1), ..answer(GOOD) }, key, &[]), unknown()),
        ("endless", with(Answer { until_s: None, ..answer(GOOD) }, key, &[]), unknown()),
        ("to come", with(Answer { from_s: T0 + 1, ..answer(GOOD) }, key, &[]), unknown()),
        ("another's", with(Answer { serial: 9, ..answer(GOOD) }, key, &[]), unknown()),
        ("by a stranger", with(answer(GOOD), &stranger, &[]), unknown()),
        ("by a responder", with(answer(GOOD), &stranger, &[responder(|_| {}, false)]), Ok(())),
        (
            "by a responder, revoked",
            with(answer(&revoked), &stranger, &[responder(|_| {}, false)]),
            Err(Fault::Revoked),
        ),
        ("by the root's responder", with(answer(GOOD), &stranger, &[responder(|_| {}, true)]), unknown()),
        (
            "by a signer",
            with(answer(GOOD), &stranger, &[responder(|p| p.extended_key_usages.clear(), false)]),
            unknown(),
        ),
        ("by a responder of the past", with(answer(GOOD), &stranger, &[responder(past, false)]), unknown()),
    ] {
        let roots = List::new(&house.root_name).signed(&house.made.pairs[0]);
        let trust = house.trust().with_revocation(required).with_crls_der(&[roots]).unwrap();
        let chain = house.made.chain().with_staples(&[&staple]).unwrap();
        assert_eq!(chain.verify(&trust, at_s(T0)).map(|_| ()), expected, "{case}");
    }

    let revoked = with(answer(&revoked), key, &[]);
    let judge = |trust: &TrustStore, staples: &[&[u8]]| {
        house.made.chain().with_staples(staples).map(|chain| chain.verify(trust, at_s(T0)).map(|_| ()))
    };
    assert_eq!(judge(&house.trust(), &[&revoked]), Ok(Ok(())), "not looked at unless the policy says so");
    assert_eq!(judge(&house.trust().with_revocation(STAPLED), &[&revoked]), Ok(Err(Fault::Revoked)));
    let good = with(answer(GOOD), key, &[]);
    assert_eq!(judge(&house.trust(), &[&good[..good.len() - 1]]), Err(Fault::Staple));
    assert_eq!(
        judge(&house.trust(), &[&with(Answer { extensions: critical, ..answer(GOOD) }, key, &[])]),
        Err(Fault::Staple)
    );
    assert_eq!(judge(&house.trust(), &[&good[..]; 7]), Err(Fault::Staple), "too many");
    // A good answer outweighs a list that is out of date; a list that names the certificate outweighs both.
    let stale = house.own().until(T0 - 1);
    let trust =
        |list: &List| house.trust().with_revocation(STAPLED).with_crls_der(&[list.signed(key)]).unwrap();
    assert_eq!(judge(&trust(&stale), &[&good]), Ok(Ok(())));
    assert_eq!(judge(&trust(&stale), &[]), Ok(Err(Fault::RevocationUnknown)));
    assert_eq!(judge(&trust(&stale.naming(SIGNER)), &[&good]), Ok(Err(Fault::Revoked)));
}
