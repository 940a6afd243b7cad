//! What the plugin adds to AWS-LC's own operations, as ratios of one run: `cargo run --release --example blind_ratios -p
//! herald-rate-blind-signature`. Prints Markdown; exits with 1 if a ratio is over its bound.
//!
//! Each round times both sides in turn, in CPU time of the thread, so that other programs count little. Shown are medians
//! over the rounds. AWS-LC's safe binding has no raw operation, so signing is held against a signature with the oldest
//! padding: the same private operation after a few bytes are copied.

#![allow(clippy::print_stdout, reason = "its figures are its output")]

use std::error::Error;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::Duration;

use aws_lc_rs::agreement::{self, UnparsedPublicKey, X25519};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_SHA256, RSA_PSS_2048_8192_SHA384};
use herald_plugin_sdk::harness::Stage;
use herald_plugin_sdk::{
    Fault, KeyHandle, Mode, NewKey, RateControl, Redemption, Settings, Token, Want, abi,
};
use herald_rate_blind_signature::BlindSignature;

const ROUNDS: usize = 301;
const KEY: KeyHandle = KeyHandle(1);
/// Where the RSA key begins in a service's secret, and the RSAPublicKey in a published one.
const PKCS8: usize = 33;
const RSA_PUBLIC_KEY: usize = 72;

type AnyError = Box<dyn Error>;
type Call<'a> = Box<dyn Fn() + 'a>;

/// An operation, the bare one that it is held against, and the most that their ratio may be.
struct Ratio<'a> {
    name: &'static str,
    bound: f64,
    ours: Call<'a>,
    bare: Call<'a>,
}

