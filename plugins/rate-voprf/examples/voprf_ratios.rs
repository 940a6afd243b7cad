//! What tokens cost in bare multiplications of the same run: `cargo run --release --example voprf_ratios
//! -p herald-rate-voprf`. Prints Markdown.
//!
//! Each round times every operation and the multiplication of an element that is not fixed by a scalar, one after the
//! other, in CPU time of the thread, so that other programs count little. Shown are medians over the rounds, and the
//! median of the ratios of each round.

#![allow(clippy::print_stdout, reason = "its figures are its output")]

use std::error::Error;
use std::hint::black_box;
use std::time::Duration;

use herald_plugin_sdk::{Fault, Host, KeyHandle, Mode, RateControl, Redemption, Settings, Want};
use herald_plugin_sdk::{abi, harness::Stage};
use herald_rate_voprf::{P384, Ristretto255, Suite, TokenInput, Voprf};
use ring::rand::{SecureRandom, SystemRandom};
use voprf_ng::Group;

const ROUNDS: usize = 101;
const KEY: KeyHandle = KeyHandle(1);

type AnyError = Box<dyn Error>;

fn main() -> Result<(), AnyError> {
    println!("| suite | tokens in a request | operation | µs a token | multiplications |");
    println!("|---|--:|---|--:|--:|");
    for count in [1, 16, 64] {
        print_suite::<Ristretto255>(count)?;
    }
    print_suite::<P384>(1)
}

fn print_suite<S: Suite>(count: usize) -> Result<(), AnyError> {
    let bench = Bench::<S>::new(count).map_err(|fault| format!("{fault:?}"))?;
    let operations: [(&str, &dyn Fn()); 4] = [
        ("issue", &|| bench.issue()),
        ("redeem", &|| bench.redeem()),
        ("ask, by the caller", &|| bench.request()),
        ("finish, by the caller", &|| bench.finish()),
    ];
    let mut rounds = vec![Vec::new(); operations.len()];
    let mut bare = Vec::new();
    for _ in 0..ROUNDS {
        let bare_us = time_us(&|| bench.multiply()) / count as f64;
        bare.push(bare_us);
        for (figures, (_, operation)) in rounds.iter_mut().zip(operations) {
            let us = time_us(operation) / count as f64;
            figures.push((us, us / bare_us));
        }
    }
    let (name, bare) = (S::NAME.to_str()?, median(bare));
    println!("| {name} | {count} | one multiplication | {bare:.1} | 1 |");
    for (figures, (operation, _)) in rounds.into_iter().zip(operations) {
        let (us, ratios): (Vec<f64>, Vec<f64>) = figures.into_iter().unzip();
        println!("| {name} | {count} | {operation} | {:.1} | {:.2} |", median(us), median(ratios));
    }
    Ok(())
}

/// A plugin with a key, and a request for `count` tokens at every stage of its life.
struct Bench<S: Suite> {
    plugin: Voprf<S>,
    count: usize,
    public_key: Vec<u8>,
    request: Vec<u8>,
    state: Vec<u8>,
    response: Vec<u8>,
    inputs: Vec<TokenInput>,
}

impl<S: Suite> Bench<S> {
    fn new(count: usize) -> Result<Self, Fault> {
        let plugin = Voprf::<S>::open(host(), &Settings::of(&[])).map_err(Fault::Failed)?;
        let key = plugin.key_make()?;
        plugin.key_add(KEY, &key.secret)?;
        let (request, state) = plugin.request(&want(&key.public_key, count))?;
        let response = plugin.issue(KEY, &request)?;
        let inputs = plugin.finish(&state, &response)?.iter().map(|token| token.token_input).collect();
        let (public_key, state) = (key.public_key, state.to_vec());
        Ok(Self { plugin, count, public_key, request, state, response, inputs })
    }

    fn multiply(&self) {
        let element = S::Group::deserialize_elem(&self.public_key).expect("a public key is an element");
        let mut bytes = [0; 32];
        bytes[0] = 9;
        let dst: &[&[u8]] = &[b"ratios"];
        let scalar = S::Group::hash_to_scalar::<S::Hash>(&[&bytes], dst).expect("the input is short");
        for _ in 0..self.count {
            black_box(black_box(element) * &black_box(scalar));
        }
    }

    fn issue(&self) {
        black_box(self.plugin.issue(KEY, &self.request)).expect("the request is good");
    }

    fn redeem(&self) {
        for token_input in &self.inputs {
            let token =
                Redemption { key: KEY, mode: Mode::Withheld, token_input, authenticator: &[], proof: &[] };
            black_box(self.plugin.redeem(&token)).expect("the token is good");
        }
    }

    fn request(&self) {
        black_box(self.plugin.request(&want(&self.public_key, self.count))).expect("the key is good");
    }

    fn finish(&self) {
        black_box(self.plugin.finish(&self.state, &self.response).map(|tokens| tokens.len()))
            .expect("the response is good");
    }
}

fn want(public_key: &[u8], count: usize) -> Want<'_> {
    Want { mode: Mode::Withheld, count, public_key, agreement_key: &[], challenge_digest: &[7; 32] }
}

fn host() -> Host {
    let random = SystemRandom::new();
    Stage::with_random(move |out| random.fill(out).expect("the system has randomness"))
        .host(abi::RATE_CONTROL)
}

fn time_us(operation: &dyn Fn()) -> f64 {
    let begin = cpu_time();
    operation();
    (cpu_time() - begin).as_secs_f64() * 1e6
}

fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).expect("below a second"))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
