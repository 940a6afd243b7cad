//! What the library adds to the cryptography it calls, as ratios of one run: `cargo run --release --example ratios
//! -p herald-stir`. Prints Markdown; exits with 1 if a ratio is over its bound.
//!
//! Each round times both sides in turn, in CPU time of the thread, so that other programs count little; the ratio is
//! the median over rounds. Its spread is that of the medians of fifths of the rounds.

#![allow(clippy::print_stdout, reason = "its figures are its output")]

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Duration;

use herald_core::{TelephoneNumber, Timestamp};
use herald_stir::issue::{DevelopmentAuthority, Validity};
use herald_stir::*;

const ROUNDS: usize = 405;
const FIFTH: usize = ROUNDS / 5;
/// How long one side of a round takes, in microseconds: short against the time slices of a busy machine, so that most
/// rounds are not interrupted.
const SIDE_US: f64 = 250.0;
const NOW_S: u64 = 1_795_300_000;

type AnyError = Box<dyn std::error::Error>;

/// A call of ours against the bare call within it.
struct Ratio {
    name: &'static str,
    bound: f64,
    ours: Box<dyn Fn()>,
    bare: Box<dyn Fn()>,
}

fn main() -> Result<ExitCode, AnyError> {
    let mut over = false;
    println!("| call | it, µs | the bare call within it, µs | ratio: median (least to most) | bound |");
    println!("|---|--:|--:|--:|--:|");
    for ratio in ratios()? {
        let Measured { ours_us, bare_us, median, least, most } = measure(&ratio);
        over |= median > ratio.bound;
        let bound = if ratio.bound.is_finite() { format!("≤ {}", ratio.bound) } else { String::new() };
        println!(
            "| {} | {ours_us:.1} | {bare_us:.1} | {median:.3} ({least:.3} to {most:.3}) | {bound} |",
            ratio.name
        );
    }
    Ok(if over { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn ratios() -> Result<Vec<Ratio>, AnyError> {
    let kept = Signed::new(Carried::ByUrl)?;
    let fetched = Signed::new(Carried::ByUrl)?;
    let pem = fetched.chain_pem.clone().into_bytes();
    let (bare, bare_again) = (Signed::new(Carried::ByUrl)?, Signed::new(Carried::ByUrl)?);
    let cache = kept.cache()?;
    let (carried, bare_carried) = (Signed::new(Carried::Inline)?, Signed::new(Carried::Inline)?);
    let empty = ChainCache::default();
    Ok([
        Ratio {
            name: "verify, shaken, chain in the cache",
            bound: 1.3,
            ours: Box::new(move || kept.verify(&cache)),
            bare: Box::new(move || bare.verify_signature()),
        },
        Ratio {
            // Nothing is promised of it: the token is some seven times longer.
            name: "verify, shaken, chain in the token and in the cache",
            bound: f64::INFINITY,
            ours: Box::new(move || carried.verify(&empty)),
            bare: Box::new(move || bare_carried.verify_signature()),
        },
        Ratio {
            // Nothing is promised of it: it shows what the cache saves.
            name: "verify, shaken, chain read and verified anew",
            bound: f64::INFINITY,
            ours: Box::new(move || fetched.verify(&|_: &str| Some(pem.clone()))),
            bare: Box::new(move || bare_again.verify_signature()),
        },
    ]
    .into_iter()
    .chain(sealing::ratios()?)
    .collect())
}

/// Medians of a call of each side, in microseconds, and of their ratio, which also has a spread.
struct Measured {
    ours_us: f64,
    bare_us: f64,
    median: f64,
    least: f64,
    most: f64,
}

fn measure(ratio: &Ratio) -> Measured {
    let time_us = |call: &dyn Fn(), calls_count: u32| {
        let begin = cpu_time();
        (0..calls_count).for_each(|_| call());
        (cpu_time() - begin).as_secs_f64() * 1e6 / f64::from(calls_count)
    };
    let quickest_us = (0..FIFTH).map(|_| time_us(&ratio.bare, 1)).fold(f64::INFINITY, f64::min);
    let calls_count = (SIDE_US / quickest_us).clamp(1.0, 50.0) as u32;
    let round = |_| (time_us(&ratio.ours, calls_count), time_us(&ratio.bare, calls_count));
    let rounds: Vec<(f64, f64)> = (0..ROUNDS).map(round).collect();
    let fifths = || rounds.chunks(FIFTH).map(|fifth| median_of(fifth, |round| round.0 / round.1));
    Measured {
        ours_us: median_of(&rounds, |round| round.0),
        bare_us: median_of(&rounds, |round| round.1),
        median: median_of(&rounds, |round| round.0 / round.1),
        least: fifths().fold(f64::INFINITY, f64::min),
        most: fifths().fold(0.0, f64::max),
    }
}

fn median_of(rounds: &[(f64, f64)], of: impl Fn(&(f64, f64)) -> f64) -> f64 {
    let mut values: Vec<f64> = rounds.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).expect("below a second"))
}

/// A signed shaken PASSporT and what it takes to verify it.
struct Signed {
    token: String,
    passport: Passport,
    policy: VerificationPolicy,
    call: CallFacts,
    chain_pem: String,
    key: VerifyingKey,
}

const X5U: &str = "https://certs.example.net/signer.pem";

/// How a token says which chain is behind it.
enum Carried {
    ByUrl,
    Inline,
}

impl Carried {
    fn reference(&self, chain_pem: &str) -> Result<CertificateReference, AnyError> {
        Ok(match self {
            Self::ByUrl => CertificateReference::Url(X5U.into()),
            Self::Inline => CertificateReference::inline_from_pem(chain_pem.as_bytes())?,
        })
    }
}

impl Signed {
    fn new(carried: Carried) -> Result<Self, AnyError> {
        let (caller, called): (TelephoneNumber, TelephoneNumber) =
            ("12155551212".parse()?, "12355551212".parse()?);
        let validity = Validity { from_s: NOW_S - 60, to_s: NOW_S + 3600 };
        let authority = DevelopmentAuthority::new("Example", validity, &SystemRandom)?;
        let numbers = TnAuthList::new(vec![TnEntry::Spc("1234".into())])?;
        let signer = authority.issue("Example signer", &numbers, validity, &SystemRandom)?;
        let mut claims = Claims::base(caller.into(), called.into(), i64::try_from(NOW_S)?);
        claims.kind = PassportType::Shaken {
            attest: Attestation::Full,
            origid: "123e4567-e89b-12d3-a456-426655440000".into(),
        };
        let token = claims.sign(&carried.reference(&signer.chain_pem)?, &signer.key)?;
        Ok(Self {
            passport: Passport::parse(token.as_bytes(), &Leniency::STRICT)?,
            token,
            policy: VerificationPolicy::new(TrustStore::from_pem(authority.root_pem().as_bytes())?),
            call: CallFacts::new(caller.into(), called.into()),
            key: signer.key.verifying_key(),
            chain_pem: signer.chain_pem,
        })
    }

    fn cache(&self) -> Result<ChainCache, AnyError> {
        let cache = ChainCache::default();
        let chain = CertificateChain::from_pem(self.chain_pem.as_bytes())?;
        cache.put(X5U, chain.into(), 60_000, Timestamp::from_millis(NOW_S * 1000));
        Ok(cache)
    }

    fn verify(&self, certificates: &dyn CertificateSource) {
        let now = Timestamp::from_millis(NOW_S * 1000);
        let verdict = self.policy.verify(self.token.as_bytes(), certificates, &self.call, now);
        assert!(black_box(verdict).is_ok(), "the PASSporT holds");
    }

    fn verify_signature(&self) {
        assert!(black_box(self.passport.verify_signature(&self.key)).is_ok(), "the signature is good");
    }
}

/// Sealing and opening against the calls of the HPKE library that are in them.
mod sealing {
    use std::hint::black_box;

    use herald_core::TelephoneNumber;
    use herald_core::limits::BODY_BUCKETS_BYTES;
    use herald_stir::{SealingKey, Suite, SystemRandom, open, seal};
    use hpke::aead::AesGcm128;
    use hpke::kdf::HkdfSha256;
    use hpke::kem::{DhP256HkdfSha256, X25519HkdfSha256};
    use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable, single_shot_open, single_shot_seal};

    use super::{AnyError, Ratio};

    /// What the issue asks for.
    const BOUND: f64 = 1.15;
    const INFO: &[u8] = b"stir-oob-passport v1\x0012355551212";
    /// Bytes of a shaken PASSporT with x5u.
    const PASSPORT_BYTES: usize = 440;

    pub(super) fn ratios() -> Result<Vec<Ratio>, AnyError> {
        let mut ratios = of_suite::<X25519HkdfSha256>(Suite::X25519, ["seal, X25519", "open, X25519"])?;
        ratios.extend(of_suite::<DhP256HkdfSha256>(Suite::P256, ["seal, P-256", "open, P-256"])?);
        Ok(ratios)
    }

    fn of_suite<K: Kem>(suite: Suite, names: [&'static str; 2]) -> Result<Vec<Ratio>, AnyError>
    where
        K::PrivateKey: 'static,
        K::PublicKey: 'static,
        K::EncappedKey: 'static,
    {
        let called: TelephoneNumber = "12355551212".parse()?;
        let passport = "p".repeat(PASSPORT_BYTES);
        let key = SealingKey::generate(suite, &SystemRandom);
        let public = key.public_key();
        let bare_public = K::PublicKey::from_bytes(&public.to_bytes())?;
        let sealed = seal(&passport, called, &public, &SystemRandom)?;

        // The library's own key pair: ours does not hand out its secret.
        let (bare_key, bare_recipient) = K::gen_keypair();
        let padded = vec![0u8; BODY_BUCKETS_BYTES[0] - 16 - <K::EncappedKey as Serializable>::size()];
        let sealing = padded.clone();
        let (enc, ct) = single_shot_seal::<AesGcm128, HkdfSha256, K>(
            &OpModeS::Base,
            &bare_recipient,
            INFO,
            &padded,
            b"",
        )?;
        Ok(vec![
            Ratio {
                name: names[0],
                bound: BOUND,
                ours: Box::new(move || {
                    assert!(black_box(seal(&passport, called, &public, &SystemRandom)).is_ok(), "it seals");
                }),
                bare: Box::new(move || {
                    let sealed = single_shot_seal::<AesGcm128, HkdfSha256, K>(
                        &OpModeS::Base,
                        &bare_public,
                        INFO,
                        &sealing,
                        b"",
                    );
                    assert!(black_box(sealed).is_ok(), "it seals");
                }),
            },
            Ratio {
                name: names[1],
                bound: BOUND,
                ours: Box::new(move || {
                    let keys = core::slice::from_ref(&key);
                    assert!(black_box(open(&sealed, called, keys)).is_ok(), "it opens");
                }),
                bare: Box::new(move || {
                    let opened = single_shot_open::<AesGcm128, HkdfSha256, K>(
                        &OpModeR::Base,
                        &bare_key,
                        &enc,
                        INFO,
                        &ct,
                        b"",
                    );
                    assert!(black_box(opened).is_ok(), "it opens");
                }),
            },
        ])
    }
}