fn main() -> Result<ExitCode, AnyError> {
    let scene = Scene::new().map_err(|fault| format!("{fault:?}"))?;
    let bare = Bare::new(&scene.key)?;
    let mut is_over = false;
    println!("| operation | it, µs | AWS-LC alone, µs | ratio | bound |");
    println!("|---|--:|--:|--:|--:|");
    for ratio in ratios(&scene, &bare) {
        let rounds: Vec<_> = (0..ROUNDS).map(|_| (time_us(&ratio.ours), time_us(&ratio.bare))).collect();
        let median = |of: fn(&(f64, f64)) -> f64| median(rounds.iter().map(of).collect());
        let times = median(|(ours, bare)| ours / bare);
        is_over |= times > ratio.bound;
        let bound = if ratio.bound.is_finite() { format!("≤ {}", ratio.bound) } else { String::new() };
        let (ours, bare) = (median(|round| round.0), median(|round| round.1));
        println!("| {} | {ours:.1} | {bare:.1} | {times:.3} | {bound} |", ratio.name);
    }
    Ok(if is_over { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn ratios<'a>(scene: &'a Scene, bare: &'a Bare) -> [Ratio<'a>; 6] {
    let verify = |token: &'a Token| move || bare.verify(token);
    let of = |name, bound, ours: Call<'a>, bare: Call<'a>| Ratio { name, bound, ours, bare };
    let [committed, agreed, signed] = &scene.tokens;
    [
        of("issue", 1.1, Box::new(|| scene.issue()), Box::new(|| bare.sign())),
        of(
            "redeem, committed MAC key; against a check of RSASSA-PSS",
            1.15,
            Box::new(|| scene.redeem(Mode::Committed, committed)),
            Box::new(verify(committed)),
        ),
        of(
            "redeem, agreed MAC key; against that and X25519",
            1.15,
            Box::new(|| scene.redeem(Mode::Agreed, agreed)),
            Box::new(|| {
                bare.verify(agreed);
                bare.agree(agreed);
            }),
        ),
        // Nothing is promised of the others: they show what the caller pays.
        of(
            "redeem, key that signs each store; against a check of RSASSA-PSS",
            f64::INFINITY,
            Box::new(|| scene.redeem(Mode::Signed, signed)),
            Box::new(verify(signed)),
        ),
        of(
            "ask, by the caller; against a check of RSASSA-PSS",
            f64::INFINITY,
            Box::new(|| scene.request()),
            Box::new(verify(committed)),
        ),
        of(
            "finish, by the caller; against a check of RSASSA-PSS",
            f64::INFINITY,
            Box::new(|| scene.finish()),
            Box::new(verify(committed)),
        ),
    ]
}

/// The plugin with a key, and a token at every stage of its life.
struct Scene {
    plugin: BlindSignature,
    key: NewKey,
    request: Vec<u8>,
    state: Vec<u8>,
    response: Vec<u8>,
    tokens: [Token; 3],
}

impl Scene {
    fn new() -> Result<Self, Fault> {
        let host = Stage::new().host(abi::RATE_CONTROL);
        let plugin = BlindSignature::open(host, &Settings::of(&[])).map_err(Fault::Failed)?;
        let key = plugin.key_make()?;
        plugin.key_add(KEY, &key.secret)?;
        let token = |mode| {
            let (request, state) = plugin.request(&want(&key, mode))?;
            let mut tokens = plugin.finish(&state, &plugin.issue(KEY, &request)?)?;
            tokens.pop().ok_or(Fault::Refused)
        };
        let tokens = [token(Mode::Committed)?, token(Mode::Agreed)?, token(Mode::Signed)?];
        let (request, state) = plugin.request(&want(&key, Mode::Committed))?;
        let response = plugin.issue(KEY, &request)?;
        let state = state.to_vec();
        Ok(Self { plugin, key, request, state, response, tokens })
    }

    fn issue(&self) {
        assert!(black_box(self.plugin.issue(KEY, &self.request)).is_ok(), "the request is good");
    }

    fn redeem(&self, mode: Mode, token: &Token) {
        let token = Redemption {
            key: KEY,
            mode,
            token_input: &token.token_input,
            authenticator: &token.authenticator,
            proof: &token.proof,
        };
        assert!(black_box(self.plugin.redeem(&token)).is_ok(), "the token is good");
    }

    fn request(&self) {
        let asked = self.plugin.request(&want(&self.key, Mode::Committed));
        assert!(black_box(asked).is_ok(), "the key is good");
    }

    fn finish(&self) {
        let finished = self.plugin.finish(&self.state, &self.response);
        assert!(black_box(finished).is_ok(), "the response is good");
    }
}

fn want(key: &NewKey, mode: Mode) -> Want<'_> {
    Want {
        mode,
        count: 1,
        public_key: &key.public_key,
        agreement_key: &key.agreement_key,
        challenge_digest: &[7; 32],
    }
}

/// AWS-LC with the same keys.
struct Bare {
    rsa: KeyPair,
    public: ParsedPublicKey,
    agreement: agreement::PrivateKey,
}

impl Bare {
    fn new(key: &NewKey) -> Result<Self, AnyError> {
        Ok(Self {
            rsa: KeyPair::from_pkcs8(&key.secret[PKCS8..])?,
            public: ParsedPublicKey::new(&RSA_PSS_2048_8192_SHA384, &key.public_key[RSA_PUBLIC_KEY..])?,
            agreement: agreement::PrivateKey::from_private_key(&X25519, &key.secret[1..PKCS8])?,
        })
    }

    fn sign(&self) {
        let mut signature = [0; 256];
        let signed = self.rsa.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), b"a message", &mut signature);
        assert!(black_box(signed).is_ok(), "the key is good");
    }

    fn verify(&self, token: &Token) {
        let verified = self.public.verify_sig(&token.token_input, &token.authenticator);
        assert!(black_box(verified).is_ok(), "the token is good");
    }

    fn agree(&self, token: &Token) {
        let peer = UnparsedPublicKey::new(&X25519, token.proof.as_slice());
        let agreed = agreement::agree(&self.agreement, peer, (), |secret| Ok(secret[0]));
        assert!(black_box(agreed).is_ok(), "the proof is a key");
    }
}

fn time_us(call: &Call<'_>) -> f64 {
    let began = cpu_time();
    call();
    (cpu_time() - began).as_secs_f64() * 1e6
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).expect("below a second"))
}
